"""Settings and files: whether what is named is there and can be read."""

from __future__ import annotations

from flareseg.data.faults.kind import Kind, Level
from flareseg.errors import ErrorCode

E, W = Level.ERROR, Level.WARNING


class FileFault(Kind):
    """Settings and files: whether what is named is there and can be read."""

    TASK_MISMATCH = (
        E,
        ErrorCode.BAD_SETTINGS,
        "site.yaml does not fit the task: its modality or its labels.",
        "Name every label of the task in site.yaml, null where it was never annotated, or ask for another job.",
    )
    NOTHING_ANNOTATED = (
        E,
        ErrorCode.BAD_SETTINGS,
        "Every label in site.yaml is null, so there is nothing to learn from.",
        "Give the site's own values for at least one label.",
    )
    ROOT_MISSING = (
        E,
        ErrorCode.NO_DATA,
        "The data root is no folder.",
        "Set data.root (or data.label_root) in site.yaml to the data.",
    )
    ROOT_FORBIDDEN = (
        E,
        ErrorCode.NO_DATA,
        "The data root cannot be listed by this user.",
        "Give the user that runs the site's process read and execute permission on the folder.",
    )
    DATALIST_MISSING = (
        E,
        ErrorCode.NO_DATA,
        "The datalist is not there.",
        "Correct data.datalist in site.yaml.",
    )
    DATALIST_BAD = (
        E,
        ErrorCode.NO_DATA,
        "The datalist is not a MONAI datalist.",
        'Write {"training": [{"image": ..., "label": ...}], "validation": [...], "testing": [...]}.',
    )
    PATTERN_BAD = (
        E,
        ErrorCode.NO_DATA,
        "A pattern leaves the data root or uses brackets.",
        "Correct data.images and data.labels in site.yaml: below the root, with *, ** and ? only.",
    )
    NO_IMAGES = (
        E,
        ErrorCode.NO_DATA,
        "The image pattern matches nothing.",
        "Put images there or correct data.images in site.yaml.",
    )
    IMAGE_WITHOUT_LABEL = (
        E,
        ErrorCode.NO_DATA,
        "An image has no label.",
        "Add the label, move the image away, or correct the patterns: they pair by what their wildcards match.",
    )
    LABEL_WITHOUT_IMAGE = (
        E,
        ErrorCode.NO_DATA,
        "A label has no image.",
        "Add the image, move the label away, or correct the patterns: they pair by what their wildcards match.",
    )
    CHANNEL_MISSING = (
        E,
        ErrorCode.NO_DATA,
        "A case lacks one of the channels that the site or the task names.",
        "Add the file, exclude the case (data.exclude in site.yaml), or correct the patterns or the datalist.",
    )
    CASE_AMBIGUOUS = (
        E,
        ErrorCode.NO_DATA,
        "Two files stand for one case, so that which is meant cannot be known.",
        "Keep one of them, or narrow the patterns.",
    )
    EXCLUDE_UNUSED = (
        W,
        ErrorCode.NO_DATA,
        "A name in exclude fits no case: it may be misspelt, and the case it means be trained on.",
        "Correct data.exclude in site.yaml, or exclude in the datalist; leave it if the case is gone.",
    )
    FILE_MISSING = (
        E,
        ErrorCode.NO_DATA,
        "The datalist names a file that is not there.",
        "Add the file or correct the datalist.",
    )
    OUTSIDE_ROOT = (
        E,
        ErrorCode.NO_DATA,
        "A file lies outside the data root, by its path or through a link.",
        "Set data.root to a folder that holds all of it; of links into a cache, one that holds links and cache.",
    )
    FILE_FORBIDDEN = (
        E,
        ErrorCode.UNREADABLE_IMAGE,
        "A file cannot be opened by this user.",
        "Give the user that runs the site's process read permission on the file.",
    )
    FILE_EMPTY = (
        E,
        ErrorCode.UNREADABLE_IMAGE,
        "A file has no bytes.",
        "Copy or export it again.",
    )
    SUFFIX_UNKNOWN = (
        E,
        ErrorCode.UNREADABLE_IMAGE,
        "A file is of a type that the modality is not read from.",
        "CT and MR are read from .nii and .nii.gz, RGB from .png and .jpg: convert it with flareseg data prepare.",
    )
    SUFFIX_WRONG = (
        E,
        ErrorCode.UNREADABLE_IMAGE,
        "A file's content is not what its name says.",
        "Rename it: .nii.gz is compressed with gzip, .nii is not.",
    )
    FILE_UNREADABLE = (
        E,
        ErrorCode.UNREADABLE_IMAGE,
        "A file cannot be decoded.",
        "The file is damaged: copy or export it again.",
    )
    FILE_TRUNCATED = (
        E,
        ErrorCode.UNREADABLE_IMAGE,
        "A file ends too early.",
        "It was cut short, often by a full disk or a broken transfer: copy or export it again.",
    )
    IMAGE_IS_LABEL = (
        E,
        ErrorCode.BAD_LABEL,
        "Image and label are the same file.",
        "Correct the datalist or the patterns.",
    )
    NOT_PREPARABLE = (
        E,
        ErrorCode.UNREADABLE_IMAGE,
        "Preparing the case for training fails.",
        "Do as the message says; if memory is short, check the spacing of the image and of the task.",
    )
