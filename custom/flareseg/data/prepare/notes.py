"""What ``flareseg data prepare`` tells about a site beside its table."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from glob import escape

from flareseg.data.prepare.label_map import Meaning
from flareseg.data.prepare.layouts.source import SourceCase

_MOST_NAMED = 5


def notes_on(
    cases: Sequence[SourceCase], meaning: Meaning, eight_bit: Collection[str], sizeless: Collection[str]
) -> list[str]:
    """Say what the user should know of a site's cases.

    Args:
        cases: the site's cases.
        meaning: what its label values stand for, and what was met in converting.
        eight_bit: names of CT images that hold no HU, where nobody said what they hold.
        sizeless: names of images whose header does not know the voxel size.
    """
    notes = []
    ct = [case.name for case in cases if case.modality == "CT"]
    narrow = [name for name in ct if name in eight_bit]
    if narrow and len(narrow) == len(ct):
        notes.append("CT of 8 bits holds no HU. If you know its window, add --window LOW HIGH.")
    elif narrow:
        notes.append(
            f"{len(narrow)} of {len(ct)} CT images are of 8 bits and hold no HU ({_some(narrow)}), the others may: "
            "prepare the two kinds apart, with --only or --except, and add --window LOW HIGH for those of 8 bits."
        )
    lacking = [case.name for case in cases if case.name in sizeless]
    if lacking:
        notes.append(
            f"the headers of {len(lacking)} images do not know the voxel size ({_some(lacking)}): sizes in mm would be "
            "wrong. State it in site.yaml (data.spacing), or leave them out with --except."
        )
    for group, voxels in meaning.shared.items():
        notes.append(
            f"{len(voxels)} cases hold voxels that are {' and '.join(group)} ({sum(voxels.values())} voxels, in "
            f"{_some(list(voxels))}): they count for each."
        )
    if meaning.empty:
        flags = " ".join(f"--except '{escape(name)}'" for name in meaning.empty[:_MOST_NAMED])
        notes.append(
            f"{len(meaning.empty)} cases hold none of the labels ({_some(meaning.empty)}); training would take all of "
            f"them for background. If nobody annotated them, leave them out: {flags}"
            + (" and so on." if len(meaning.empty) > _MOST_NAMED else ".")
        )
    return notes


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_MOST_NAMED]) + (", ..." if len(names) > _MOST_NAMED else "")
