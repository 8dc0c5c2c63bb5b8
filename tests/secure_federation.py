"""A provisioned federation over TLS on loopback, run by the kits' own scripts, for integration tests."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from pathlib import Path

import yaml
from nvflare.fuel.flare_api.flare_api import Session

from federation import REPOSITORY, Federation
from flareseg.errors import FlaresegError
from flareseg.flare.session import lead_session
from flareseg.poc.workspace import PocWorkspace
from flareseg.processes import end_processes, free_port, port_answers, processes_of
from tiny import write_tiny_site

PROJECT = REPOSITORY / "provisioning" / "project.yml"
PATIENCE_SECONDS = 240.0
MODALITIES = ("CT", "MR", "CT", "MR", "CT")


def eventually(condition: Callable[[], object], what: str, patience: float = PATIENCE_SECONDS) -> None:
    """Wait until a condition holds; an error that names it where it does not in time."""
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, f"after {patience:.0f} s: not {what}"
        time.sleep(0.3)


class ProvisionedWorkspace(PocWorkspace):
    """The layout of a POC workspace, filled by ``nvflare provision`` and run by ``startup/start.sh`` of each kit.

    Args:
        folder: everything lies here, the home of every process too.
        sites: how many of the hospitals in provisioning/project.yml take part.
    """

    def __init__(self, folder: Path, sites: int) -> None:
        super().__init__(folder)
        self.port = free_port()
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith(("NVFL", "PYTEST"))} | {
            "HOME": str(self.home),
            "OMP_NUM_THREADS": "1",
            "PYTHONWARNINGS": "ignore",
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        }
        content = yaml.safe_load(PROJECT.read_text())
        people = content["participants"]
        (server,) = [item for item in people if item["type"] == "server"]
        server.update(name="localhost", fed_learn_port=self.port, admin_port=self.port)
        clients = [item for item in people if item["type"] == "client"][:sites]
        content["participants"] = [item for item in people if item["type"] != "client" or item in clients]
        self.claim()
        self.poc.mkdir()
        self.home.mkdir()
        (self.poc / "project.yml").write_text(yaml.safe_dump(content, sort_keys=False))

    def call(self, *command: str | Path, code: int = 0) -> str:
        """Run a command of this environment (``nvflare``, ``flareseg``) to its end and give what it printed.

        The command should end with the exit code ``code``.
        """
        done = subprocess.run(
            [str(part) for part in command],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stdout
        return done.stdout

    def provision(self) -> None:
        """Make the kits."""
        self.call("nvflare", "provision", "-p", self.poc / "project.yml", "-w", self.poc, "--force")

    def start_kit(self, kit: Path) -> None:
        """Start a participant as its operator does."""
        with (self.folder / f"{kit.name}.out").open("a") as output:
            subprocess.run(
                [str(kit / "startup" / "start.sh")],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                check=True,
            )

    def stop(self) -> list[int]:
        """End every process of this workspace, and no other."""
        return end_processes(self.poc, patience=0)


class SecureFederation(Federation):
    """One server, hospitals with small data and admins of all four roles, each with a certificate of its own.

    Args:
        folder: a temporary folder that does not exist yet.
        sites: number of hospitals.
    """

    def __init__(self, folder: Path, sites: int = 3) -> None:
        super().__init__(ProvisionedWorkspace(folder, sites), folder / "sites")
        self.workspace: ProvisionedWorkspace
        self.server = "localhost"
        self.site_names = self.workspace.participants("client")

    def provision(self) -> None:
        """Make the kits and fill in each site's ``local/site.yaml``, as its operator does."""
        self.workspace.provision()
        for seed, name in enumerate(self.site_names):
            file = write_tiny_site(self.sites / name, modality=MODALITIES[seed], seed=seed)
            (self.kit(name) / "local" / "site.yaml").write_text(file.read_text())

    def kit(self, name: str) -> Path:
        """The startup kit of a participant."""
        return self.workspace.kits / name

    def user(self, role: str) -> str:
        """The first admin of a role: project_admin, org_admin, lead or member."""
        return self.workspace.participants("admin", role)[0]

    def start(self, *names: str) -> None:
        """Start participants (all, where none is named) and wait until they are registered."""
        started = names or (self.server, *self.site_names)
        if self.server in started:
            self.workspace.start_kit(self.kit(self.server))
            eventually(lambda: port_answers(self.workspace.port), "listening: the server")
        sites = [name for name in started if name != self.server]
        before = {name: self._registrations(name) for name in sites}
        for name in sites:
            self.workspace.start_kit(self.kit(name))
        # the server lists a site that died for minutes: only new lines in the sites' own logs tell
        eventually(lambda: all(self._registrations(name) > before[name] for name in sites), f"registered anew: {sites}")
        self.wait_for_sites(sites)

    def _registrations(self, site: str) -> int:
        return self.site_log(site).count(f"Successfully registered client:{site}")

    def wait_for_sites(self, names: Iterable[str], patience: float = PATIENCE_SECONDS) -> None:
        """Wait until these sites are registered at the server."""
        wanted = set(names)

        def there() -> bool:
            with suppress(FlaresegError), self.session("project_admin") as session:  # a server that starts answers late
                return wanted <= self.registered(session)
            return False

        eventually(there, f"registered: {', '.join(sorted(wanted))}", patience)

    @staticmethod
    def registered(session: Session) -> set[str]:
        """Names of the sites that the server knows."""
        return {client.name for client in session.get_connected_client_list()}

    def stop(self, *names: str) -> None:
        """End participants one by one (SIGTERM, then SIGKILL); all, where none is named."""
        for name in names or (*self.site_names, self.server):
            end_processes(self.kit(name), patience=0)

    def kill(self, name: str) -> None:
        """Kill every process of a participant at once, as a power cut does."""
        for process in sorted(
            processes_of(self.kit(name)), key=lambda found: "sub_start.sh" not in str(found.cmdline())
        ):
            process.kill()
        eventually(lambda: not processes_of(self.kit(name)), f"dead: {name}")
        if name == self.server:  # a dead process's port closes with the last of its threads
            eventually(lambda: not port_answers(self.workspace.port), "closed: the server's port")

    @contextmanager
    def session(self, role: str = "lead", user: str | None = None) -> Iterator[Session]:
        """An admin's session: the first of a role, or the one named."""
        name = user or self.user(role)
        with lead_session(name, self.kit(name)) as session:
            yield session

    def abort(self, job_id: str, role: str = "lead") -> None:
        """Abort a job."""
        with self.session(role) as session:
            session.abort_job(job_id)

    def command(self, text: str, role: str = "lead", user: str | None = None) -> str:
        """Give the server an admin command as typed in the console, and its answer."""
        with self.session(role, user) as session, redirect_stdout(io.StringIO()):
            return str(session.api.do_command(text))

    @contextmanager
    def own_component(self, site: str, path: str) -> Iterator[Path]:
        """A component of tests/hostile in every job's process of a site, as its own IT could add it.

        Args:
            site: name of the site.
            path: module and class.

        Yields:
            The kit's ``local`` folder, which is as before afterwards but for what the component wrote there.
        """
        local = self.kit(site) / "local"
        resources = json.loads((local / "resources.json.default").read_text())
        module = path.partition(".")[0]
        resources["components"].append({"id": module, "path": path, "args": {}})
        (local / "custom").mkdir()
        shutil.copy(REPOSITORY / "tests" / "hostile" / f"{module}.py", local / "custom")
        (local / "resources.json").write_text(json.dumps(resources))
        try:
            yield local
        finally:
            shutil.rmtree(local / "custom")
            (local / "resources.json").unlink()

    def server_log(self) -> str:
        """What the server's parent process wrote, with what went to its terminal."""
        texts = [self.kit(self.server) / "log.txt", self.workspace.folder / f"{self.server}.out"]
        return "\n".join(path.read_text(errors="replace") for path in texts if path.is_file())

    def audit_log(self, name: str | None = None) -> str:
        """NVFlare's audit log of a site, or of the server."""
        kit = self.kit(name or self.server)
        return "\n".join(path.read_text() for path in sorted(kit.rglob("audit.log")))

    def close(self) -> None:
        """End everything that was started here."""
        self.workspace.stop()
        assert not processes_of(self.workspace.poc)
