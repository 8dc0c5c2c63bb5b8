"""Provisioning builder: puts a site's policy, and what its operator needs, into its kit."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from nvflare.lighter.constants import PropKey, ProvFileName
from nvflare.lighter.ctx import ProvisionContext
from nvflare.lighter.entity import Participant, Project
from nvflare.lighter.spec import Builder

from flareseg.config.extensions import write_extensions
from flareseg.config.site import SITE_FILE
from flareseg.errors import SettingsError
from flareseg.flare.provision.kit import write_readme, write_sample, write_site_file, write_unit
from flareseg.flare.provision.monitoring import monitoring_components
from flareseg.flare.provision.policy import CELL_BOUNDARY, JOB_COMPONENTS, authorization, privacy
from flareseg.flare.provision.resources import COMMUNICATION, client_resources, server_resources
from flareseg.flare.provision.scripts import UMASK, adapt_script
from flareseg.flare.provision.versions import write_versions
from flareseg.flare.safeguards.logs import LOG_CONFIG, event_logs

RESOURCES = "resources.json.default"
COMMUNICATION_FILE = "comm_config.json"
AUTHORIZATION_FILE = "authorization.json.default"
PRIVACY_FILE = "privacy.json"
SERVER_KEYS, SITE_KEYS = ProvFileName.SERVER_CONTEXT_TENSEAL, ProvFileName.CLIENT_CONTEXT_TENSEAL


class SitePolicyBuilder(Builder):
    """Writes class allow-list, permissions, privacy scopes, stores, README and systemd unit of every kit.

    Below ``startup/`` it touches the scripts, so that what a kit's processes write is their owner's alone, as is all
    that provisioning writes, private keys first of all; and it puts
    :class:`~flareseg.flare.safeguards.cell_boundary.CellBoundary` first among the components of ``fed_server.json`` and
    ``fed_client.json``. A site's ``parent`` in the project file is for hierarchical jobs: the jobs' processes of the
    two may then exchange messages, which those of other sites may not.

    Works in ``nvflare poc prepare``, ``nvflare provision`` and ``nvflare package``; stands after NVFlare's
    StaticFileBuilder in the project or participant file, and after HEBuilder where sites shall be able to encrypt.

    Args:
        sites: folder with ``<site>/site.yaml`` for each client; without it the operator fills in a sample.
        revoked: names of users who may do nothing any more, whatever their certificate says.
        extensions: names of installed networks, losses and augmentations that jobs may use (docs/extending.md); each
            server and site changes its own list in ``local/extensions.yaml``.
        monitoring: ``host:port`` of a StatsD listener for NVFlare's metrics, as every kit's machine reaches it.
    """

    def __init__(
        self,
        sites: str | None = None,
        revoked: Sequence[str] = (),
        monitoring: str | None = None,
        extensions: Sequence[str] = (),
    ) -> None:
        self.sites = None if sites is None else Path(sites)
        self.revoked = tuple(revoked)
        self.monitoring = monitoring
        self.extensions = tuple(extensions)
        self._parents: dict[str, str] = {}

    def initialize(self, project: Project, ctx: ProvisionContext) -> None:
        """Let nobody else read what this process writes from here on."""
        os.umask(UMASK)

    def finalize(self, project: Project, ctx: ProvisionContext) -> None:
        """Take the rights of others from what was there before, and from scripts."""
        close_to_others(Path(ctx.get_workspace()))

    def build(self, project: Project, ctx: ProvisionContext) -> None:
        """Write the files into each kit.

        Raises:
            SettingsError: the project has relays.
        """
        self._refuse_relays(project)
        parents = {client.name: client.get_prop(PropKey.PARENT) for client in project.get_clients()}
        self._parents = {name: parent.name for name, parent in parents.items() if parent is not None}
        server = project.get_server()
        self._build_participant(server, ctx, server_resources)
        ports = " and ".join(str(port) for port in sorted({ctx["fed_learn_port"], ctx["admin_port"]}))
        write_readme(_kit(server, ctx), name=server.name, kind="server", project=project.name, ports=ports)
        for client in project.get_clients():
            self._build_participant(client, ctx, client_resources)
            self._describe_data(client, ctx)
            write_readme(_kit(client, ctx), name=client.name, kind="site", project=project.name)
        for admin in project.get_admins():
            facts = {"name": admin.name, "kind": "admin", "project": project.name, "role": admin.get_prop("role")}
            write_readme(_kit(admin, ctx), **facts)

    def _build_participant(
        self, participant: Participant, ctx: ProvisionContext, change: Callable[[dict[str, Any]], dict[str, Any]]
    ) -> None:
        self._guard_cells(participant, ctx)
        local = Path(ctx.get_local_dir(participant))
        resources = local / RESOURCES
        content = change(json.loads(resources.read_text()))
        monitors = [] if self.monitoring is None else monitoring_components(participant.name, self.monitoring)
        content["components"] += monitors
        _write_json(resources, content)
        _write_json(local / COMMUNICATION_FILE, COMMUNICATION)
        _write_json(local / LOG_CONFIG, event_logs(json.loads((local / LOG_CONFIG).read_text())))
        _write_json(local / AUTHORIZATION_FILE, authorization(self.revoked))
        keys = [Path(ctx.get_kit_dir(participant)) / name for name in (SERVER_KEYS, SITE_KEYS)]
        scopes = privacy(keys=any(path.is_file() for path in keys), site=keys[1].is_file())
        _write_json(local / PRIVACY_FILE, {**scopes, "components": [*JOB_COMPONENTS[participant.type], *monitors]})
        write_extensions(local, self.extensions)
        write_versions(local)
        write_unit(_kit(participant, ctx))
        for name in (ProvFileName.START_SH, ProvFileName.SUB_START_SH):
            adapt_script(Path(ctx.get_kit_dir(participant)) / name)

    @staticmethod
    def _refuse_relays(project: Project) -> None:
        relays = [relay.name for relay in project.get_relays()]
        if relays:
            raise SettingsError(
                f"The project has relays ({', '.join(relays)}), and NVFlare's relay does not guard its cell: it passes "
                "on what any registered site says, and in whose name.",
                "Let the sites connect to the server directly; a TCP proxy that leaves TLS as it is may stand between.",
            )

    def _guard_cells(self, participant: Participant, ctx: ProvisionContext) -> None:
        name = ProvFileName.FED_SERVER_JSON if participant.type == "server" else ProvFileName.FED_CLIENT_JSON
        path = Path(ctx.get_kit_dir(participant)) / name
        content = json.loads(path.read_text())
        boundary = {"id": "cell_boundary", "path": CELL_BOUNDARY, "args": {"parents": self._parents}}
        _write_json(path, {**content, "components": [boundary, *content.get("components", [])]})

    def _describe_data(self, client: Participant, ctx: ProvisionContext) -> None:
        local = Path(ctx.get_local_dir(client))
        if self.sites is None:
            write_sample(local)
        else:
            write_site_file(self.sites / client.name / SITE_FILE, local)


def close_to_others(folder: Path) -> None:
    """Leave rights to the owner alone, for a folder and all in it."""
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & ~UMASK)


def _kit(participant: Participant, ctx: ProvisionContext) -> Path:
    return Path(ctx.get_ws_dir(participant))


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n")
