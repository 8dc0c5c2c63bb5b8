"""Means of arms and paired differences, with bootstrap intervals over seeds and cases."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from pydantic import BaseModel

from flareseg.experiment.result import CaseResult, CellResult

TEST_SCORES = ("organs", "lesion", "small", "large")
"""Mean Dice over the organs of a case; Dice of its lesion label, of the small and of the large components alone."""
DRAWS = 4000
_INTERVAL = (2.5, 97.5)


class Estimate(BaseModel):
    """A mean with its 95 % interval.

    Attributes:
        seeds: number of seeds.
        cases: number of test cases that have the score.
        by_seed: mean over the cases for each seed.
    """

    mean: float
    low: float
    high: float
    seeds: int
    cases: int
    by_seed: list[float]


def case_value(case: CaseResult, cell: CellResult, score: str) -> float:
    """A score of a case, NaN where there is none."""
    if score == "organs":
        known = [value for organ in cell.organs if (value := case.dice.get(organ)) is not None]
        return sum(known) / len(known) if known else np.nan
    value = case.dice.get(cell.lesion or "") if score == "lesion" else getattr(case, score)
    return np.nan if value is None else value


def values_of(cells: Iterable[CellResult], modality: str, score: str) -> np.ndarray:
    """Score of every test case of a modality, (seeds, cases); the cases are the same for each seed."""
    return np.array(
        [
            [
                case_value(case, cell, score)
                for site, cases in sorted(cell.cases.items())
                if cell.modalities[site] == modality
                for case in cases
            ]
            for cell in cells
        ]
    )


def estimate(values: np.ndarray, seed: int = 0) -> Estimate | None:
    """Mean over seeds and cases, and the percentile interval when both are drawn anew with replacement.

    Seeds and cases are crossed: a drawn case counts for every drawn seed (Owen, "The pigeonhole bootstrap", Annals of
    Applied Statistics 2007). With three seeds the spread over seeds is known poorly: the interval is rather too narrow.

    Args:
        values: (seeds, cases), or differences of two arms; NaN where a case has no score.
        seed: of the draws.

    Returns:
        None where no case has a score.

    Example:
        >>> found = estimate(np.array([[0.1, 0.2, 0.3], [0.2, 0.3, 0.4]]))
        >>> round(found.mean, 3), found.low < 0.25 < found.high, found.cases
        (0.25, True, 3)
    """
    if not values.size or np.isnan(values).all():
        return None
    rng = np.random.default_rng(seed)
    seeds, cases = values.shape
    of_seeds = rng.multinomial(seeds, np.full(seeds, 1 / seeds), DRAWS)
    of_cases = rng.multinomial(cases, np.full(cases, 1 / cases), DRAWS)
    known = ~np.isnan(values)
    total = ((of_seeds @ np.where(known, values, 0.0)) * of_cases).sum(1)
    count = ((of_seeds @ known) * of_cases).sum(1)
    drawn = total[count > 0] / count[count > 0]
    low, high = np.percentile(drawn, _INTERVAL)
    return Estimate(
        mean=float(np.nanmean(values)),
        low=float(low),
        high=float(high),
        seeds=seeds,
        cases=int(known.any(0).sum()),
        by_seed=[float(np.nanmean(row)) for row in values if not np.isnan(row).all()],
    )


class EstimateRow(BaseModel):
    """One score of one modality on one data set: an estimate for each arm, and for each difference."""

    data: str
    modality: str
    score: str
    arms: dict[str, Estimate | None]
    differences: dict[str, Estimate | None]


def rows_of(cells: Sequence[CellResult], arms: Sequence[str], pairs: Sequence[tuple[str, str]]) -> list[EstimateRow]:
    """Estimates of every data set, modality and score.

    Args:
        cells: the results.
        arms: in the order of the report.
        pairs: of arms; a difference is taken over the seeds that both have.
    """
    found = []
    for data in dict.fromkeys(cell.data for cell in cells):
        of_data = {(cell.arm, cell.seed): cell for cell in cells if cell.data == data}
        seeds = {arm: sorted(seed for name, seed in of_data if name == arm) for arm in arms}
        modalities = sorted({modality for cell in of_data.values() for modality in cell.modalities.values()})
        for modality in modalities:
            for score in TEST_SCORES:
                row = EstimateRow(data=data, modality=modality, score=score, arms={}, differences={})
                found.append(row)
                for arm in arms:
                    several = [of_data[arm, seed] for seed in seeds[arm]]
                    row.arms[arm] = estimate(values_of(several, modality, score)) if several else None
                for one, other in pairs:
                    both = sorted(set(seeds[one]) & set(seeds[other]))
                    first, second = ([of_data[arm, seed] for seed in both] for arm in (one, other))
                    gain = values_of(first, modality, score) - values_of(second, modality, score) if both else None
                    row.differences[f"{one} − {other}"] = None if gain is None else estimate(gain)
    return [row for row in found if any(row.arms.values())]
