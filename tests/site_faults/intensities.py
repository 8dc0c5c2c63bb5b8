"""Values of images."""

from __future__ import annotations

import numpy as np

from flareseg.data.faults import IntensityFault, LabelFault
from site_faults.site import PlantedSite, change, fault


def _with(array: np.ndarray, value: float) -> np.ndarray:
    changed = array.astype(np.float32)
    changed[1, 2, 3] = value
    return changed


@fault(IntensityFault.NOT_FINITE, "error", "1 voxels are NaN or infinite")
def not_a_number(site: PlantedSite) -> None:
    change(site.image(1), lambda array: _with(array, np.nan))


@fault(IntensityFault.NOT_FINITE, "error", "1 voxels are NaN or infinite")
def infinite(site: PlantedSite) -> None:
    change(site.image(1), lambda array: _with(array, np.inf))


@fault(IntensityFault.CONSTANT_IMAGE, "error", "every voxel is 7")
def constant_image(site: PlantedSite) -> None:
    change(site.image(1), lambda array: np.full_like(array, 7))


@fault(IntensityFault.OUTSIDE_WINDOW, "error", "the task's window from -160 to 240")
def outside_window(site: PlantedSite) -> None:
    change(site.image(1), lambda array: array // 8 - 400)


@fault(
    IntensityFault.MOSTLY_ONE_VALUE,
    "warning",
    "% of the voxels have one value",
    modality="MR",
    also=(LabelFault.LABEL_OFF_IMAGE,),
)
def mostly_one_value(site: PlantedSite) -> None:
    change(
        site.image(1), lambda array: np.where(np.arange(array.size).reshape(array.shape) == 5, 900, 0).astype(np.int16)
    )


@fault(
    IntensityFault.CT_WITHOUT_HU,
    "warning",
    "expected air or fat below -50 HU",
    also=(LabelFault.LABEL_OUTSIDE_WINDOW,),
)
def ct_without_hu(site: PlantedSite) -> None:
    change(site.image(1), lambda array: np.clip(array, -160, 240) + 160)


@fault(IntensityFault.CT_SCALE_ODD, "warning", "expected about -1024 to 3071 HU")
def ct_scale_odd(site: PlantedSite) -> None:
    change(site.image(1), lambda array: np.where(array < -500, array * 10, array))


@fault(IntensityFault.MR_WITH_HU, "warning", "expected no air of -1000 HU", modality="MR")
def mr_with_hu(site: PlantedSite) -> None:
    change(site.image(1), lambda array: np.where(array < 100, array - 1000, array))


@fault(IntensityFault.SCALED_TWICE, "error", "of the stored values are HU of air", count=6, case=1)
def scaled_twice(site: PlantedSite) -> None:
    """The window of 8-bit copies, given for CT that is in HU."""
    site.settings["intensity"] = {"slope": 400 / 255, "intercept": -160}
