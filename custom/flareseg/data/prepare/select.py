"""Which cases of a source are wanted, and what keeps some of them from being prepared."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from glob import escape
from pathlib import Path

from flareseg.data.prepare.layouts.source import BadCase, Source, SourceCase, there_twice
from flareseg.data.prepare.order import Order
from flareseg.errors import DataError, ErrorCode, SettingsError

_MOST_SHOWN = 20


def select(found: Source, order: Order, source: Path) -> tuple[list[SourceCase], list[BadCase]]:
    """Choose the cases that the user wants.

    Returns:
        The cases, and those of the wanted that cannot be prepared.

    Raises:
        DataError: no case is wanted.
        SettingsError: a pattern leaves nothing out, or an expression finds no patient.
    """
    names = {case.name for case in found.cases} | {case.name for case in found.bad}
    for pattern in order.without:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise SettingsError(
                f"--except {pattern}: none of the {len(names)} cases has such a name.",
                f"Names are such as {min(names, default='(none)')}.",
            )
    cases = [
        case
        for case in found.cases
        if order.given.modality in (None, case.modality)
        and order.site in (None, case.site)
        and is_wanted(case.name, order)
    ]
    bad = [case for case in found.bad if is_wanted(case.name, order)]
    if not cases and not bad:
        sites = ", ".join(sorted({case.site for case in found.cases}))
        raise DataError(
            f"{source}: none of {len(names)} cases ({sites}) is of the modality, centre and name wanted.",
            "Correct --modality, --centre, --only or --except.",
            code=ErrorCode.NO_DATA,
        )
    alike: dict[str, list[SourceCase]] = {}
    for case in cases:
        alike.setdefault(case.name, []).append(case)
    bad += [
        BadCase(name, there_twice(name, [case.place for case in several]))
        for name, several in alike.items()
        if len(several) > 1
    ]
    single = [several[0] for several in alike.values() if len(several) == 1]
    return [_with_patient(case, order.patients) for case in single] if order.patients else single, bad


def is_wanted(name: str, order: Order) -> bool:
    """Whether a case of this name is neither left out nor beside what was asked for."""
    return fnmatchcase(name, order.only) and not any(fnmatchcase(name, pattern) for pattern in order.without)


def refuse(source: Path, bad: Sequence[BadCase], total: int) -> None:
    """Name every case that cannot be prepared, and how to go on without it.

    Raises:
        DataError: there is such a case.
    """
    if not bad:
        return
    if len(bad) == total == 1:
        raise bad[0].error
    shown = "; ".join(f"{case.name}: {case.error.message}" for case in bad[:_MOST_SHOWN])
    more = f"; and {len(bad) - _MOST_SHOWN} more." if len(bad) > _MOST_SHOWN else ""
    flags = " ".join(f"--except '{escape(case.name)}'" for case in bad[:_MOST_SHOWN])
    raise DataError(
        f"{source}: {len(bad)} of {total} cases cannot be prepared: {shown}{more}",
        f"Mend them (first: {bad[0].error.remedy}) or go on without them: {flags}{' and so on' if more else ''}.",
        code=bad[0].error.code,
        case=bad[0].name,
    )


def _with_patient(case: SourceCase, expression: str) -> SourceCase:
    try:
        match = re.search(expression, case.name)
        patient = match[1] if match else None
    except (re.error, IndexError) as error:
        raise SettingsError(
            f"--patients {expression}: expected a regular expression with a group ({error}).", "Such as '^(\\d+)_'."
        ) from None
    if not patient:
        raise SettingsError(f"--patients {expression}: finds no patient in {case.name}.", "Correct the expression.")
    return replace(case, patient=patient)
