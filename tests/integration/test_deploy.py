"""Image and deployment files, as far as they can be checked where no engine runs.

The Dockerfile is linted; ``nvflare deploy prepare`` really prepares kits for docker, Kubernetes and Slurm; its scripts
pass shellcheck, its charts are rendered and validated against Kubernetes' schemas, its settings are read by the
launchers' own parsers. No image was built, no container, pod or Slurm job started.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from nvflare.app_opt.job_launcher.study_runtime import load_study_runtime_file

from federation import REPOSITORY
from helm import Chart

BIN = Path(sys.executable).parent
DOCKERFILE = REPOSITORY / "provisioning/docker/Dockerfile"
DEPLOY = REPOSITORY / "provisioning/deploy"
SITE, SERVER = "hospital-a", "flareseg.example.org"
PREPARED = [(SITE, "docker"), (SERVER, "docker"), (SITE, "k8s"), (SERVER, "k8s"), (SITE, "slurm")]
KUBERNETES = "1.31"
RESOURCES = "local/resources.json.default"
LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


def hadolint(text: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([BIN / "hadolint", "-"], input=text, capture_output=True, text=True, check=False)


def test_the_dockerfile_passes_hadolint() -> None:
    done = hadolint(DOCKERFILE.read_text())
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("right", "wrong", "rule"),
    [
        ("USER 10001", "USER root", "DL3002"),
        ("FROM python:${PYTHON}\n", "FROM python\n", "DL3006"),
        ("--no-cache-dir", "", "DL3042"),
        ("useradd --uid 10001", "sudo useradd", "DL3004"),
    ],
)
def test_the_lint_would_notice(right: str, wrong: str, rule: str) -> None:
    text = DOCKERFILE.read_text()
    assert right in text
    done = hadolint(text.replace(right, wrong))
    assert done.returncode != 0
    assert rule in done.stdout


def test_what_the_image_copies_is_there_and_not_ignored() -> None:
    ignored = (DOCKERFILE.parent / "Dockerfile.dockerignore").read_text().splitlines()
    kept = {line[1:] for line in ignored if line.startswith("!")}
    lines = [line.split()[1:-1] for line in DOCKERFILE.read_text().splitlines() if line.startswith("COPY ")]
    copied = {name for line in lines if not line[0].startswith("--from") for name in line}
    covered = {name: {folder for folder in kept if name == folder or name.startswith(f"{folder}/")} for name in copied}
    assert all(covered.values())
    assert set().union(*covered.values()) == kept
    assert all((REPOSITORY / name).exists() for name in copied)


def test_the_image_runs_every_job_and_monitoring() -> None:
    """What each of these needs at server and sites is an extra of the package."""
    (extras,) = re.findall(r"\$\{wheel\[0\]\}\[([a-z,]+)\]", DOCKERFILE.read_text())
    assert {"dp", "encryption", "monitoring", "kubernetes"} <= set(extras.split(","))


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Kits of the consortium, prepared for each runtime: ``<site>-<runtime>``."""
    folder = tmp_path_factory.mktemp("deploy")

    def nvflare(*arguments: str | Path) -> None:
        command = [sys.executable, "-m", "nvflare.cli", *map(str, arguments)]
        environment = {"HOME": str(folder), "PATH": "/usr/bin:/bin"}
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr

    nvflare("provision", "--force", "-p", REPOSITORY / "provisioning/project.yml", "-w", folder)
    kits = folder / "flareseg/prod_00"
    for name, runtime in PREPARED:
        config = DEPLOY / f"{runtime}.yaml"
        nvflare("deploy", "prepare", kits / name, "--output", folder / f"{name}-{runtime}", "--config", config)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(("name", "runtime"), PREPARED)
