"""A job's description for people: what a site's reviewer reads before approving it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from flareseg.config.settings import load_settings, read_json
from flareseg.config.task import Task
from flareseg.config.words import (
    describe_aggregation,
    describe_augmentation,
    describe_fedgs,
    describe_images,
    describe_network,
    describe_optimisation,
    describe_training,
    describe_validation,
)
from flareseg.errors import printable
from flareseg.job.allow_list import CLASS_ALLOW_LIST
from flareseg.job.manifest import job_manifest, manifest_digest, read_meta
from flareseg.networks import build_network, unsent_names
from flareseg.privacy.scopes import SCOPES

_STATISTICS = "flareseg.flare.site.statistics_executor.SiteStatisticsExecutor"
_EXTRAS = ("launcher_spec", "custom_props", "mandatory_clients")
_SIDES = {"server": "config_fed_server.json", "sites": "config_fed_client.json"}
TASK_NAME = "task.yaml"
BACKTICK = r"\x60"
_PLAIN = re.compile(r"[\w@.,+/ -]{1,100}")
"""A name that reads the same in Markdown: no line end, no mark of Markdown or HTML."""


def review(folder: Path) -> str:
    """Describe a job folder in Markdown: training, data, duration, privacy scope, what leaves a site, classes, files.

    Of several apps each is described, with the sites that get it. Names that the job's author chose stand in the text
    as they are only where they cannot be taken for part of it.

    Raises:
        SettingsError: a file of the job cannot be used.
    """
    manifest = job_manifest(folder)
    meta = read_meta(folder)
    apps = meta["deploy_map"]
    lines = [f"# Job {said(meta['name'])}", "", f"Digest of all files: `{manifest_digest(manifest)}`", ""]
    lines += _section("Privacy scope and resources", _scope(meta))
    if len(apps) > 1:
        parts = [f"{said(app)}: {_sites(targets)}" for app, targets in apps.items()]
        lines += _section(f"{len(apps)} apps, one for each site", parts)
    for app in apps:
        if len(apps) > 1:
            lines += [f"# App {said(app)}", ""]
        lines += _app(folder, app, meta, manifest)
    lines += ["# Files" if len(apps) > 1 else "## Files", "", "SHA-256 of each file that reaches a site:", "", "```"]
    lines += [f"{digest}  {path}" for path, digest in manifest.items()]
    return "\n".join([*lines, "```", ""])


def _app(folder: Path, app: str, meta: Mapping[str, Any], manifest: Mapping[str, str]) -> list[str]:
    config = folder / app / "config"
    sides = {side: _read(config / name) for side, name in _SIDES.items()}
    task_file = config / TASK_NAME
    task = load_settings(Task, task_file) if task_file.is_file() else None
    statistics = _STATISTICS in dict(_built(sides["sites"]))
    code = [path for path in manifest if path.startswith(f"{app}/custom/")]
    known = {f"{app}/config/{name}" for name in (TASK_NAME, *_SIDES.values())}
    other = [path for path in manifest if path.startswith(f"{app}/") and path not in {*known, *code}]
    lines = []
    if task is not None and statistics:
        lines += _section("What is counted", [f"Nothing is trained. Labels: {_names(task.labels)}."])
    elif task is not None:
        lines += _section("What is trained", _training(task))
        lines += _section("On what", _data(task))
        lines += _section("For how long", _duration(task, meta))
    leaving = _statistics() if statistics else _leaving(task, sides["sites"], foreign_code=bool(code))
    lines += _section("What leaves the site", leaving)
    lines += _section("Which classes are built", _classes(sides))
    lines += _section(
        "Code",
        [
            f"**{len(code)} files of code in the job** (BYOC): they run at the site with the rights of the NVFlare "
            "process. Read them, or compare their hashes with a release you trust."
            if code
            else "None: the job is configuration only and runs the flareseg package installed at the site."
        ],
    )
    if other:
        lines += _section("**Not described here: read them**", [f"{_code(path)}" for path in other])
    return lines


def said(text: str) -> str:
    """A name that somebody else chose, as it may stand in a text: as it is, or escaped and marked as code."""
    return text if _PLAIN.fullmatch(text) else _code(text)


def _code(text: str) -> str:
    return f"`{printable(text).replace('`', BACKTICK)}`"


def _names(texts: Iterable[str]) -> str:
    return ", ".join(said(text) for text in texts)


def _sites(targets: list[Any]) -> str:
    names = [target if isinstance(target, str) else json.dumps(target, sort_keys=True) for target in targets]
    return "every site and the server" if names == ["@ALL"] else _names(names) or "nobody"


def _section(title: str, points: list[str]) -> list[str]:
    return [f"## {title}", "", *(f"- {printable(point)}" for point in points), ""]


def _training(task: Task) -> list[str]:
    kind = "axial slices" if task.spatial_dims == 2 else "volumes"
    return [
        f"Task `{task.name}`: segmentation of {_names(task.labels)} on {kind}.",
        f"Network {describe_network(task)} {_shared(task):,} numbers are shared; their initial values come from seed "
        f"{task.training.seed}.",
        describe_optimisation(task),
        f"Augmentation: {describe_augmentation(task)}",
        f"FedGS: {describe_fedgs(task)}",
    ]


def _data(task: Task) -> list[str]:
    return [
        *describe_images(task),
        "Which images these are, the site says itself in its local/site.yaml; the job cannot name a file.",
    ]


def _duration(task: Task, meta: Mapping[str, Any]) -> list[str]:
    return [
        describe_training(task),
        describe_aggregation(task, meta["min_clients"]),
        describe_validation(task),
    ]


def _scope(meta: Mapping[str, Any]) -> list[str]:
    asked = meta.get("resource_spec")
    resources = f"{_code(json.dumps(asked, sort_keys=True))}." if asked else "none asked for beyond a process."
    name = meta.get("scope")
    name = name if isinstance(name, str) and name else "(none named)"
    meaning = (SCOPES[name].__doc__ or "").partition("\n")[0] if name in SCOPES else "flareseg knows no such scope."
    return [
        f"Scope {_code(name)}: {meaning} Its settings are the site's own, in local/privacy.json.",
        f"Resources: {resources}",
        *(f"Also asked for: {key} {_code(json.dumps(meta[key]))}." for key in _EXTRAS if key in meta),
    ]


def _leaving(task: Task | None, sites: Mapping[str, Any], *, foreign_code: bool) -> list[str]:
    filters = ", ".join(_code(path) for path, _ in _built(sites.get("task_result_filters")))
    points = [f"Results pass the job's own filters: {filters}."] if filters else []
    foreign = [path for path, _ in _built(sites) if path not in CLASS_ALLOW_LIST]
    if foreign or foreign_code:
        points.append("**The job brings code or classes of its own: the following holds for flareseg's only.**")
    if task is None:
        return [*points, "See the classes below: the job has no task.yaml of flareseg."]
    local = ", ".join(_code(pattern) for pattern in task.local_parameters)
    return [
        *points,
        f"In each round the change of the network's {_shared(task):,} shared numbers, summed over the round's steps"
        + (f"; never those that match {local}." if local else "."),
        "Beside it the number of steps, the mean FedGS scale, the loss, seconds, the modality, and the Dice scores of "
        "each label with the number of volumes they were taken over.",
        "At a failure an error code, and a case id salted anew for each job.",
        "The versions of flareseg and a digest of task.yaml, which must be the same everywhere.",
        "Never images, labels, file names, paths or case names.",
    ]


def _statistics() -> list[str]:
    return [
        "Sums over the site's patients: their number and that of their images, voxels and ml of each label, number and "
        "mean size of targets, mean intensity; and histograms of these.",
        "The ends of the sizes' and of MR's intensity ranges, with noise.",
        "Only what the scope statistics of the site's own local/privacy.json lets pass: nothing on too few patients, "
        "no histogram with as many bins as patients. Under another scope the site answers nothing.",
        "At a failure an error code.",
        "Never images, labels, file names, paths or case names.",
    ]


def _classes(sides: Mapping[str, Mapping[str, Any]]) -> list[str]:
    points = []
    for side, content in sides.items():
        built = list(_built(content))
        for path, args in built:
            known = "" if path in CLASS_ALLOW_LIST else " **not on flareseg's allow-list**"
            with_args = f" with {_code(json.dumps(args, sort_keys=True))}" if args else ""
            points.append(f"{side}: {_code(path)}{with_args}{known}")
        if not built:
            points.append(f"{side}: none is named in config/{_SIDES[side]}.")
    return points


def _built(node: Any) -> Iterator[tuple[str, Any]]:
    """Each class that a configuration names, by path or, as NVFlare takes it too, by name; with its arguments."""
    if isinstance(node, dict):
        keys = ("path", "class_path", *(["name"] if node.keys() & {"id", "args"} else []))
        named = next((node[key] for key in keys if isinstance(node.get(key), str)), None)
        if named is not None:
            yield named, node.get("args")
        for value in node.values():
            yield from _built(value)
    elif isinstance(node, list):
        for value in node:
            yield from _built(value)


def _read(path: Path) -> dict[str, Any]:
    return read_json(path) if path.is_file() else {}


def _shared(task: Task) -> int:
    network = build_network(task)
    own = unsent_names(network, task)
    return sum(value.numel() for name, value in network.state_dict().items() if name not in own)
