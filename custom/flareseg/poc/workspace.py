"""Preparing, starting and stopping a POC workspace with NVFlare's own commands."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from flareseg.config.seams import allowed_extensions
from flareseg.config.settings import read_yaml
from flareseg.config.yaml_core import dump_yaml
from flareseg.errors import ErrorCode, FlaresegError, SettingsError
from flareseg.flare.session import lead_session
from flareseg.processes import choose_ports, end_processes, port_answers, processes_of, uninterrupted

_BUILDER = "flareseg.flare.provision.builder.SitePolicyBuilder"
_KEYS = "nvflare.lighter.impl.he.HEBuilder"  # for jobs that encrypt, where the extra is installed
_START_SECONDS = 300.0
_MARK = ".flareseg-workspace"


class PocError(FlaresegError):
    """NVFlare's POC mode refused or failed."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message, remedy, code=ErrorCode.INTERNAL)


class PocWorkspace:
    """One POC federation below one folder; the user's own ``~/.nvflare`` is never touched.

    Args:
        folder: everything lies here: ``data/``, ``poc/`` (kits, stores, runs), ``home/`` and logs.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.poc = self.folder / "poc"
        self.home = self.folder / "home"
        self.log = self.folder / "nvflare.log"

    @property
    def project(self) -> dict[str, Any]:
        """The project as provisioned.

        Raises:
            SettingsError: nothing was prepared here.
        """
        return read_yaml(self.poc / "project.yml")

    @property
    def kits(self) -> Path:
        """Folder with the startup kit of every participant."""
        return self.poc / str(self.project["name"]) / "prod_00"

    def participants(self, kind: str, role: str | None = None) -> list[str]:
        """Names of the participants of a type (server, client, admin), of one role where given."""
        people = self.project["participants"]
        return [item["name"] for item in people if item["type"] == kind and role in (None, item.get("role"))]

    @property
    def lead_kit(self) -> tuple[str, Path]:
        """Name and startup kit of the lead.

        Raises:
            SettingsError: the project has none.
        """
        leads = self.participants("admin", "lead")
        if not leads:
            raise SettingsError(f"{self.poc / 'project.yml'}: no admin with role lead.", "Add one to the project.")
        return leads[0], self.kits / leads[0]

    def claim(self) -> None:
        """Make the folder ours: what lies in it may be replaced.

        Raises:
            SettingsError: the folder holds something that is not ours.
        """
        mark = self.folder / _MARK
        if self.folder.exists() and not mark.exists() and any(self.folder.iterdir()):
            raise SettingsError(
                f"{self.folder}: is not empty and was not made by flareseg.", "Choose a new folder with --workspace."
            )
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        mark.touch()

    def prepare(self, project: Path, sites: Path) -> list[str]:
        """Provision the federation: one client for each folder of ``sites`` that holds a site.yaml.

        Args:
            project: the project.yml to start from; its clients give each site's organisation.
            sites: folder with ``<site>/site.yaml``.

        Returns:
            What to tell the user (changed ports).

        Raises:
            SettingsError: the project or the sites cannot be used.
            PocError: a federation runs here already, or NVFlare refused.
        """
        self.claim()
        if processes_of(self.poc):
            raise PocError(f"{self.folder}: a federation runs here already.", "Stop it with flareseg poc stop.")
        names = sorted(path.parent.name for path in sites.glob("*/site.yaml"))
        if not names:
            raise SettingsError(f"{sites}: no <site>/site.yaml.", "Make one folder for each site, or omit --data.")
        content = read_yaml(project)
        ports, messages = choose_ports()
        self._adapt(content, project, names, ports, sites.resolve())
        shutil.rmtree(self.poc, ignore_errors=True)
        self.home.mkdir(parents=True, exist_ok=True)
        adapted = self.folder / "project.yml"
        adapted.write_text(dump_yaml(content))
        self._nvflare("prepare", "-i", str(adapted), "--force")
        return messages

    @staticmethod
    def _adapt(content: dict[str, Any], path: Path, names: list[str], ports: tuple[int, int], sites: Path) -> None:
        people = content.get("participants") or []
        known = {item["name"]: item for item in people if item.get("type") == "client"}
        servers = [item for item in people if item.get("type") == "server"]
        if len(servers) != 1:
            raise SettingsError(f"{path}: expected one server, found {len(servers)}.", "Correct participants.")
        if not any(item.get("role") == "lead" for item in people):
            raise SettingsError(f"{path}: no admin with role lead.", "Add one to participants.")
        servers[0].update(fed_learn_port=ports[0], admin_port=ports[1])
        clients = [known.get(name, {"name": name, "type": "client", "org": "local"}) for name in names]
        content["participants"] = [item for item in people if item.get("type") != "client"] + clients
        builders = [item for item in content.get("builders") or [] if item.get("path") == _BUILDER]
        if not builders:
            raise SettingsError(f"{path}: no builder {_BUILDER}.", "Copy the builders of poc/project.yml.")
        if find_spec("tenseal") and not any(item.get("path") == _KEYS for item in content["builders"]):
            content["builders"].insert(content["builders"].index(builders[0]), {"path": _KEYS, "args": {}})
        builders[0]["args"] = {**builders[0].get("args", {}), "sites": str(sites)}
        builders[0]["args"]["extensions"] = sorted(allowed_extensions())

    def start(self) -> None:
        """Start server and sites and wait until every site is registered.

        Raises:
            PocError: NVFlare could not start them; nothing of this workspace is left running.
        """
        try:
            self._nvflare("start", "--no-wait")
            self._wait_for_sites()
        except BaseException:  # an interruption too
            with uninterrupted():
                end_processes(self.poc, patience=0)
            raise

    def _wait_for_sites(self) -> None:
        """Wait until the lead sees every site.

        NVFlare's own wait gives each connection one second, which a busy machine does not make.
        """
        (server,) = (item for item in self.project["participants"] if item["type"] == "server")
        wanted, seen = set(self.participants("client")), set[str]()
        user, kit = self.lead_kit
        reason, deadline = "", time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            time.sleep(0.5)
            if not any(port_answers(server[key]) for key in ("fed_learn_port", "admin_port")):
                continue
            try:
                with lead_session(user, kit) as session:
                    while not wanted <= seen and time.monotonic() < deadline:
                        seen = {client.name for client in session.get_connected_client_list()}
                        time.sleep(0.2)
            except Exception as error:  # whatever NVFlare makes of a server that is still starting
                reason = f"; the last answer was {type(error).__name__}: {error}"
                continue
            if wanted <= seen:
                return
        raise PocError(
            f"{', '.join(sorted(wanted - seen))}: not connected after {_START_SECONDS:.0f} s{reason}.",
            f"See log.txt of each participant below {self.kits}.",
        )

    def stop(self) -> list[int]:
        """Stop server and sites, and wait until no process of this workspace is left.

        Returns:
            Ids of processes that did not end by themselves.
        """
        with uninterrupted():
            if processes_of(self.poc):
                try:
                    self._nvflare("stop")
                except PocError:
                    return end_processes(self.poc, patience=0)
            return end_processes(self.poc)

    def _nvflare(self, *arguments: str) -> None:
        environment = {k: v for k, v in os.environ.items() if k != "NVFLARE_HOME"} | {
            "HOME": str(self.home),
            "NVFLARE_POC_WORKSPACE": str(self.poc),
            "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"),
            "PYTHONWARNINGS": "ignore",
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        }
        command = [sys.executable, "-m", "nvflare.cli", "poc", *arguments]
        with self.log.open("a") as log:
            log.write(f"$ nvflare poc {' '.join(arguments)}\n")
            log.flush()
            done = subprocess.run(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                check=False,
                start_new_session=True,  # Ctrl-C reaches us alone: we stop the federation in order
            )
        if done.returncode:
            tail = " ".join(self.log.read_text(errors="replace").strip().splitlines()[-2:])
            raise PocError(f"nvflare poc {arguments[0]} ended with code {done.returncode}: {tail}", f"See {self.log}.")
