"""Each check of ``flareseg site check`` that needs no network: what is red, what is yellow, and the remedy."""

from __future__ import annotations

import json
import shutil
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from nvflare.lighter.utils import sign_folders

from flareseg.config.site import load_site
from flareseg.errors import SettingsError
from flareseg.flare.provision.policy import PRIVACY
from flareseg.flare.provision.versions import installed_versions, write_versions
from flareseg.flare.site_check import machine
from flareseg.flare.site_check.identity import check_identity
from flareseg.flare.site_check.kit import Kit, load_kit
from flareseg.flare.site_check.machine import GIB, check_machine, judge_device, judge_free
from flareseg.flare.site_check.network import judge_addresses, judge_clock
from flareseg.flare.site_check.policy import check_policy
from flareseg.flare.site_check.report import Check, Verdict, as_dict, is_ready, table
from flareseg.flare.site_check.software import check_versions, judge_versions
from flareseg.flare.site_check.study import check_data, check_job, check_site_file
from flareseg.job.allow_list import CLASS_ALLOW_LIST
from flareseg.job.approval import approve, look_at
from flareseg.job.bundle import bundle_job
from kit import Authority, put_certificate, write_kit
from tiny import write_tiny_site

FROM = "(the wheel comes from the project admin)"
JOB = Path(__file__).parents[4] / "jobs" / "fedgin-fedgs"


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def kit(tmp_path: Path, authority: Authority) -> Kit:
    return load_kit(write_kit(tmp_path / "hospital-a", authority))


def by_name(checks: list[Check]) -> dict[str, Check]:
    return {check.name: check for check in checks}


def test_a_kit_is_read(kit: Kit) -> None:
    assert (kit.name, kit.host, kit.port, kit.scheme) == ("hospital-a", "localhost", 8002, "http")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda kit: (kit / "startup/fed_client.json").unlink(), "is not a startup kit"),
        (lambda kit: (kit / "startup/fed_client.json").rename(kit / "startup/fed_admin.json"), "kit of an admin"),
        (lambda kit: (kit / "startup/fed_client.json").write_text("{"), "is not a JSON object"),
        (lambda kit: (kit / "startup/fed_client.json").write_text("{}"), "cannot be used"),
    ],
    ids=["none", "admin", "cut", "empty"],
)
def test_what_is_no_kit_of_a_site_is_named(tmp_path: Path, authority: Authority, spoil: Any, words: str) -> None:
    folder = write_kit(tmp_path / "kit", authority)
    spoil(folder)
    with pytest.raises(SettingsError, match=words):
        load_kit(folder)


@pytest.mark.parametrize(
    ("days", "status", "words"),
    [
        (360.5, Verdict.GREEN, "360 days left"),
        (30.5, Verdict.GREEN, "30 days left"),
        (29.5, Verdict.YELLOW, "29 days left"),
        (-1.0, Verdict.RED, "expired on"),
    ],
)
def test_days_left(tmp_path: Path, authority: Authority, days: float, status: Verdict, words: str) -> None:
    checks = by_name(check_identity(load_kit(write_kit(tmp_path / "kit", authority, days=days))))
    assert checks["certificate"].status is status
    assert words in checks["certificate"].found
    assert checks["CA chain"].status is Verdict.GREEN  # an ended certificate was still issued by this CA


def test_a_clock_before_the_certificate_is_named(kit: Kit) -> None:
    long_ago = datetime(2020, 1, 1, tzinfo=timezone.utc)
    check = by_name(check_identity(kit, long_ago))["certificate"]
    assert check.status is Verdict.RED
    assert "the clock says 2020-01-01" in check.found
    assert "clock" in check.remedy


def test_another_ca_another_name_and_another_key_are_told_apart(kit: Kit, authority: Authority) -> None:
    certificate, key = Authority().issue("hospital-a", 100)
    put_certificate(kit.folder, certificate, key)
    assert by_name(check_identity(kit))["CA chain"].status is Verdict.RED
    other, other_key = authority.issue("hospital-b", 100)
    put_certificate(kit.folder, other, other_key)
    assert "is of hospital-b" in by_name(check_identity(kit))["certificate"].found
    put_certificate(kit.folder, other, key)
    assert "not the key" in by_name(check_identity(kit))["certificate"].found
    (kit.startup / "client.crt").write_text("torn")
    (check,) = check_identity(kit)
    assert check.status is Verdict.RED
    assert "cannot be read" in check.found


