"""Grids: shape, spacing, affine, and whether image and label agree."""

from __future__ import annotations

from flareseg.data.faults.kind import Kind, Level
from flareseg.errors import ErrorCode

E, W = Level.ERROR, Level.WARNING


class GeometryFault(Kind):
    """Grids: shape, spacing, affine, and whether image and label agree."""

    NOT_3D = (
        E,
        ErrorCode.SHAPE_MISMATCH,
        "An image or label has not three dimensions: a time series, several channels, or a single plane. "
        "Further axes of length 1 do not count.",
        "Export one volume, or one phase of a series, for each case.",
    )
    COLOUR_VOLUME = (
        E,
        ErrorCode.SHAPE_MISMATCH,
        "A CT or MR file holds colours, as screenshots and fused images do.",
        "Export the grey values.",
    )
    COMPLEX_VOLUME = (
        E,
        ErrorCode.SHAPE_MISMATCH,
        "A file holds complex numbers, as MR raw data does, of which half would be lost.",
        "Export the magnitude.",
    )
    NOT_RGB = (
        E,
        ErrorCode.SHAPE_MISMATCH,
        "A frame has more than 8 bits a channel.",
        "Export the frame as RGB of 8 bits a channel.",
    )
    GREY_FRAME = (
        W,
        ErrorCode.SHAPE_MISMATCH,
        "A frame is grey where three colours are due; it is trained on with three equal channels.",
        "Export the colours, if there were any.",
    )
    EXIF_ONE_SIDED = (
        W,
        ErrorCode.SHAPE_MISMATCH,
        "A frame is turned by its EXIF orientation and its mask is not, or the other way round; which was meant "
        "cannot be known.",
        "Look at it in the page of --html; if the mask lies wrong, save frame and mask without EXIF orientation.",
    )
    SHAPE_MISMATCH = (
        E,
        ErrorCode.SHAPE_MISMATCH,
        "Image and label differ in their number of voxels.",
        "Export the label on the image's grid.",
    )
    SPACING_MISMATCH = (
        E,
        ErrorCode.SHAPE_MISMATCH,
        "Image and label differ in spacing.",
        "Export the label on the image's grid.",
    )
    DIRECTION_MISMATCH = (
        E,
        ErrorCode.SHAPE_MISMATCH,
        "Image and label differ in the direction of their axes: the label would lie mirrored or turned.",
        "Export the label on the image's grid; never copy voxels into another header.",
    )
    ORIGIN_MISMATCH = (
        E,
        ErrorCode.SHAPE_MISMATCH,
        "Image and label lie at different places of the scanner's space.",
        "Export the label on the image's grid.",
    )
    GRIDS_APART = (
        W,
        ErrorCode.SHAPE_MISMATCH,
        "Image and label lie a part of a voxel apart: more than a tenth, less than a half.",
        "Export the label on the image's grid, if small targets matter.",
    )
    CHANNELS_APART = (
        E,
        ErrorCode.SHAPE_MISMATCH,
        "The channels of a case lie on different grids.",
        "Register and resample all channels to one grid, and the label with them.",
    )
    AFFINE_SINGULAR = (
        E,
        ErrorCode.SHAPE_MISMATCH,
        "The affine has no volume or is not finite, so that voxels have no place.",
        "Convert the series again with a maintained converter, such as dcm2niix.",
    )
    SPACING_ABSURD = (
        E,
        ErrorCode.SHAPE_MISMATCH,
        "No scanner makes voxels of this size, so the header is wrong (metres or micrometres in place of mm?).",
        "Convert the series again; spacing is in mm.",
    )
    SPACING_NEEDED = (
        E,
        ErrorCode.SHAPE_MISMATCH,
        "The header does not know the voxel size, and the task resamples or measures in mm.",
        "Say it with data.spacing in site.yaml, exclude the case, or convert the series again.",
    )
    SPACING_UNKNOWN = (
        W,
        ErrorCode.SHAPE_MISMATCH,
        "The header does not know the voxel size: an affine that is the identity, sizes of 0, or two that disagree.",
        "Say it with data.spacing in site.yaml, or convert the series again: sizes in mm and ml would be wrong.",
    )
    UNITS_NOT_MM = (
        W,
        ErrorCode.SHAPE_MISMATCH,
        "The header says that lengths are not in mm; flareseg reads them as mm.",
        "Check the spacing; if it is in mm, correct the header's unit.",
    )
    SFORM_QFORM = (
        W,
        ErrorCode.SHAPE_MISMATCH,
        "The header's two affines (sform and qform) disagree; the sform is used, other programs may use the qform.",
        "Find out which is right, and write it to both.",
    )
    ORIENTATION_UNKNOWN = (
        W,
        ErrorCode.SHAPE_MISMATCH,
        "The header says nothing of orientation (sform and qform codes 0), so left and right are a guess.",
        "Convert the series again with a maintained converter, such as dcm2niix.",
    )
    SHEARED = (
        W,
        ErrorCode.SHAPE_MISMATCH,
        "The axes are not at right angles, as with a tilted CT gantry; slices are used as if they were straight.",
        "Correct the tilt when converting (dcm2niix does).",
    )
    SLOPE_ODD = (
        W,
        ErrorCode.SHAPE_MISMATCH,
        "The header's slope or intercept, which scale the stored values, are unusual.",
        "Look at the intensities in the page of --html; convert the series again if they are wrong.",
    )
    RESAMPLED_FAR = (
        W,
        ErrorCode.SHAPE_MISMATCH,
        "The spacing is more than three times or less than a third of the task's: detail is lost or made up.",
        "Check the header; if the spacing is right, ask the lead whether the task suits these scans.",
    )
    SMALLER_THAN_PATCH = (
        W,
        ErrorCode.SHAPE_MISMATCH,
        "At the task's spacing the image is far smaller than a training patch (three quarters); zeros fill the rest.",
        "Check the header; if the image is right, it can stay.",
    )
