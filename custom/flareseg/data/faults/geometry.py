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
        "An image or label has not three dimensions: a time series, several channels, or a single plane.",
        "Export one volume, or one phase of a series, for each case.",
    )
    COLOUR_VOLUME = (
        E,
        ErrorCode.SHAPE_MISMATCH,
        "A CT or MR file holds colours, as screenshots and fused images do.",
        "Export the grey values.",
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