def test_a_changed_startup_file_is_named(kit: Kit, authority: Authority) -> None:
    assert "not signed" in by_name(check_identity(kit))["startup files"].found
    sign_folders(str(kit.startup), authority.key, signature_file="signature.json")
    assert by_name(check_identity(kit))["startup files"].found == "as the project admin signed them"
    config = kit.startup / "fed_client.json"
    config.write_text(config.read_text().replace("8002", "8102"))
    check = by_name(check_identity(kit))["startup files"]
    assert (check.status, check.found) == (Verdict.RED, "not as the project admin signed them: fed_client.json")


@pytest.mark.parametrize(
    ("host", "addresses", "status"),
    [
        ("server.example.org", ["10.1.2.3"], Verdict.GREEN),
        ("server.example.org", ["127.0.1.1"], Verdict.RED),
        ("server.example.org", ["10.1.2.3", "::1"], Verdict.RED),
        ("localhost", ["127.0.0.1", "::1"], Verdict.GREEN),
        ("127.0.0.1", ["127.0.0.1"], Verdict.GREEN),
        ("server.example.org", ["fe80::1%eth0"], Verdict.GREEN),
    ],
)
def test_a_server_elsewhere_is_not_this_machine(host: str, addresses: list[str], status: Verdict) -> None:
    assert judge_addresses(host, addresses).status is status


@pytest.mark.parametrize(
    ("seconds", "status", "words"),
    [
        (2, Verdict.GREEN, "2 s ahead"),
        (-299, Verdict.GREEN, "behind"),
        (301, Verdict.RED, "ahead"),
        (-7200, Verdict.RED, "behind"),
    ],
)
def test_the_clock_is_compared_with_the_server_s(seconds: int, status: Verdict, words: str) -> None:
    now = datetime(2026, 1, 1, tzinfo=timezone.utc)
    date = format_datetime(now - timedelta(seconds=seconds), usegmt=True)
    check = judge_clock(f"HTTP/1.1 404 Not Found\r\nDate: {date}\r\nServer: x\r\n\r\n".encode(), now)
    assert check.status is status
    assert words in check.found


def test_a_server_without_a_clock_is_a_doubt_only() -> None:
    assert judge_clock(b"HTTP/1.1 200 OK\r\n\r\n", datetime.now(timezone.utc)).status is Verdict.YELLOW


@pytest.mark.parametrize(
    ("wanted", "status", "remedy"),
    [
        ({}, Verdict.GREEN, ""),
        ({"torch": "2.0.0"}, Verdict.YELLOW, "pip install torch==2.0.0"),
        ({"flareseg": "9.9.9"}, Verdict.RED, f"pip install flareseg-9.9.9-py3-none-any.whl {FROM}"),
        ({"nvflare": "2.8.0", "torch": "2.0.0"}, Verdict.RED, "pip install nvflare==2.8.0 torch==2.0.0"),
    ],
)
def test_versions(wanted: dict[str, str], status: Verdict, remedy: str) -> None:
    ours = installed_versions()
    check = judge_versions({**ours, **wanted}, ours)
    assert check.status is status
    assert check.remedy == remedy


def test_versions_are_those_that_provisioning_wrote(kit: Kit) -> None:
    assert check_versions(kit).status is Verdict.YELLOW  # the kit says nothing
    write_versions(kit.local)
    assert check_versions(kit).status is Verdict.GREEN
    assert set(json.loads((kit.local / "versions.json").read_text())) == {"nvflare", "torch", "monai", "flareseg"}


@pytest.mark.parametrize(
    ("free", "status"), [(0.5, Verdict.RED), (1, Verdict.YELLOW), (9.9, Verdict.YELLOW), (10, Verdict.GREEN)]
)
def test_free_space(free: float, status: Verdict) -> None:
    assert judge_free("disk", int(free * GIB), GIB, 10 * GIB, "remedy").status is status


