"""The site's data, and whether a job can run on it here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nvflare.utils.job_launcher_utils import get_resource_manager_spec

from flareseg.config.site import SITE_FILE, Site, load_site
from flareseg.config.task import Task
from flareseg.data.check.run import quick_check
from flareseg.data.datalist import list_cases
from flareseg.data.faults.findings import Finding, stopping
from flareseg.errors import FlaresegError
from flareseg.flare.site_check.kit import Kit
from flareseg.flare.site_check.report import Check, green, red, yellow
from flareseg.job.allow_list import CLASS_ALLOW_LIST
from flareseg.job.approval import APPROVED_JOBS, refusal
from flareseg.job.folder import load_job
from flareseg.job.manifest import job_manifest


def check_site_file(kit: Kit) -> tuple[Site | None, Check]:
    """Read ``local/site.yaml``."""
    path = kit.local / SITE_FILE
    if not path.is_file():
        return None, red(
            SITE_FILE, f"no {path}", "In the kit: cp local/site.yaml.sample local/site.yaml, and fill it in."
        )
    try:
        site = load_site(path)
    except FlaresegError as error:
        return None, red(SITE_FILE, error.message, error.remedy)
    return site, green(SITE_FILE, f"{site.modality}, labels {', '.join(site.labels)}")


def check_data(kit: Kit, site: Site) -> Check:
    """Check files, headers and splits of the site's data; ``flareseg data check`` reads every voxel."""
    listing = list_cases(site.data)
    counts = ", ".join(f"{len(cases)} {split}" for split, cases in listing.splits.items()) + " cases"
    excluded = f", {listing.excluded} excluded" if listing.excluded else ""
    return _data("data", counts + excluded, quick_check(site, None, kit.local / SITE_FILE), site)


def _data(name: str, well: str, findings: list[Finding], site: Site) -> Check:
    wrong = stopping(findings, leave_out=site.data.on_bad_case == "leave_out")
    shown = wrong or findings
    if not shown:
        return green(name, well)
    more = f" ({len(shown) - 1} more: flareseg data check local/site.yaml)" if len(shown) > 1 else ""
    if wrong:
        return red(name, wrong[0].message + more, wrong[0].remedy)
    return yellow(name, f"{well}; {shown[0].message}{more}", shown[0].remedy)


def check_job(kit: Kit, site: Site | None, job: Path) -> list[Check]:
    """Check whether a job would be taken here: scope, classes, resources, task.

    Args:
        kit: the site's kit.
        site: its site.yaml, where that can be read.
        job: a job folder, such as the lead's bundle.
    """
    try:
        meta, task = load_job(job)
    except FlaresegError as error:
        return [red("job", error.message, error.remedy)]
    checks = [_scope(kit, meta), _classes(kit, job, meta), _resources(kit, meta), _approval(kit, job, meta)]
    return checks if site is None else [*checks, _task(kit, site, task)]


def _task(kit: Kit, site: Site, task: Task) -> Check:
    return _data("job: data", f"fit the task {task.name}", quick_check(site, task, kit.local / SITE_FILE), site)


def _approval(kit: Kit, job: Path, meta: dict[str, Any]) -> Check:
    folder = kit.local / APPROVED_JOBS
    if not folder.is_dir():
        return green("job: approval", "not asked for: no local/approved_jobs")
    reason = refusal(folder, meta["name"], job_manifest(job))
    if reason:
        return red("job: approval", reason, f"Review {job} and approve it: flareseg site approve {job}")
    return green("job: approval", "approved")


def _scope(kit: Kit, meta: dict[str, Any]) -> Check:
    asked = meta.get("scope", "")
    offered = [scope["name"] for scope in kit.local_json("privacy.json").get("scopes", [])]
    if asked in offered:
        return green("job: scope", f"{asked} is one of the site's ({', '.join(offered)})")
    return red(
        "job: scope",
        f"the job asks for {asked or 'none'}, local/privacy.json has {', '.join(offered) or 'none'}",
        "Agree on a scope with the lead; local/privacy.json is the site's to decide.",
    )


def _classes(kit: Kit, job: Path, meta: dict[str, Any]) -> Check:
    if any((job / app / "custom").exists() for app in meta["deploy_map"]):
        return _byoc(kit)
    allowed = kit.local_json("resources.json").get("class_allow_list", CLASS_ALLOW_LIST)
    built = {path for app in meta["deploy_map"] for path in _paths(job / app / "config" / "config_fed_client.json")}
    refused = sorted(built - set(allowed))
    if refused:
        return red(
            "job: classes",
            f"not on the site's list: {', '.join(refused)}",
            "Ask the lead for a job of listed classes, or review and add them to local/resources.json.",
        )
    return green("job: classes", f"all {len(built)} are on the site's list")


def _byoc(kit: Kit) -> Check:
    rights = kit.local_json("authorization.json").get("permissions", {})
    allowed = sorted(role for role, right in rights.items() if isinstance(right, dict) and right.get("byoc") != "none")
    if allowed:
        return green("job: classes", f"the job brings code; the site takes it from {', '.join(allowed)}")
    return red(
        "job: classes",
        "the job brings code of its own (app/custom), the site takes none",
        "Ask the lead for a bundle without --byoc, or allow byoc in local/authorization.json.",
    )


def _paths(config: Path) -> Iterator[str]:
    def walk(node: Any) -> Iterator[str]:
        if isinstance(node, dict):
            if isinstance(node.get("path"), str):
                yield node["path"]
            node = list(node.values())
        for child in node if isinstance(node, list) else ():
            yield from walk(child)

    yield from walk(json.loads(config.read_text(encoding="utf-8")))


def _resources(kit: Kit, meta: dict[str, Any]) -> Check:
    asked = get_resource_manager_spec(meta, kit.name)
    components = kit.local_json("resources.json").get("components", [])
    offered: dict[str, Any] = next(
        (item.get("args", {}) for item in components if item.get("id") == "resource_manager"), {}
    )
    short = [
        f"{key} {value}, offered {offered.get(key, 0)}"
        for key, value in asked.items()
        if isinstance(value, int | float) and value > offered.get(key, 0)
    ]
    if short:
        return red(
            "job: resources",
            f"the job asks for {'; '.join(short)}",
            "Set args of resource_manager in local/resources.json to what this machine has, or ask for a smaller job.",
        )
    return green("job: resources", f"asks for {asked or 'none'}")
