"""The values of an image that ask for a look: of another modality or scale than site.yaml says."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from flareseg.config.task import Modality
from flareseg.data.case import Case
from flareseg.data.faults import IntensityFault
from flareseg.data.faults.findings import Finding

_ONE_VALUE = 0.99
_SOFT_TISSUE_HU = -50.0  # air and fat lie below it, and every body has fat
_AIR_HU, _AIR_SHARE = -500.0, 0.01
_LOWEST_HU, _HIGHEST_HU = -3500.0, 5000.0  # padding of some scanners, metal


def intensity_faults(case: Case, values: np.ndarray, modality: Modality) -> Iterator[Finding]:
    """Check the voxels of an image in which the reader found no error.

    Args:
        case: the files.
        values: all voxels, scaled as site.yaml says: HU for CT.
        modality: what they should be.
    """
    low, high = float(values.min()), float(values.max())
    found = f"{case.image}: the values run from {low:g} to {high:g}"
    most = _share_of_most_frequent(values)
    if most > _ONE_VALUE:
        yield Finding(
            IntensityFault.MOSTLY_ONE_VALUE, f"{case.image}: {most:.1%} of the voxels have one value.", case.name
        )
    if modality == "CT":
        if low > _SOFT_TISSUE_HU:
            yield Finding(IntensityFault.CT_WITHOUT_HU, f"{found}; expected air or fat below -50 HU.", case.name)
        inner_low, inner_high = np.percentile(values, (1, 99.9))
        if inner_low < _LOWEST_HU or inner_high > _HIGHEST_HU:
            yield Finding(IntensityFault.CT_SCALE_ODD, f"{found}; expected about -1024 to 3071 HU.", case.name)
    if modality == "MR" and float((values < _AIR_HU).mean()) > _AIR_SHARE:
        yield Finding(IntensityFault.MR_WITH_HU, f"{found}; expected no air of -1000 HU.", case.name)


def _share_of_most_frequent(values: np.ndarray) -> float:
    """An estimate: the median is the most frequent value wherever one value has more than half of the voxels."""
    return float((values == np.median(values)).mean())
