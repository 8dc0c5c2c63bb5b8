"""What labels hold."""

from __future__ import annotations

import nibabel as nib
import numpy as np
from PIL import Image

from flareseg.data.faults import GeometryFault, LabelFault
from site_faults.site import AFFINE, PlantedSite, change, fault


def _with(array: np.ndarray, value: float, dtype: type) -> np.ndarray:
    changed = array.astype(dtype)
    changed[array == 1] = value
    return changed


@fault(LabelFault.SWAPPED, "error", "its image case-1.nii.gz only 4")
def swapped(site: PlantedSite) -> None:
    image, label = site.image(1).read_bytes(), site.label(1).read_bytes()
    site.image(1).write_bytes(label)
    site.label(1).write_bytes(image)


@fault(LabelFault.SWAPPED, "error", "only black and white", modality="RGB", also=(GeometryFault.GREY_FRAME,))
def swapped_frame(site: PlantedSite) -> None:
    image, label = site.image(1).read_bytes(), site.label(1).read_bytes()
    site.image(1).write_bytes(label)
    site.label(1).write_bytes(image)


@fault(LabelFault.LABEL_NOT_INTEGER, "error", "expected whole numbers, found 0.5")
def fractions(site: PlantedSite) -> None:
    change(site.label(1), lambda array: _with(array, 0.5, np.float32))


@fault(LabelFault.LABEL_NOT_INTEGER, "error", "expected whole numbers, found nan")
def no_number(site: PlantedSite) -> None:
    change(site.label(1), lambda array: _with(array, np.nan, np.float32))


@fault(LabelFault.LABEL_NEGATIVE, "error", "holds -1")
def negative(site: PlantedSite) -> None:
    def ignore(array: np.ndarray) -> np.ndarray:
        changed = array.astype(np.int16)
        changed[:2] = -1
        return changed

    change(site.label(1), ignore)


@fault(LabelFault.LABEL_NOT_A_MASK, "error", "labels/case-1.nii.gz: holds 600 values")
def not_a_mask(site: PlantedSite) -> None:
    change(site.label(1), lambda array: (np.arange(array.size).reshape(array.shape) % 600).astype(np.int16))


@fault(LabelFault.MASK_NOT_BINARY, "error", "neither black nor white", modality="RGB")
def not_binary(site: PlantedSite) -> None:
    """A mask of several classes."""
    Image.fromarray(np.asarray(Image.open(site.image(1)).convert("L"))).save(site.label(1))


@fault(LabelFault.MASK_NOT_BINARY, "error", "found 0, 3", modality="RGB")
def three_classes(site: PlantedSite) -> None:
    mask = np.zeros((40, 48), dtype=np.uint8)
    mask[:4] = 3
    Image.fromarray(mask).save(site.label(1))


@fault(LabelFault.LABEL_EMPTY, "error", "none of liver, spleen, lesion occurs")
def empty(site: PlantedSite) -> None:
    change(site.label(1), np.zeros_like)


@fault(LabelFault.LABEL_OFF_IMAGE, "error", "100% of its labelled voxels lie where the image is empty")
def off_image(site: PlantedSite) -> None:
    """The label of another place: the patient lies elsewhere in the scan."""

    def body_at_the_edge(array: np.ndarray) -> np.ndarray:
        air = np.full_like(array, -1000)
        air[:, -3:] = array[:, 8:11]
        return air

    def label_at_the_other(array: np.ndarray) -> np.ndarray:
        moved = np.zeros_like(array)
        moved[:, :12] = array[:, 4:16]
        return moved

    change(site.image(1), body_at_the_edge)
    change(site.label(1), label_at_the_other)


@fault(
    LabelFault.LABEL_NEVER_OCCURS,
    "error",
    "spleen: 9 occurs in none of 6 cases",
    case=None,
    also=(LabelFault.VALUES_UNMAPPED,),
)
def never_occurs(site: PlantedSite) -> None:
    site.settings["labels"]["spleen"] = [9]


@fault(LabelFault.TARGET_NEVER_OCCURS, "warning", "lesion: 9 occurs in none of 6 cases", case=None)
def target_never_occurs(site: PlantedSite) -> None:
    site.settings["labels"]["lesion"] = [9]


@fault(LabelFault.VALUE_NEVER_OCCURS, "warning", "spleen: 7 occurs in none of 6 cases", case=None)
def value_never_occurs(site: PlantedSite) -> None:
    site.settings["labels"]["spleen"] = [2, 7]


