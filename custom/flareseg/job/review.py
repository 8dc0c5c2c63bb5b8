"""A job in words: what a site's reviewer reads before approving it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from flareseg.config.settings import load_settings
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
from flareseg.job.allow_list import CLASS_ALLOW_LIST
from flareseg.job.manifest import job_manifest, manifest_digest
from flareseg.networks import build_network, local_names
from flareseg.privacy.scopes import SCOPES

_STATISTICS = "flareseg.flare.site.statistics_executor.SiteStatisticsExecutor"
_EXTRAS = ("launcher_spec", "custom_props", "mandatory_clients")
_SIDES = {"server": "config_fed_server", "sites": "config_fed_client"}


def review(folder: Path) -> str:
    """Describe a job folder in Markdown: training, data, duration, privacy scope, what leaves a site, classes, files.

    Raises:
        SettingsError: a file of the job cannot be used.
    """
    manifest = job_manifest(folder)
    meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
    (app,) = list(meta["deploy_map"])[:1]
    config = folder / app / "config"
    task_file = config / "task.yaml"
    task = load_settings(Task, task_file) if task_file.is_file() else None
    statistics = _STATISTICS in dict(_built(_read(config, "sites")))
    lines = [f"# Job {meta['name']}", "", f"Digest of all files: `{manifest_digest(manifest)}`", ""]
    if task is not None and statistics:
        lines += _section("What is counted", [f"Nothing is trained. Labels: {', '.join(task.labels)}."])
    elif task is not None:
        lines += _section("What is trained", _training(task))
        lines += _section("On what", _data(task))
        lines += _section("For how long", _duration(task, meta))
    lines += _section("Privacy scope and resources", _scope(meta))
    lines += _section("What leaves the site", _statistics() if statistics else _leaving(task, config))
    lines += _section("Which classes are built", _classes(config))
    code = [path for path in manifest if path.startswith(f"{app}/custom/")]
    lines += _section(
        "Code",
        [
            f"**{len(code)} files of code in the job** (BYOC): they run at the site with the rights of the NVFlare "
            "process. Read them, or compare their hashes with a release you trust."
            if code
            else "None: the job is configuration only and runs the flareseg package installed at the site."
        ],
    )
    lines += ["## Files", "", "SHA-256 of each file that reaches a site:", "", "```"]
    lines += [f"{digest}  {path}" for path, digest in manifest.items()]
    return "\n".join([*lines, "```", ""])


def _section(title: str, points: list[str]) -> list[str]:
    return [f"## {title}", "", *(f"- {point}" for point in points), ""]


def _training(task: Task) -> list[str]:
    kind = "axial slices" if task.spatial_dims == 2 else "volumes"
    return [
        f"Task `{task.name}`: segmentation of {', '.join(task.labels)} on {kind}.",
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
    asked = meta.get("resource_spec") or {}
    name = str(meta.get("scope") or "(none named)")
    meaning = (SCOPES[name].__doc__ or "").partition("\n")[0] if name in SCOPES else "flareseg knows no such scope."
    return [
        f"Scope `{name}`: {meaning} Its settings are the site's own, in local/privacy.json.",
        "Resources: " + (f"`{json.dumps(asked, sort_keys=True)}`." if asked else "none asked for beyond a process."),
        *(f"Also asked for: {key} `{json.dumps(meta[key])}`." for key in _EXTRAS if key in meta),
    ]


def _leaving(task: Task | None, config: Path) -> list[str]:
    chains = _read(config, "sites").get("task_result_filters", [])
    filters = ", ".join(f"`{item['path']}`" for chain in chains for item in chain["filters"])
    points = [f"Results pass the job's own filters: {filters}."] if filters else []
    foreign = [path for path, _ in _built(_read(config, "sites")) if path not in CLASS_ALLOW_LIST]
    if foreign or (config.parent / "custom").exists():
        points.append("**The job brings code or classes of its own: the following holds for flareseg's only.**")
    if task is None:
        return [*points, "See the classes below: the job has no task.yaml of flareseg."]
    local = ", ".join(task.local_parameters)
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


def _classes(config: Path) -> list[str]:
    points = []
    for side in _SIDES:
        for path, args in _built(_read(config, side)):
            known = "" if path in CLASS_ALLOW_LIST else " **not on flareseg's allow-list**"
            said = f" with `{json.dumps(args, sort_keys=True)}`" if args else ""
            points.append(f"{side}: `{path}`{said}{known}")
    return points


def _built(node: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict):
        if isinstance(node.get("path"), str):
            yield node["path"], node.get("args")
        for value in node.values():
            yield from _built(value)
    elif isinstance(node, list):
        for value in node:
            yield from _built(value)


def _read(config: Path, side: str) -> dict[str, Any]:
    return dict(json.loads((config / f"{_SIDES[side]}.json").read_text(encoding="utf-8")))


def _shared(task: Task) -> int:
    network = build_network(task)
    own = local_names(network, task)
    return sum(value.numel() for name, value in network.state_dict().items() if name not in own)
