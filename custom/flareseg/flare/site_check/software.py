"""Versions beside the federation's, and NVFlare's own preflight check."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping

from flareseg.errors import SettingsError
from flareseg.flare.provision.versions import VERSIONS, installed_versions
from flareseg.flare.site_check.kit import Kit
from flareseg.flare.site_check.report import Check, Verdict, green, red, yellow

_MUST_BE_EQUAL = ("nvflare", "flareseg")
_PREFLIGHT_SECONDS = 120


def check_versions(kit: Kit) -> Check:
    """Compare what is installed here with the kit's ``local/versions.json``."""
    try:
        wanted = kit.local_json(VERSIONS)
    except SettingsError as error:
        return red("versions", error.message, error.remedy)
    return judge_versions(wanted, installed_versions())


def judge_versions(wanted: Mapping[str, str], ours: Mapping[str, str]) -> Check:
    """NVFlare and flareseg must be the federation's; another PyTorch or MONAI costs reproducibility only."""
    said = ", ".join(f"{name} {number}" for name, number in ours.items())
    if not wanted:
        return yellow("versions", f"{said}; the kit does not say the federation's", "Ask the lead for the versions.")
    differing = [name for name, number in wanted.items() if ours.get(name) != number]
    if not differing:
        return green("versions", f"{said}: as the federation's")
    found = "; ".join(
        f"{name} {ours.get(name, '(not installed)')}, the federation's is {wanted[name]}" for name in differing
    )
    remedy = "pip install " + " ".join(_requirement(name, wanted[name]) for name in differing)
    if "flareseg" in differing:  # it is on no package index
        remedy += " (the wheel comes from the project admin)"
    if any(name in _MUST_BE_EQUAL for name in differing):
        return red("versions", found, remedy)
    return yellow("versions", found, remedy)


def _requirement(name: str, number: str) -> str:
    return f"flareseg-{number}-py3-none-any.whl" if name == "flareseg" else f"{name}=={number}"


def check_preflight(kit: Kit, *, running: bool, earlier_red: bool) -> Check:
    """Run ``nvflare preflight-check``: it starts the kit for some seconds, as ``start.sh`` would."""
    name = "NVFlare preflight"
    if running:
        return Check(name, Verdict.SKIPPED, "this kit runs already")
    if earlier_red:
        return Check(name, Verdict.SKIPPED, "comes when the lines above are not red")
    command = [sys.executable, "-m", "nvflare.cli", "preflight-check", "-p", str(kit.folder)]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_PREFLIGHT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return red(name, f"did not end in {_PREFLIGHT_SECONDS} s", "Run nvflare preflight-check -p KIT and read it.")
    if done.returncode == 0:
        return green(name, "passed")
    return red(name, _problem(done.stdout), f"Run nvflare preflight-check -p {kit.folder} and read it.")


def _problem(output: str) -> str:
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in output.splitlines() if "|" in line]
    problems = [row[1] for row in rows if len(row) == 3 and row[0] not in ("", "Checks") and row[1] != "PASSED"]
    return "; ".join(problems) or "failed"