def test_a_kit_is_prepared(prepared: Path, name: str, runtime: str) -> None:
    kit = prepared / f"{name}-{runtime}"
    resources = json.loads((kit / RESOURCES).read_text())
    launchers = [item["path"] for item in resources["components"] if item["id"] == f"{runtime}_launcher"]
    (module, _, item) = launchers[0].rpartition(".")
    assert isinstance(getattr(import_module(module), item), type)
    original = prepared / "flareseg/prod_00" / name
    assert resources["class_allow_list"] == json.loads((original / RESOURCES).read_text())["class_allow_list"]
    for file in ("local/privacy.json", "local/authorization.json.default", "startup/signature.json"):
        assert (kit / file).read_bytes() == (original / file).read_bytes(), file
    scripts = [path for pattern in ("start_*.sh", "*.slurm") for path in (kit / "startup").glob(pattern)]
    assert len(scripts) == {"docker": 1, "k8s": 0, "slurm": 2}[runtime]
    for script in scripts:
        done = subprocess.run(
            [BIN / "shellcheck", "--severity=warning", script], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_the_docker_script_starts_our_image_as_the_caller(prepared: Path) -> None:
    script = (prepared / f"{SERVER}-docker/startup/start_docker.sh").read_text()
    assert 'DOCKER_IMAGE=${NVFL_P_IMAGE:-"flareseg:0.1.0"}' in script
    assert '--user "$(id -u):$(id -g)"' in script
    assert "-p 8002:8002" in script


@pytest.mark.slow
@pytest.mark.parametrize(("name", "values"), [(SITE, {}), (SERVER, {"name": "flareseg-server"})])
def test_a_chart_renders_to_valid_kubernetes_objects(prepared: Path, name: str, values: dict[str, Any]) -> None:
    found = list(Chart(prepared / f"{name}-k8s/helm_chart", "flareseg", **values).resources())
    for resource in found:
        kubernetes_validate.validate(resource, KUBERNETES, strict=True)
    assert {item["kind"] for item in found} == {"Deployment", "Role", "RoleBinding", "Service", "ServiceAccount"}
    (deployment,) = [item for item in found if item["kind"] == "Deployment"]
    pod = deployment["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert all(LABEL.fullmatch(container["name"]) for container in pod["containers"])
    claims = {item["persistentVolumeClaim"]["claimName"] for item in pod["volumes"]}
    assert claims == {"flareseg-workspace"}


@pytest.mark.slow
def test_a_server_s_chart_needs_another_name(prepared: Path) -> None:
    """NVFlare names the container as the server, and Kubernetes takes no dots there; docs/deploy.md sets the name."""
    found = Chart(prepared / f"{SERVER}-k8s/helm_chart", "flareseg").resources()
    (deployment,) = [item for item in found if item["kind"] == "Deployment"]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["name"] == SERVER
    assert not LABEL.fullmatch(container["name"])


def test_the_volumes_are_valid_and_those_that_the_chart_asks_for() -> None:
    found = list(yaml.safe_load_all((DEPLOY / "k8s-volumes.yaml").read_text()))
    for resource in found:
        kubernetes_validate.validate(resource, KUBERNETES, strict=True)
    config = yaml.safe_load((DEPLOY / "k8s.yaml").read_text())
    names = {(item["kind"], item["metadata"]["name"]) for item in found}
    assert ("PersistentVolumeClaim", config["parent"]["workspace_pvc"]) in names
    assert ("Namespace", config["namespace"]) in names


def test_the_schemas_would_notice() -> None:
    claim = next(item for item in yaml.safe_load_all((DEPLOY / "k8s-volumes.yaml").read_text()) if "spec" in item)
    claim["spec"]["accessModes"] = "ReadWriteMany"
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(claim, KUBERNETES, strict=True)


@pytest.mark.parametrize("mode", ["docker", "k8s"])
def test_the_launchers_read_the_jobs_settings(mode: str) -> None:
    file = str(DEPLOY / "study_runtime.yaml")
    study = load_study_runtime_file(file, launcher_mode=mode)["default"]
    (mount,) = study.datasets
    assert (mount.mount_path, mount.mode) == ("/data/default/images", "ro")