@pytest.mark.parametrize(
    ("folder", "enough", "status", "words"),
    [
        (".", 0, Verdict.GREEN, "MiB"),
        (".", 2**60, Verdict.YELLOW, "MiB"),
        ("none", 0, Verdict.YELLOW, "no "),
    ],
    ids=["enough", "small", "none"],
)
def test_little_or_no_shared_memory_is_a_doubt(
    kit: Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str, enough: int, status: Verdict, words: str
) -> None:
    monkeypatch.setattr(machine, "SHARED", tmp_path / folder)
    monkeypatch.setattr(machine, "SHARED_YELLOW", enough)
    check = by_name(check_machine(kit, None))["shared memory"]
    assert check.status is status
    assert words in check.found
    assert bool(check.remedy) == (status is Verdict.YELLOW)


@pytest.mark.parametrize(
    ("device", "gpus", "status"),
    [("cuda", 0, Verdict.RED), ("cuda", 1, Verdict.GREEN), ("auto", 0, Verdict.GREEN), ("cpu", 0, Verdict.GREEN)],
)
def test_a_gpu_that_was_asked_for_must_be_there(device: str, gpus: int, status: Verdict) -> None:
    assert judge_device(device, gpus).status is status


def test_a_folder_that_cannot_be_written_is_named(kit: Kit, tmp_path: Path) -> None:
    proc = Path("/proc")  # not to be written, not even by root
    if not proc.is_dir():
        pytest.skip("needs a file system that root cannot write")
    site = load_site(write_tiny_site(tmp_path / "data"))
    checks = by_name(check_machine(kit, site.model_copy(update={"cache": proc / "cache"})))
    assert checks["folders"].status is Verdict.RED
    assert str(proc / "cache") in checks["folders"].found
    assert by_name(check_machine(kit, site))["folders"].status is Verdict.GREEN


def test_site_yaml_and_data(kit: Kit, tmp_path: Path) -> None:
    site, check = check_site_file(kit)
    assert site is None
    assert "cp local/site.yaml.sample" in check.remedy
    file = write_tiny_site(tmp_path / "data")
    (kit.local / "site.yaml").write_text(file.read_text())
    site, check = check_site_file(kit)
    assert site is not None
    assert check.status is Verdict.GREEN
    assert check_data(kit, site).found == "4 training, 1 validation, 1 testing cases"
    for image in (tmp_path / "data" / "images").iterdir():
        image.unlink()
    assert check_data(kit, site).status is Verdict.RED
    (kit.local / "site.yaml").write_text("modality: XR")
    site, check = check_site_file(kit)
    assert (site, check.status) == (None, Verdict.RED)


def test_a_policy_of_an_earlier_version_is_named(kit: Kit) -> None:
    path = kit.local / "resources.json.default"
    path.write_text(json.dumps({"class_allow_list": list(CLASS_ALLOW_LIST)}))
    assert check_policy(kit).status is Verdict.GREEN
    components = [{"id": "component_guard", "path": "flareseg.flare.guard.ComponentGuard"}]
    path.write_text(json.dumps({"class_allow_list": ["flareseg.flare.aggregator.FedGSAggregator"]}))
    (kit.local / "privacy.json").write_text(json.dumps({"components": components}))
    check = check_policy(kit)
    assert check.status is Verdict.RED
    assert "resources.json: flareseg.flare.aggregator.FedGSAggregator is now flareseg.flare.server.plain" in check.found
    assert "privacy.json: flareseg.flare.guard.ComponentGuard is now flareseg.flare.safeguards.guard" in check.found


def job_checks(kit: Kit, tmp_path: Path, change: Any, resources: dict[str, Any]) -> dict[str, Check]:
    """Check a changed copy of the job against a kit with these resources."""
    job = Path(shutil.copytree(JOB, tmp_path / "job"))
    change(job)
    manager = {"id": "resource_manager", "args": resources}
    content = {"class_allow_list": list(CLASS_ALLOW_LIST), "components": [manager]}
    (kit.local / "resources.json.default").write_text(json.dumps(content))
    (kit.local / "privacy.json").write_text(json.dumps(PRIVACY))
    rights = {"lead": {"submit_job": "any", "byoc": "none"}}
    (kit.local / "authorization.json.default").write_text(json.dumps({"permissions": rights}))
    return by_name(check_job(kit, load_site(write_tiny_site(tmp_path / "data")), job))


