"""The kit's policy: does it name classes that this version of flareseg has?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flareseg.errors import SettingsError
from flareseg.flare.site_check.kit import Kit
from flareseg.flare.site_check.report import Check, green, red
from flareseg.job.renamed import renamed

_NAME = "policy"
_FILES = ("resources.json", "privacy.json")


def check_policy(kit: Kit) -> Check:
    """Check the classes that ``local/resources.json`` and ``local/privacy.json`` name."""
    moved = []
    try:
        for file in _FILES:
            said = {renamed(text) for text in _texts(kit.local_json(file))} - {""}
            moved += [f"local/{file}: {text}" for text in sorted(said)]
    except SettingsError as error:
        return red(_NAME, error.message, error.remedy)
    if moved:
        return red(
            _NAME,
            "; ".join(moved),
            "Write the present names, or take the files from a kit provisioned anew with this version.",
        )
    return green(_NAME, "names classes of this version")


def _texts(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict | list):
        for child in node.values() if isinstance(node, dict) else node:
            yield from _texts(child)
