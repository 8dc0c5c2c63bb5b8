"""From the organ names of a data set to the labels of a task."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from flareseg.config.task import Task
from flareseg.errors import SettingsError

Values = Mapping[str, tuple[int, ...]]
LabelMap = dict[str, tuple[int, ...] | None]

_SAME = {
    "arota": "aorta",  # so spelled in AMOS
    "bladder": "urinary_bladder",
    "gall_bladder": "gallbladder",
    "postcava": "inferior_vena_cava",
}
_VALUE = re.compile("[0-9]{1,9}")
_LESIONS = frozenset(
    {"lesion", "lesions", "tumour", "tumours", "tumor", "tumors", "cancer", "metastasis", "metastases", "polyp", "cyst"}
)


def map_labels(organs: Values, task: Task | None, given: Sequence[str] = ()) -> LabelMap:
    """Say for each label of a task which values of a data set stand for it.

    A label takes the organ of its name, or the left and the right of a pair; the task's small target takes every
    lesion. An organ that is alone with its lesions holds them: a liver's tumour is liver.

    Args:
        organs: the values of each organ that was annotated.
        task: the task; without one every organ is a label.
        given: what the user says, as ``LABEL=ORGAN,ORGAN``, ``LABEL=1,3`` or ``LABEL=none``; goes before the rest.

    Returns:
        The values of each label; None where it was not annotated.

    Raises:
        SettingsError: what the user says cannot be read, or no label of the task was annotated.
    """
    said = dict(_read(assignment, organs) for assignment in given)
    names = task.labels if task else tuple(dict.fromkeys([*map(canonical, organs), *said]))
    unknown = sorted(set(said) - set(names))
    if unknown:
        raise SettingsError(f"--map names {', '.join(unknown)}, the task has {', '.join(names)}.", "Correct --map.")
    lesion = task.lesion.label if task and task.lesion else None
    mapped = {name: said[name] if name in said else _find(name, organs, name == lesion) for name in names}
    if all(values is None for values in mapped.values()):
        raise SettingsError(
            f"No label of the task ({', '.join(names) or 'none given'}) is among the organs of the data "
            f"({', '.join(organs) or 'unknown in this layout'}).",
            "Say what stands for what, such as --map liver=1,3 --map spleen=none.",
        )
    return mapped


def lesion_values(organs: Values, labels: LabelMap, task: Task | None) -> tuple[int, ...]:
    """The values that count as lesions: of the task's small target, else of every organ named as a lesion."""
    if task is not None and task.lesion is not None:
        return labels[task.lesion.label] or ()
    return _united(values for name, values in organs.items() if is_lesion(name))


def canonical(name: str) -> str:
    """An organ's name in one spelling: ``Right Kidney`` is ``kidney_right``."""
    words = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    side = re.fullmatch(r"(left|right)_(\w+)", words)
    words = f"{side[2]}_{side[1]}" if side else words
    return _SAME.get(words, words)


def is_lesion(name: str) -> bool:
    """Whether a name is that of a lesion, such as ``liver_tumour``."""
    return not _LESIONS.isdisjoint(canonical(name).split("_"))


def _find(label: str, organs: Values, small_target: bool) -> tuple[int, ...] | None:
    wanted = canonical(label)
    by_name = {canonical(name): values for name, values in organs.items()}
    lesions = _united(values for name, values in organs.items() if is_lesion(name))
    if small_target or is_lesion(label):
        return by_name.get(wanted) or lesions or None
    sides = [by_name.get(f"{wanted.removesuffix('s')}_{side}") for side in ("left", "right")]
    pair = _united(values for values in sides if values) if all(sides) else None
    found = by_name.get(wanted) or by_name.get(wanted.removesuffix("s")) or pair
    alone = sum(not is_lesion(name) for name in organs) == 1
    return _united([found, lesions]) if found and alone else found


def _united(several: object) -> tuple[int, ...]:
    return tuple(sorted({value for values in several for value in values}))  # type: ignore[attr-defined]


def _read(assignment: str, organs: Values) -> tuple[str, tuple[int, ...] | None]:
    label, separator, right = assignment.partition("=")
    parts = [part.strip() for part in right.split(",") if part.strip()]
    if not separator or not label or not parts:
        raise SettingsError(f"--map {assignment}: expected LABEL=ORGAN,... or LABEL=VALUE,...", "Such as liver=1,3.")
    if parts == ["none"]:
        return label, None
    by_name = {canonical(name): values for name, values in organs.items()}
    values: list[tuple[int, ...]] = []
    for part in parts:
        is_value = _VALUE.fullmatch(part) is not None
        if not is_value and canonical(part) not in by_name:
            raise SettingsError(
                f"--map {assignment}: {part} is no value and no organ of the data ({', '.join(organs) or 'no names'}).",
                "Name organs as the data does, or give their values.",
            )
        values.append((int(part),) if is_value else by_name[canonical(part)])
    return label, _united(values)