def edit_meta(job: Path, **changes: Any) -> None:
    path = job / "meta.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def edit_client(job: Path) -> None:
    path = job / "app/config/config_fed_client.json"
    path.write_text(path.read_text().replace("flareseg.flare.site.executor.SegmentationExecutor", "subprocess.Popen"))


GPU = {"hospital-a": {"num_of_gpus": 1, "mem_per_gpu_in_GiB": 40}}


@pytest.mark.parametrize(
    ("change", "resources", "name", "words"),
    [
        (lambda job: edit_meta(job, scope="secret"), {}, "job: scope", "asks for secret"),
        (lambda job: edit_meta(job, scope=""), {}, "job: scope", "asks for none"),
        (edit_client, {}, "job: classes", "subprocess.Popen"),
        (lambda job: (job / "app/custom").mkdir(), {}, "job: classes", "brings code of its own"),
        (
            lambda job: edit_meta(job, resource_spec=GPU),
            {"num_of_gpus": 0},
            "job: resources",
            "num_of_gpus 1, offered 0",
        ),
        (
            lambda job: edit_meta(job, resource_spec=GPU),
            {"num_of_gpus": 1, "mem_per_gpu_in_GiB": 24},
            "job: resources",
            "mem_per_gpu_in_GiB 40, offered 24",
        ),
        (lambda job: (job / "meta.json").unlink(), {}, "job", "no such file"),
        (lambda job: None, {}, "job: data", "missing: kidneys"),
    ],
    ids=["scope", "no scope", "class", "code", "GPU", "GPU memory", "no meta", "labels"],
)
def test_a_job_that_would_be_refused_is_told_before(
    kit: Kit, tmp_path: Path, change: Any, resources: dict[str, Any], name: str, words: str
) -> None:
    check = job_checks(kit, tmp_path, change, resources)[name]
    assert check.status is Verdict.RED
    assert words in check.found
    assert check.remedy


def test_a_job_that_fits_is_green(kit: Kit, tmp_path: Path) -> None:
    spec = {"hospital-a": {"num_of_gpus": 1, "mem_per_gpu_in_GiB": 16}, "hospital-b": {"num_of_gpus": 8}}
    site = {"num_of_gpus": 1, "mem_per_gpu_in_GiB": 24}

    def fit(job: Path) -> None:
        edit_meta(job, resource_spec=spec)
        task = job / "app/config/task.yaml"
        text = task.read_text().replace("[liver, spleen, kidneys, lesion]", "[liver, spleen, lesion]")
        text = text.replace("[96, 96]", "[16, 16]").replace("[12, 24, 48, 96]", "[4, 8]")
        task.write_text(text.replace("[3.0, 3.0, null]", "[null, null, null]"))

    checks = job_checks(kit, tmp_path, fit, site)
    assert {name: check.status for name, check in checks.items()} == dict.fromkeys(
        ("job: scope", "job: classes", "job: resources", "job: approval", "job: data"), Verdict.GREEN
    )


def test_a_site_that_approves_jobs_is_told_of_one_it_did_not(kit: Kit, tmp_path: Path) -> None:
    bundle_job(JOB, tmp_path / "bundle")
    (kit.local / "approved_jobs").mkdir()
    check = by_name(check_job(kit, None, tmp_path / "bundle"))["job: approval"]
    assert check.status is Verdict.RED
    assert "flareseg site approve" in check.remedy
    approve(look_at(tmp_path / "bundle"), kit.folder)
    assert by_name(check_job(kit, None, tmp_path / "bundle"))["job: approval"].status is Verdict.GREEN


def test_only_red_keeps_a_site_from_joining() -> None:
    lines = [Check("a", Verdict.GREEN, "x"), Check("b", Verdict.YELLOW, "[y]", "z"), Check("c", Verdict.SKIPPED, "")]
    assert is_ready(lines)
    assert not is_ready([*lines, Check("d", Verdict.RED, "no", "do")])
    assert table("s", lines).row_count == 3
    assert as_dict("s", lines)["checks"][1] == {"name": "b", "status": "warning", "found": "[y]", "remedy": "z"}
