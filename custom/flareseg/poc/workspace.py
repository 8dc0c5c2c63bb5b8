"""One POC workspace: provisioned with NVFlare's own command, started, stopped, and used by one command at a time."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flareseg.config.settings import read_yaml
from flareseg.config.yaml_core import dump_yaml
from flareseg.errors import ErrorCode, FlaresegError, SettingsError
from flareseg.flare.session import lead_session
from flareseg.poc.kits import kit_environment, last_words, start_kit
from flareseg.poc.preflight import check_place
from flareseg.poc.provision import adapt_project
from flareseg.processes import choose_ports, end_processes, port_answers, processes_of, uninterrupted

_START_SECONDS = 300.0
_LOOK_SECONDS = 0.2
_MARK = ".flareseg-workspace"
_STAYS = "stays"


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
        self._started: dict[str, subprocess.Popen[bytes]] = {}

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
            SettingsError: the folder holds something that is not ours, or NVFlare cannot work in it.
        """
        check_place(self.folder)
        mark = self.folder / _MARK
        if self.folder.exists() and not mark.exists() and any(self.folder.iterdir()):
            raise SettingsError(
                f"{self.folder}: is not empty and was not made by flareseg.", "Choose a new folder with --workspace."
            )
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        mark.touch()

    @contextmanager
    def held(self, *, stays: bool = False) -> Iterator[None]:
        """Keep other commands that start a federation out of the workspace.

        Args:
            stays: the federation is meant to outlive the command; one that is not, and is found later, is left over.

        Raises:
            PocError: another command is at work here, or a federation runs that is meant to.
        """
        self.claim()
        with (self.folder / _MARK).open("r+") as mark:
            try:
                fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise PocError(
                    f"{self.folder}: another flareseg command is at work here (pid {mark.read().split()[0]}).",
                    "Wait for it, end it with Ctrl-C, or choose another folder with --workspace.",
                ) from None
            if processes_of(self.poc) and _STAYS in mark.read():
                raise PocError(f"{self.folder}: a federation runs here already.", "Stop it with flareseg poc stop.")
            mark.seek(0)
            mark.truncate()
            mark.write(f"{os.getpid()} {_STAYS if stays else ''}\n")
            mark.flush()
            yield

    def require_running(self) -> None:
        """Check that a federation runs here.

        Raises:
            SettingsError: none does.
        """
        if not processes_of(self.poc):
            raise SettingsError(
                f"{self.folder}: no federation runs here.",
                "Start one with flareseg poc start, or name its --workspace.",
            )

    def prepare(self, project: Path, sites: Path, names: list[str], tell: Callable[[str], None]) -> None:
        """Provision the federation.

        Args:
            project: the project.yml to start from; its clients give each site's organisation.
            sites: folder with ``<site>/site.yaml``.
            names: the sites.
            tell: for what the user should know: other ports, processes that a killed command left.

        Raises:
            SettingsError: the project or the sites cannot be used.
            PocError: NVFlare refused.
        """
        content = read_yaml(project)
        left = end_processes(self.poc, patience=0)
        if left:
            tell(f"Ended {len(left)} processes that a killed command had left here")
        ports, messages = choose_ports()
        adapt_project(content, project, names, ports, sites.resolve())
        for message in messages:
            tell(message)
        shutil.rmtree(self.poc, ignore_errors=True)
        self.home.mkdir(parents=True, exist_ok=True)
        adapted = self.folder / "project.yml"
        adapted.write_text(dump_yaml(content))
        self._nvflare_prepare(adapted)

    def start(self) -> None:
        """Start server and sites and wait until every site is registered.

        Raises:
            PocError: one of them ended or did not come; nothing of this workspace is left running.
        """
        environment = kit_environment(self.poc, self.home)
        try:
            names = [*self.participants("server"), *self.participants("client")]
            self._started = {name: start_kit(self.kits / name, environment) for name in names}
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
            time.sleep(_LOOK_SECONDS)
            self._check_alive()
            if not any(port_answers(server[key]) for key in ("fed_learn_port", "admin_port")):
                continue
            try:
                with lead_session(user, kit) as session:
                    while not wanted <= seen and time.monotonic() < deadline:
                        self._check_alive()
                        seen = {client.name for client in session.get_connected_client_list()}
                        time.sleep(_LOOK_SECONDS)
            except PocError:
                raise
            except Exception as error:  # whatever NVFlare makes of a server that is still starting
                reason = f"; the last answer was {type(error).__name__}: {error}"
                continue
            if wanted <= seen:
                return
        raise PocError(
            f"{', '.join(sorted(wanted - seen))}: not connected after {_START_SECONDS:.0f} s{reason}.",
            f"See log.txt of each participant below {self.kits}.",
        )

    def _check_alive(self) -> None:
        for name, process in self._started.items():
            if process.poll() is not None:
                raise PocError(
                    f"{name}: its process ended with code {process.returncode} ({last_words(self.kits / name)}).",
                    f"See {self.kits / name}/log.txt.",
                )

    def stop(self) -> list[int]:
        """End server and sites, and wait until no process of this workspace is left.

        What a job has reported by then is on the disk. The processes of a job that still runs end with their parents.

        Returns:
            Ids of the processes that were ended.
        """
        with uninterrupted():
            return end_processes(self.poc, patience=0)

    def _nvflare_prepare(self, project: Path) -> None:
        command = [sys.executable, "-m", "nvflare.cli", "poc", "prepare", "-i", str(project), "--force"]
        with self.log.open("a") as log:
            log.write("$ nvflare poc prepare\n")
            log.flush()
            done = subprocess.run(
                command,
                env=kit_environment(self.poc, self.home),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                check=False,
                start_new_session=True,
            )
        if done.returncode:
            tail = " ".join(self.log.read_text(errors="replace").strip().splitlines()[-2:])
            raise PocError(f"nvflare poc prepare ended with code {done.returncode}: {tail}", f"See {self.log}.")
