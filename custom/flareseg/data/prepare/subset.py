"""Less training data on purpose: a share, a number of cases, or a ratio of MR to CT; validation and test stay whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, TypeVar

from pydantic import Field, model_validator

from flareseg.config.settings import Settings
from flareseg.config.task import Modality

T = TypeVar("T")
Patients = Sequence[Sequence[T]]
"""The cases of each patient, patients in balanced order."""


class Subset(Settings):
    """What of the training cases is used: whole patients in balanced order, so a smaller subset lies in a larger."""

    fraction: Annotated[float, Field(gt=0, le=1)] | None = None
    """Share of each site's training cases."""
    cases: Annotated[int, Field(ge=1)] | None = None
    """Most training cases of each site."""
    ratio: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]] | None = None
    """MR cases to CT cases; the modality that has more than its part is cut."""

    @model_validator(mode="after")
    def _one_amount(self) -> Subset:
        if self.fraction is not None and self.cases is not None:
            raise ValueError("give either fraction or cases")
        return self

    def cut(self, training: Mapping[str, Patients[T]], modalities: Mapping[str, Modality]) -> dict[str, list[T]]:
        """Cut each site's share or number first, then the ratio.

        Args:
            training: each site's training cases by patient.
            modalities: each site's modality.

        Returns:
            The cases that stay, by site.

        Raises:
            ValueError: a ratio is wanted, but there is not one site of each modality.
        """
        kept = {site: take(patients, self._amount(patients)) for site, patients in training.items()}
        if self.ratio is not None:
            sites = sorted(kept, key=lambda site: modalities[site], reverse=True)
            if [modalities[site] for site in sites] != ["MR", "CT"]:
                found = ", ".join(modalities[site] for site in sites)
                raise ValueError(f"a ratio of MR to CT needs data of both in one source, found {found}")
            unit = min(_count(kept[site]) / part for site, part in zip(sites, self.ratio, strict=True))
            for site, part in zip(sites, self.ratio, strict=True):
                kept[site] = take(kept[site], int(unit * part + 1e-9))
        return {site: [case for patient in patients for case in patient] for site, patients in kept.items()}

    def _amount(self, patients: Patients[T]) -> int:
        return self.cases or round(_count(patients) * (1.0 if self.fraction is None else self.fraction))


def take(patients: Patients[T], wanted: int) -> Patients[T]:
    """The first patients whose cases together are at most ``wanted``; at least one patient where there is any."""
    total = 0
    for number, cases in enumerate(patients):
        total += len(cases)
        if total > wanted:
            return patients[: max(number, 1)]
    return patients


def _count(patients: Patients[T]) -> int:
    return sum(len(cases) for cases in patients)
