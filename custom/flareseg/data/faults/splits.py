"""Cases and patients over training, validation and testing."""

from __future__ import annotations

from flareseg.data.faults.kind import Kind, Level
from flareseg.errors import ErrorCode

E, W = Level.ERROR, Level.WARNING


class SplitFault(Kind):
    """Cases and patients over training, validation and testing."""

    NO_TRAINING = (
        E,
        ErrorCode.NO_DATA,
        "There is no training case.",
        "Put images there or correct data in site.yaml.",
    )
    FEW_TRAINING = (
        W,
        ErrorCode.NO_DATA,
        "There is a single training case.",
        "Add cases, or give testing and validation a smaller share.",
    )
    NO_VALIDATION = (
        W,
        ErrorCode.NO_DATA,
        "There is no validation case: this site has no say in which model is best.",
        "Name some in the datalist, or raise data.split.validation.",
    )
    NO_TESTING = (
        W,
        ErrorCode.NO_DATA,
        "There is no test case: the final model is not scored at this site.",
        "Name some in the datalist, or raise data.split.testing.",
    )
    PATIENT_IN_TWO_SPLITS = (
        E,
        ErrorCode.SPLIT_LEAK,
        "A patient is in two splits, so that scores are better than the model.",
        "Keep all cases of a patient in one split: flareseg data prepare splits by patient.",
    )
    PATIENT_DOUBTFUL = (
        W,
        ErrorCode.SPLIT_LEAK,
        "By their names, cases of two splits may be of one patient.",
        'Say whose they are with "patient" in the datalist; flareseg data prepare then splits by patient.',
    )
    CASE_IN_TWO_SPLITS = (
        E,
        ErrorCode.SPLIT_LEAK,
        "The same image is listed in two splits.",
        "List it once.",
    )
    CASE_TWICE = (
        W,
        ErrorCode.SPLIT_LEAK,
        "The same image is listed twice in one split, so it counts twice.",
        "List it once.",
    )
    LABEL_SHARED = (
        W,
        ErrorCode.BAD_LABEL,
        "Two images share one label file.",
        "Fine for two sequences of one examination; else correct the datalist.",
    )
    NAMES_DIFFER_BY_CASE = (
        W,
        ErrorCode.NO_DATA,
        "Two files differ only in capital letters; on another system one overwrites the other.",
        "Rename one of them.",
    )
    DUPLICATE_IN_TWO_SPLITS = (
        E,
        ErrorCode.SPLIT_LEAK,
        "Two images of different splits hold the same voxels, so that scores are better than the model.",
        "Remove one of them.",
    )
    DUPLICATE = (
        W,
        ErrorCode.SPLIT_LEAK,
        "Two images of one split hold the same voxels, so they count twice.",
        "Remove one of them.",
    )
    LABEL_DUPLICATE = (
        W,
        ErrorCode.BAD_LABEL,
        "Two different images have labels of the same voxels: one may be a copy put in the wrong place.",
        "Look at both in the page of --html.",
    )
