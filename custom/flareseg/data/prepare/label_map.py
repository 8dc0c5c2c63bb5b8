"""From the organ names of a data set to the labels of a task: what is certain is done, what is doubtful is asked."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from flareseg.config.task import Task
from flareseg.data.prepare.lesion_names import Fit, fit_of, is_lesion, organ_of
from flareseg.data.prepare.organ_names import canonical
from flareseg.errors import SettingsError, plain

Values = Mapping[str, tuple[int, ...]]
LabelMap = dict[str, tuple[int, ...] | None]
Group = tuple[str, ...]
"""Names of organs that share voxels, in order."""

_LARGEST = 2**16 - 1


@dataclass(frozen=True)
class Meaning:
    """What the values of a site's labels stand for.

    Attributes:
        labels: the values of each label; None where it was not annotated.
        organs: the values of each organ of the data, and of those that share voxels.
        shared: for each group of organs of several labels that share voxels how many, by case.
        empty: the cases that hold none of the labels, as far as that was seen.
    """

    labels: LabelMap
    organs: Values
    shared: dict[Group, dict[str, int]]
    empty: tuple[str, ...]


def map_labels(organs: Values, task: Task | None, given: Sequence[str] = ()) -> LabelMap:
    """Say for each label of a task which values of a data set stand for it.

    A label takes the organ of its name, or the left and the right of a pair. The task's small target, and a label named
    as a lesion, take the lesions of the task's organs. An organ that is alone with its lesions holds them: a liver's
    tumour is liver.

    Args:
        organs: the values of each organ that was annotated.
        task: the task; without one every organ is a label.
        given: what the user says, as ``LABEL=ORGAN,ORGAN``, ``LABEL=1,3`` or ``LABEL=none``; goes before the rest.

    Returns:
        The values of each label; None where it was not annotated.

    Raises:
        SettingsError: what the user says cannot be read, names alone do not tell what stands for a label, or no label
            of the task was annotated.
    """
    said = _said(given, organs)
    names = task.labels if task else tuple(dict.fromkeys([*map(canonical, organs), *said]))
    unknown = sorted(set(said) - set(names))
    if unknown:
        raise SettingsError(
            f"--map names {plain(', '.join(unknown))}, the task has {', '.join(names)}.", "Correct --map."
        )
    mapped: LabelMap = {}
    doubts = []
    for name in names:
        try:
            mapped[name] = said[name] if name in said else _find(name, organs, task)
        except _Doubt as doubt:
            doubts.append((name, doubt.candidates))
    if doubts:
        raise _question(doubts, organs)
    if all(values is None for values in mapped.values()):
        raise SettingsError(
            f"No label of the task ({', '.join(names) or 'none given'}) is among the organs of the data "
            f"({_listed(organs) or 'unknown in this layout'}).",
            "Say what stands for what, such as --map liver=1,3 --map spleen=none.",
        )
    return mapped


def lesion_values(organs: Values, labels: LabelMap, task: Task | None) -> tuple[int, ...]:
    """The values that count as lesions: of the task's small target, else of every organ named as a lesion."""
    if task is not None and task.lesion is not None:
        return labels[task.lesion.label] or ()
    return _united(values for name, values in organs.items() if is_lesion(name))


def named(values: Iterable[int], organs: Values) -> str:
    """Values with the data set's names for them, such as ``liver 1, tumour 2``."""
    parts: dict[str, list[int]] = {}
    for value in values:
        holders = sorted((len(own), name) for name, own in organs.items() if value in own)
        parts.setdefault(holders[0][1] if holders else "", []).append(value)
    return ", ".join(f"{name} {', '.join(map(str, own))}".strip() for name, own in parts.items())


def left_over(labels: LabelMap, organs: Values) -> dict[str, tuple[int, ...]]:
    """The organs of the data that stand for no label, and so are background."""
    used = set(_united(values for values in labels.values() if values))
    return {name: values for name, values in organs.items() if not used.intersection(values)}


class _Doubt(Exception):  # noqa: N818 - becomes a question to the user
    """Names alone do not tell which of these organs stand for a label."""

    def __init__(self, candidates: Sequence[str]) -> None:
        super().__init__()
        self.candidates = candidates


