"""``dataset.json``, which MSD, AMOS and nnU-Net keep beside their images."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flareseg.config.settings import each_key_once
from flareseg.data.prepare.layouts.source import not_this_layout, unreadable_source
from flareseg.data.prepare.organ_names import organs_of


def read_dataset_json(source: Path) -> dict[str, Any]:
    """Read ``dataset.json``.

    Raises:
        DataError: it is missing, names a key twice, or is no JSON object with labels.
    """
    path = source / "dataset.json"
    if not path.is_file():
        raise not_this_layout(source, "dataset.json with imagesTr/ and labelsTr/")
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"), object_pairs_hook=each_key_once)
    except (OSError, ValueError, RecursionError) as error:
        raise unreadable_source(path, f"is not JSON ({error}).", "Download or export it again.") from None
    if not isinstance(content, dict) or not isinstance(content.get("labels"), dict):
        raise unreadable_source(path, 'expected an object with "labels".', "Download or export it again.")
    return content


def labels_by_value(content: Mapping[str, Any], path: Path) -> dict[str, tuple[int, ...]]:
    """Organs of ``{"0": "background", "1": "liver"}``, as MSD and AMOS write them."""
    labels = content["labels"]
    if not all(value.isascii() and value.isdigit() and isinstance(name, str) for value, name in labels.items()):
        raise unreadable_source(
            path,
            f'expected labels as {{"1": "liver"}}, found {json.dumps(labels)[:80]}.',
            "The layout nnunet has names first: choose the layout that fits.",
        )
    return organs_of(((name, (int(value),)) for value, name in labels.items()), path)


def labels_by_name(labels: Mapping[str, Any], path: Path) -> dict[str, tuple[int, ...]]:
    """Organs of ``{"background": 0, "liver": 1, "kidneys": [2, 3]}``, as nnU-Net writes them."""
    values = {}
    for name, value in labels.items():
        several = tuple(value) if isinstance(value, list) else (value,)
        if not all(isinstance(one, int) and not isinstance(one, bool) for one in several):
            raise unreadable_source(
                path, f"labels.{name}: expected a number or a list of numbers, found {value!r}.", "Correct the file."
            )
        values[name] = several
    return organs_of(values.items(), path)
