"""Headers."""

from __future__ import annotations

import gzip

import nibabel as nib
import numpy as np
from PIL import Image

from flareseg.data.faults import GeometryFault
from site_faults.files import _two_channels
from site_faults.site import AFFINE, SHAPE, PlantedSite, change, fault


def both(site: PlantedSite, **changes: object) -> None:
    for path in (site.image(1), site.label(1)):
        change(path, **changes)  # type: ignore[arg-type]


@fault(GeometryFault.NOT_3D, "error", "expected three dimensions, found 24 × 22 × 8 × 2", quick=True)
def time_series(site: PlantedSite) -> None:
    change(site.image(1), lambda array: np.stack([array, array], -1))


@fault(GeometryFault.NOT_3D, "error", "expected three dimensions, found 24 × 22", quick=True)
def flat_label(site: PlantedSite) -> None:
    change(site.label(1), lambda array: array[..., 3])


@fault(GeometryFault.COLOUR_VOLUME, "error", "'R'", quick=True)
def colour_volume(site: PlantedSite) -> None:
    pixels = np.zeros(SHAPE, dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    nib.save(nib.Nifti1Image(pixels, AFFINE), site.image(1))


@fault(GeometryFault.NOT_RGB, "error", "the mode is I;16", quick=True, modality="RGB")
def not_rgb(site: PlantedSite) -> None:
    Image.fromarray(np.full((40, 48), 999, np.uint16)).save(site.image(1))


@fault(GeometryFault.GREY_FRAME, "warning", "the mode is L", quick=True, modality="RGB")
def grey_frame(site: PlantedSite) -> None:
    Image.open(site.image(1)).convert("L").save(site.image(1))


@fault(GeometryFault.SHAPE_MISMATCH, "error", "expected the image's shape 24 × 22 × 8, found 23 × 22 × 8", quick=True)
def shape_mismatch(site: PlantedSite) -> None:
    change(site.label(1), lambda array: array[:-1])


@fault(GeometryFault.SHAPE_MISMATCH, "error", "48 × 40 pixels, found 48 × 39", quick=True, modality="RGB")
def frame_mismatch(site: PlantedSite) -> None:
    Image.open(site.label(1)).crop((0, 0, 48, 39)).save(site.label(1))


@fault(GeometryFault.SPACING_MISMATCH, "error", "2 × 2 × 5 mm, found 2 × 2 × 4 mm", quick=True)
def spacing_mismatch(site: PlantedSite) -> None:
    change(site.label(1), affine=np.diag([2.0, 2.0, 4.0, 1.0]))


@fault(GeometryFault.DIRECTION_MISMATCH, "error", "an axis is turned by 180.0°", quick=True)
def mirrored(site: PlantedSite) -> None:
    change(site.label(1), affine=np.diag([-2.0, 2.0, 5.0, 1.0]))


@fault(GeometryFault.DIRECTION_MISMATCH, "error", "an axis is turned by 10.0°", quick=True)
def turned(site: PlantedSite) -> None:
    cos, sin = np.cos(np.radians(10)), np.sin(np.radians(10))
    change(site.label(1), affine=np.array([[cos, -sin, 0, 0], [sin, cos, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]) @ AFFINE)


@fault(GeometryFault.ORIGIN_MISMATCH, "error", "lies 7.0 mm off its image", quick=True)
def origin_mismatch(site: PlantedSite) -> None:
    moved = AFFINE.copy()
    moved[0, 3] = 7
    change(site.label(1), affine=moved)


@fault(GeometryFault.AFFINE_SINGULAR, "error", "the affine is", count=2, quick=True)
def affine_singular(site: PlantedSite) -> None:
    def flatten(header: nib.Nifti1Header) -> None:
        header.set_sform(np.diag([2.0, 2.0, 0.0, 1.0]), code=1)

    for path in (site.image(1), site.label(1)):
        old = nib.load(path)
        image = nib.Nifti1Image(np.asarray(old.dataobj), None)
        flatten(image.header)
        nib.save(image, path)


@fault(GeometryFault.SPACING_ABSURD, "error", "the spacing is 2000 × 2000 × 5000 mm", count=2, quick=True)
def spacing_absurd(site: PlantedSite) -> None:
    both(site, affine=np.diag([2000.0, 2000.0, 5000.0, 1.0]))


@fault(GeometryFault.UNITS_NOT_MM, "warning", "the header's unit is metres", quick=True)
def units_not_mm(site: PlantedSite) -> None:
    both(site, header=lambda header: header.set_xyzt_units("meter"))


@fault(GeometryFault.SFORM_QFORM, "warning", "place a corner 80.0 mm apart", quick=True)
def sform_qform(site: PlantedSite) -> None:
    def move(header: nib.Nifti1Header) -> None:
        moved = AFFINE.copy()
        moved[1, 3] = 80
        header.set_qform(moved, code=1)
        header.set_sform(AFFINE, code=1)

    both(site, header=move)


@fault(GeometryFault.ORIENTATION_UNKNOWN, "warning", "sform and qform codes are 0", quick=True)
def orientation_unknown(site: PlantedSite) -> None:
    for path in (site.image(1), site.label(1)):
        old = nib.load(path)
        image = nib.Nifti1Image(np.asarray(old.dataobj)[::-1], None)
        image.header.set_zooms((2, 2, 5))
        nib.save(image, path)


@fault(GeometryFault.SHEARED, "warning", "two axes are 15.", quick=True)
def sheared(site: PlantedSite) -> None:
    tilted = AFFINE.copy()
    tilted[1, 2] = 5 * np.tan(np.radians(15))
    both(site, affine=tilted)


@fault(GeometryFault.SLOPE_ODD, "warning", "slope is -1, the intercept 0", quick=True)
def slope_odd(site: PlantedSite) -> None:
    """Stored upside down and scaled back: right in nibabel, wrong where the slope is ignored."""
    old = nib.load(site.image(1))
    image = nib.Nifti1Image(np.asarray(old.dataobj), AFFINE)
    image.header.set_slope_inter(-1, 0)
    nib.save(image, site.image(1))


@fault(GeometryFault.RESAMPLED_FAR, "warning", "the task's 2 × 2 × 5 mm: 3.2 times", quick=True)
def resampled_far(site: PlantedSite) -> None:
    site.task["spacing"] = [2, 2, 5]
    both(site, affine=np.diag([2.0, 2.0, 16.0, 1.0]))


@fault(
    GeometryFault.SMALLER_THAN_PATCH, "warning", "24 × 11 voxels at the task's spacing, a patch has 16 × 16", quick=True
)
def smaller_than_patch(site: PlantedSite) -> None:
    both(site, voxels=lambda array: array[:, 3:14])


@fault(GeometryFault.COMPLEX_VOLUME, "error", "holds complex64", quick=True)
def complex_volume(site: PlantedSite) -> None:
    change(site.image(1), lambda array: array.astype(np.complex64))


@fault(GeometryFault.EXIF_ONE_SIDED, "warning", "has the EXIF orientation 3, its mask 1", quick=True, modality="RGB")
def exif_one_sided(site: PlantedSite) -> None:
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.open(site.image(1)).save(site.image(1), exif=exif)


@fault(GeometryFault.GRIDS_APART, "warning", "a corner lies 0.20 voxels (0.4 mm) off its image's", quick=True)
def grids_apart(site: PlantedSite) -> None:
    moved = AFFINE.copy()
    moved[0, 3] = 0.4
    change(site.label(1), affine=moved)


@fault(GeometryFault.ORIGIN_MISMATCH, "error", "lies 1.0 mm off its image; a corner lies 0.5 voxels off", quick=True)
def half_a_voxel(site: PlantedSite) -> None:
    moved = AFFINE.copy()
    moved[0, 3] = 1
    change(site.label(1), affine=moved)


@fault(GeometryFault.CHANNELS_APART, "error", "does not lie on the grid of case-1.nii.gz", quick=True)
def channels_apart(site: PlantedSite) -> None:
    _two_channels(site)
    change(site.folder / "t2" / "case-1.nii.gz", affine=np.diag([2.0, 2.0, 4.0, 1.0]))


@fault(GeometryFault.SPACING_NEEDED, "error", "the affine is the identity, 1 × 1 × 1 mm", quick=True)
def identity(site: PlantedSite) -> None:
    site.task["lesion"] = {"label": "lesion", "small_mm": 8}
    both(site, affine=np.eye(4))


@fault(GeometryFault.SPACING_UNKNOWN, "warning", "the affine is the identity, 1 × 1 × 1 mm", quick=True)
def identity_of_no_matter(site: PlantedSite) -> None:
    site.task["lesion"] = None
    both(site, affine=np.eye(4))


@fault(GeometryFault.SPACING_UNKNOWN, "warning", "the sform says 1 × 1 × 1 mm, pixdim 2 × 2 × 5 mm", quick=True)
def unit_sform(site: PlantedSite) -> None:
    site.task["lesion"] = None
    _patch_pixdim(site, (2, 2, 5))


@fault(GeometryFault.SPACING_UNKNOWN, "warning", "pixdim is 0 × 0 × 0, the sform says 1 × 1 × 1 mm", quick=True)
def no_pixdim(site: PlantedSite) -> None:
    site.task["lesion"] = None
    _patch_pixdim(site, (0, 0, 0))


def _patch_pixdim(site: PlantedSite, sizes: tuple[float, float, float]) -> None:
    """An sform of unit scale away from the origin, and sizes that nibabel would not write beside it."""
    affine = np.eye(4)
    affine[:3, 3] = (-40, 30, 70)
    for path in (site.image(1), site.label(1)):
        image = nib.Nifti1Image(np.asarray(nib.load(path).dataobj), None)
        image.set_sform(affine, code=2)
        block = bytearray(image.to_bytes())
        block[80:92] = np.array(sizes, "<f4").tobytes()
        path.write_bytes(gzip.compress(block))