def _question(doubts: Sequence[tuple[str, Sequence[str]]], organs: Values) -> SettingsError:
    asked = "; ".join(
        f"{label} may or may not be {', '.join(f'{name} ({_numbers(organs[name])})' for name in candidates)}"
        for label, candidates in doubts
    )
    label, candidates = doubts[0]
    return SettingsError(
        f"Names alone do not tell what stands for a label: {asked}.",
        f"Say it: --map '{label}={','.join(candidates)}', or --map {label}=none where it was never annotated.",
    )


def _find(label: str, organs: Values, task: Task | None) -> tuple[int, ...] | None:
    by_name = _by_name(organs)
    wanted = canonical(label)
    target = task.lesion.label if task and task.lesion else None
    if is_lesion(label) or (label == target and wanted not in by_name):
        return _find_lesion(label, organs, task)
    sides = [by_name.get(f"{wanted.removesuffix('s')}_{side}") for side in ("left", "right")]
    pair = _united(values for values in sides if values) if all(sides) else None
    found = by_name.get(wanted) or by_name.get(wanted.removesuffix("s")) or pair
    alone = sum(not is_lesion(name) for name in organs) == 1
    if not found or not alone:
        return found
    own = [values for name, values in organs.items() if is_lesion(name) and organ_of(name) in ("", organ_of(label))]
    return _united([found, *own])


def _find_lesion(label: str, organs: Values, task: Task | None) -> tuple[int, ...] | None:
    ours = {organ_of(name) for name in (task.labels if task else ()) if name != label and not is_lesion(name)}
    theirs = {organ_of(name) for name in organs if not is_lesion(name)}
    fits = {name: fit_of(name, label, ours, theirs) for name in organs if is_lesion(name)}
    exact = [name for name, fit in fits.items() if fit is Fit.SAME]
    if exact:
        return _united(organs[name] for name in exact)
    if Fit.DOUBTFUL in fits.values():
        raise _Doubt([name for name, fit in fits.items() if fit is not Fit.OTHER])
    return _united(organs[name] for name, fit in fits.items() if fit is Fit.CERTAIN) or None


def _by_name(organs: Values) -> dict[str, tuple[int, ...]]:
    spellings: dict[str, list[tuple[int, ...]]] = {}
    for name, values in organs.items():
        spellings.setdefault(canonical(name), []).append(values)
    return {name: _united(several) for name, several in spellings.items()}


def _united(several: Iterable[Iterable[int]]) -> tuple[int, ...]:
    return tuple(sorted({value for values in several for value in values}))


def _numbers(values: Iterable[int]) -> str:
    return ", ".join(map(str, values))


def _listed(organs: Values) -> str:
    return ", ".join(organs)


def _said(given: Sequence[str], organs: Values) -> LabelMap:
    said: LabelMap = {}
    for assignment in given:
        label, values = _read(assignment, organs)
        if label in said:
            raise SettingsError(
                f"--map names {plain(label)} twice.", f"Give all of it at once: --map {plain(label)}=ORGAN,ORGAN."
            )
        said[label] = values
    return said


def _read(assignment: str, organs: Values) -> tuple[str, tuple[int, ...] | None]:
    label, separator, right = assignment.partition("=")
    parts = [part.strip() for part in right.split(",") if part.strip()]
    if not separator or not label or not parts:
        raise SettingsError(f"--map {assignment}: expected LABEL=ORGAN,... or LABEL=VALUE,...", "Such as liver=1,3.")
    by_name = _by_name(organs)
    if parts == ["none"] and "none" not in by_name:
        return label, None
    return label, _united(_values(part, by_name, assignment, organs) for part in parts)


def _values(part: str, by_name: Mapping[str, tuple[int, ...]], assignment: str, organs: Values) -> tuple[int, ...]:
    if canonical(part) in by_name:
        return by_name[canonical(part)]
    if re.fullmatch(r"[0-9]{1,5}", part) and 1 <= int(part) <= _LARGEST:
        return (int(part),)
    raise SettingsError(
        f"--map {assignment}: {part} is no value from 1 and no organ of the data ({_listed(organs) or 'no names'}).",
        "Name organs as the data does, or give their values; 0 is background.",
    )
