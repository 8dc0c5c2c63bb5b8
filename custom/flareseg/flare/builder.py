"""Provisioning builder: puts each site's policy, and its data settings where known, into its own kit."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import yaml
from nvflare.lighter.ctx import ProvisionContext
from nvflare.lighter.entity import Participant, Project
from nvflare.lighter.spec import Builder

from flareseg.errors import SettingsError
from flareseg.flare.policy import AUTHORIZATION, CLASS_ALLOW_LIST, PRIVACY
from flareseg.settings import read_yaml
from flareseg.site import load_site

RESOURCES = "resources.json.default"
SITE_FILE = "site.yaml"
SAMPLE = Path(__file__).parent / "site.yaml.sample"
NVFLARE_LAUNCHER = "nvflare.app_common.job_launcher.client_process_launcher.ClientProcessJobLauncher"
LAUNCHER = "flareseg.flare.launcher.SiteJobLauncher"


class SitePolicyBuilder(Builder):
    """Writes class allow-list, permissions and privacy scopes of every kit, and ``site.yaml`` of a client's.

    Nothing under ``startup/`` is touched: those files are signed. Works in ``nvflare poc prepare`` and in
    ``nvflare provision``; stands after NVFlare's StaticFileBuilder in project.yml.

    Args:
        sites: folder with ``<site>/site.yaml`` for each client; without it the operator fills in a sample.
    """

    def __init__(self, sites: str | None = None) -> None:
        self.sites = None if sites is None else Path(sites)

    def build(self, project: Project, ctx: ProvisionContext) -> None:
        """Write the files into each ``local/``."""
        for participant in [project.get_server(), *project.get_clients()]:
            local = Path(ctx.get_local_dir(participant))
            self._restrict(local / RESOURCES)
            _write_json(local / "authorization.json.default", AUTHORIZATION)
            _write_json(local / "privacy.json", PRIVACY)
        for client in project.get_clients():
            local = Path(ctx.get_local_dir(client))
            self._harden_client(local / RESOURCES)
            self._describe(client, local)

    @staticmethod
    def _restrict(path: Path) -> None:
        resources = json.loads(path.read_text())
        resources["class_allow_list"] = list(CLASS_ALLOW_LIST)
        _write_json(path, resources)

    @staticmethod
    def _harden_client(path: Path) -> None:
        """Keep logs at the site, and let the job outlive a process that is killed there."""
        resources = json.loads(path.read_text())
        resources["allow_log_streaming"] = False
        components = [item for item in resources["components"] if item["id"] != "site_log_streamer"]
        for item in components:
            if item["path"] == NVFLARE_LAUNCHER:
                item["path"] = LAUNCHER
        resources["components"] = components
        _write_json(path, resources)

    def _describe(self, client: Participant, local: Path) -> None:
        if self.sites is None:
            shutil.copyfile(SAMPLE, local / SAMPLE.name)
            return
        source = self.sites / client.name / SITE_FILE
        if not source.is_file():
            raise SettingsError(f"{source}: no such file.", f"Describe the data of {client.name} there.")
        content = read_yaml(source)
        site = load_site(source)  # paths relative to the source's folder mean nothing in the kit
        content["data"]["root"] = str(site.data.root)
        if site.data.label_root is not None:
            content["data"]["label_root"] = str(site.data.label_root)
        if site.cache is not None:
            content["cache"] = str(site.cache)
        (local / SITE_FILE).write_text(yaml.safe_dump(content, sort_keys=False))


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n")
