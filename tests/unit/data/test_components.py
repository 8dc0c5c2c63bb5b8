from __future__ import annotations

import numpy as np
import pytest

from flareseg.data.components import component_sizes, equivalent_diameters, label_components


def test_parts_that_touch_by_a_corner_are_one() -> None:
    mask = np.zeros((6, 6, 6), np.uint8)
    mask[0, 0, 0] = mask[1, 1, 1] = mask[4, 4, 4] = 1
    parts, voxels = label_components(mask)
    assert voxels.tolist() == [2, 1]
    assert parts[0, 0, 0] == parts[1, 1, 1] != parts[4, 4, 4]
    assert label_components(mask & 0)[1].tolist() == []


@pytest.mark.parametrize(
    ("shape", "spacing", "want"),
    [((9, 9, 9), (2, 2, 5), (6 * 40 * 20 / np.pi) ** (1 / 3)), ((9, 9, 1), (2, 2, 5), 2 * (40 * 4 / np.pi) ** 0.5)],
    ids=["a ball in a volume", "a disc in a slice"],
)
def test_diameter_of_forty_voxels(shape: tuple[int, ...], spacing: tuple[float, ...], want: float) -> None:
    assert equivalent_diameters(np.array([40]), np.array(spacing), shape) == pytest.approx(want)


def test_sizes_of_images_of_different_spacing() -> None:
    spacing = np.array([[1.0, 2.0, 3.0], [2.0, 2.0, 2.0]], np.float32)
    assert component_sizes(np.array([10, 10]), spacing, 3).tolist() == [60, 80]
    assert component_sizes(np.array([10, 10]), spacing, 2).tolist() == [20, 40]
