"""What labels hold, by themselves and against the image and the other cases."""

from __future__ import annotations

from flareseg.data.faults.kind import Kind, Level
from flareseg.errors import ErrorCode

E, W = Level.ERROR, Level.WARNING


class LabelFault(Kind):
    """What labels hold, by themselves and against the image and the other cases."""

    SWAPPED = (
        E,
        ErrorCode.BAD_LABEL,
        "The image looks like a mask and the label like an image.",
        "Exchange the two in the datalist or the patterns.",
    )
    LABEL_NOT_INTEGER = (
        E,
        ErrorCode.BAD_LABEL,
        "The label holds fractions, NaN or infinity.",
        "Export the label without interpolation.",
    )
    LABEL_NEGATIVE = (
        E,
        ErrorCode.BAD_LABEL,
        "The label holds negative values that site.yaml does not name; they would be taught as background.",
        "Export the label as unsigned numbers; a region to be ignored cannot be marked.",
    )
    LABEL_NOT_A_MASK = (
        E,
        ErrorCode.BAD_LABEL,
        "The label holds hundreds of values: it is an image, not a mask.",
        "Correct the datalist or the patterns.",
    )
    MASK_NOT_BINARY = (
        E,
        ErrorCode.BAD_LABEL,
        "The mask of a frame holds more than background and one value, and site.yaml does not say which is which.",
        "Export one mask of 0 and 255 for each frame, or give every value in site.yaml's labels.",
    )
    LABEL_EMPTY = (
        E,
        ErrorCode.BAD_LABEL,
        "Organs are annotated at this site, but this label holds none: the whole scan would be taught as background.",
        "Annotate the scan or take it out; check the values in site.yaml's labels.",
    )
    LABEL_OFF_IMAGE = (
        E,
        ErrorCode.BAD_LABEL,
        "The label lies in the image's empty background and touches nothing of what is shown.",
        "Export the label on the image's grid, and check that it belongs to this scan.",
    )
    LABEL_NEVER_OCCURS = (
        E,
        ErrorCode.BAD_LABEL,
        "A label has values in site.yaml, but no case holds any of them: it would be taught as absent everywhere.",
        "Correct the values, or set the label to null if it was never annotated.",
    )
    TARGET_NEVER_OCCURS = (
        W,
        ErrorCode.BAD_LABEL,
        "The task's small target is named in site.yaml, but no case holds it.",
        "Set it to null if it was never annotated; leave it if the scans were searched and none has one.",
    )
    VALUE_NEVER_OCCURS = (
        W,
        ErrorCode.BAD_LABEL,
        "Of a label's values in site.yaml one occurs in no case.",
        "Check the values in site.yaml's labels.",
    )
    LABEL_ROUNDED = (
        W,
        ErrorCode.BAD_LABEL,
        "A label's values are whole numbers but for rounding, as when it was saved with a scale; they are rounded.",
        "Nothing, if the numbers of voxels are right; better export labels as whole numbers.",
    )
    MASK_INVERTED = (
        W,
        ErrorCode.BAD_LABEL,
        "The palette of a mask shows its background (index 0) brighter than what is labelled; it is read by index.",
        "Look at it in the page of --html; save the mask in grey, 0 and 255, if it is the wrong way round.",
    )
    STACK_REPEATS = (
        W,
        ErrorCode.BAD_LABEL,
        "The slices of a scan repeat, as two phases one behind the other do, and only one of the two is labelled: "
        "the other teaches the organ as background.",
        "Keep the labelled phase only, or label both.",
    )
    VALUES_UNMAPPED = (
        W,
        ErrorCode.BAD_LABEL,
        "The label holds values that site.yaml does not name; they are background.",
        "Add them to a label in site.yaml if they belong to one.",
    )
    ORGAN_ABSENT = (
        W,
        ErrorCode.BAD_LABEL,
        "An organ that most cases of the site have is missing in this one.",
        "Look whether it was forgotten, was removed, or lies outside the scan.",
    )
    COVERS_IMAGE = (
        W,
        ErrorCode.BAD_LABEL,
        "A label covers more than 90 % of the image, as an inverted mask does.",
        "Look at it in the page of --html.",
    )
    ANNOTATION_GAPS = (
        W,
        ErrorCode.BAD_LABEL,
        "Between the first and the last slice of an organ many slices hold nothing of it.",
        "Look whether only every n-th slice was annotated; complete the label.",
    )
    TINY_TARGETS = (
        W,
        ErrorCode.BAD_LABEL,
        "A label has connected parts of three voxels or fewer, often slips of the pen.",
        "Look at them in the label; remove the slips.",
    )
    TARGET_LOST = (
        W,
        ErrorCode.BAD_LABEL,
        "At the task's spacing nothing of a label is left, and its place is taught as background.",
        "Ask the lead for a finer spacing if such small targets matter.",
    )
    LABEL_OUTSIDE_WINDOW = (
        W,
        ErrorCode.BAD_LABEL,
        "Nearly all labelled voxels lie outside the task's window: the network sees them as black or white.",
        "Check intensity in site.yaml, and that image and label belong together.",
    )
    LEFT_RIGHT_FLIP = (
        W,
        ErrorCode.BAD_LABEL,
        "By the header the liver lies on the patient's left and the spleen on the right.",
        "Check the orientation of the conversion; a situs inversus is rare.",
    )
