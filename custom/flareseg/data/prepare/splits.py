"""Splits by patient, never by image: held-out test, validation or k folds, balanced by lesion size, by seed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import numpy as np
from pydantic import Field, model_validator

from flareseg.config.settings import Settings
from flareseg.config.task import Fraction
from flareseg.data.case import SplitName
from flareseg.data.datalist import split_counts

STRATA = 4
"""Groups of patients by lesion size, beside those without a lesion."""


class SplitPlan(Settings):
    """How patients are divided."""

    validation: Fraction = 0.2
    """Share of the patients that choose the model; not used with folds."""
    testing: Fraction = 0.2
    """Share of the patients kept for the end."""
    folds: Annotated[int, Field(ge=2)] | None = None
    """Number of folds of the patients that are not kept for the end."""
    fold: Annotated[int, Field(ge=1)] | None = None
    """The fold that validates, from 1."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of the draw."""

    @model_validator(mode="after")
    def _consistent(self) -> SplitPlan:
        if (self.folds is None) != (self.fold is None):
            raise ValueError("give folds and fold together")
        if self.folds is not None and self.fold is not None and self.fold > self.folds:
            raise ValueError(f"fold should be at most {self.folds}, got {self.fold}")
        if self.testing + (0 if self.folds else self.validation) >= 1:
            raise ValueError("validation and testing together should be less than 1")
        return self


def balanced_order(sizes: Mapping[str, float], seed: int) -> list[str]:
    """Order patients at random such that every stretch of the order holds its share of each lesion size.

    Args:
        sizes: for each patient the size of the largest lesion, 0 for none; any unit.
        seed: seed of the draw.

    Returns:
        All patients; the same for the same patients and seed, in whatever order they were given.
    """
    rng = np.random.default_rng(seed)
    patients = sorted(sizes, key=lambda patient: (sizes[patient], patient))
    healthy = [patient for patient in patients if sizes[patient] == 0]
    ill = patients[len(healthy) :]
    strata = [healthy, *([ill[index] for index in part] for part in np.array_split(np.arange(len(ill)), STRATA))]
    places = {
        stratum[index]: (place + rng.random()) / len(stratum)
        for stratum in strata
        for place, index in enumerate(rng.permutation(len(stratum)))
    }
    return sorted(places, key=lambda patient: (places[patient], patient))


def split_patients(sizes: Mapping[str, float], plan: SplitPlan) -> dict[SplitName, list[str]]:
    """Divide patients.

    The test patients depend on the seed alone, not on the fold; the folds divide all others between them.

    Args:
        sizes: for each patient the size of the largest lesion, 0 for none.
        plan: shares or folds, and the seed.

    Returns:
        The patients of each split in balanced order.

    Raises:
        ValueError: there are fewer patients than folds.
    """
    order = balanced_order(sizes, plan.seed)
    validating, testing = split_counts(len(order), 0.0 if plan.folds else plan.validation, plan.testing)
    test, rest = order[:testing], order[testing:]
    if plan.folds is not None and plan.fold is not None:
        if len(rest) < plan.folds:
            raise ValueError(
                f"{plan.folds} folds need as many patients beside the {testing} for the test, found {len(rest)}"
            )
        ends = [round(len(rest) * number / plan.folds) for number in range(plan.folds + 1)]
        chosen = slice(ends[plan.fold - 1], ends[plan.fold])
    else:
        chosen = slice(0, validating)
    return {"training": [*rest[: chosen.start], *rest[chosen.stop :]], "validation": rest[chosen], "testing": test}
