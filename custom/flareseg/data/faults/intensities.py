"""The values of images."""

from __future__ import annotations

from flareseg.data.faults.kind import Kind, Level
from flareseg.errors import ErrorCode

E, W = Level.ERROR, Level.WARNING


class IntensityFault(Kind):
    """The values of images."""

    NOT_FINITE = (
        E,
        ErrorCode.UNREADABLE_IMAGE,
        "The image holds NaN or infinite voxels.",
        "Export the image again; replace NaN by the background's value.",
    )
    CONSTANT_IMAGE = (
        E,
        ErrorCode.UNREADABLE_IMAGE,
        "All voxels of the image are the same.",
        "Export the image again.",
    )
    OUTSIDE_WINDOW = (
        E,
        ErrorCode.UNREADABLE_IMAGE,
        "The whole image lies outside the task's window, so that the network would see one grey.",
        "Set intensity.slope and intensity.intercept in site.yaml so that CT is in HU.",
    )
    SCALED_TWICE = (
        E,
        ErrorCode.UNREADABLE_IMAGE,
        "A CT is in HU as stored, and intensity in site.yaml would scale it a second time.",
        "Take intensity out of site.yaml; where some images hold 8 bits, make two sites or convert these to HU.",
    )
    MOSTLY_ONE_VALUE = (
        W,
        ErrorCode.UNREADABLE_IMAGE,
        "More than 99 % of the image's voxels have one value.",
        "Look at it in the page of --html.",
    )
    CT_WITHOUT_HU = (
        W,
        ErrorCode.UNREADABLE_IMAGE,
        "A CT holds no value of air or fat, so it is hardly in HU.",
        "Set intensity.slope and intensity.intercept in site.yaml (often 1 and -1024), or correct modality.",
    )
    CT_SCALE_ODD = (
        W,
        ErrorCode.UNREADABLE_IMAGE,
        "A CT holds values far beyond HU, as when a slope was applied twice.",
        "Check intensity in site.yaml and the header's slope.",
    )
    MR_WITH_HU = (
        W,
        ErrorCode.UNREADABLE_IMAGE,
        "An MR holds values as of air in HU, so it may be a CT.",
        "Check modality in site.yaml and where the case came from.",
    )