@fault(LabelFault.VALUES_UNMAPPED, "warning", "holds 6, which site.yaml names nowhere")
def unmapped(site: PlantedSite) -> None:
    def another(array: np.ndarray) -> np.ndarray:
        changed = array.copy()
        changed[10, 10, 1:7] = 6
        return changed

    change(site.label(1), another)


@fault(LabelFault.ORGAN_ABSENT, "warning", "spleen is missing; 5 of 6 cases have it")
def organ_absent(site: PlantedSite) -> None:
    change(site.label(1), lambda array: np.where(array == 2, 0, array).astype(np.uint8))


@fault(LabelFault.COVERS_IMAGE, "warning", "liver covers 9")
def covers_image(site: PlantedSite) -> None:
    """An inverted mask."""
    change(site.label(1), lambda array: np.where(array == 0, 1, array).astype(np.uint8))


@fault(LabelFault.ANNOTATION_GAPS, "warning", "the slices between the first and the last of", count=2)
def annotation_gaps(site: PlantedSite) -> None:
    """Only every second slice was annotated."""

    def every_second(array: np.ndarray) -> np.ndarray:
        changed = np.zeros((*array.shape[:2], 16), array.dtype)
        changed[..., 2:15:2] = np.repeat(array, 2, axis=2)[..., 2:15:2]
        return changed

    change(site.image(1), lambda array: np.repeat(array, 2, axis=2))
    change(site.label(1), every_second)


@fault(LabelFault.TINY_TARGETS, "warning", "1 of 2 parts of spleen have at most 3 voxels")
def tiny_targets(site: PlantedSite) -> None:
    def slip(array: np.ndarray) -> np.ndarray:
        changed = array.copy()
        changed[9, 18, 4] = 2
        return changed

    change(site.label(1), slip)


@fault(LabelFault.TARGET_LOST, "warning", "nothing of lesion is left at the task's spacing")
def target_lost(site: PlantedSite) -> None:
    """A line, one voxel wide, that the coarser grid steps over."""

    def thin(array: np.ndarray) -> np.ndarray:
        changed = np.where(array == 3, 1, array).astype(np.uint8)
        changed[15, 5:13, 3] = 3
        return changed

    change(site.label(1), thin)
    site.task["spacing"] = [4.0, 2.0, 5.0]


@fault(LabelFault.LABEL_OUTSIDE_WINDOW, "warning", "0.0% of the voxels of spleen lie between -160 and 240")
def outside_window(site: PlantedSite) -> None:
    label = np.asarray(nib.load(site.label(1)).dataobj)
    change(site.image(1), lambda array: np.where(label == 2, 800, array))


@fault(LabelFault.LEFT_RIGHT_FLIP, "warning", "voxels left of the spleen's")
def flipped(site: PlantedSite) -> None:
    for path in (site.image(1), site.label(1)):
        change(path, affine=AFFINE @ np.diag([-1, 1, 1, 1]))


@fault(LabelFault.LABEL_ROUNDED, "warning", "holds values such as 2.99")
def rounded(site: PlantedSite) -> None:
    """Floating-point numbers saved into whole ones, as nibabel does with a header that was read before."""

    def scaled(header: nib.Nifti1Header) -> None:
        header.set_data_dtype(np.uint16)

    change(site.label(1), lambda array: array.astype(np.float64), header=scaled)


@fault(LabelFault.MASK_INVERTED, "warning", "its index 0 is shown brighter (255) than 1 (0)", modality="RGB")
def inverted(site: PlantedSite) -> None:
    drawn = Image.fromarray((np.asarray(Image.open(site.label(1))) > 0).astype(np.uint8), "P")
    drawn.putpalette([255, 255, 255, 0, 0, 0])
    drawn.save(site.label(1))


@fault(LabelFault.STACK_REPEATS, "warning", "slices from 9 on repeat those from the first on, and the second")
def second_phase(site: PlantedSite) -> None:
    """Both phases of an examination in one file; the second is brighter, noisier and not labelled."""
    rng = np.random.default_rng(0)

    def brighter(array: np.ndarray) -> np.ndarray:
        return (array + 20 * (array > 0) + rng.normal(0, 10, array.shape)).astype(np.int16)

    change(site.image(1), lambda array: np.concatenate([array, brighter(array)], 2))
    change(site.label(1), lambda array: np.concatenate([array, np.zeros_like(array)], 2))
