"""Whether a name is that of a lesion, of which organ, and whether it is the lesion that a task means."""

from __future__ import annotations

from collections.abc import Set
from enum import Enum

from flareseg.data.prepare.organ_names import canonical

_KINDS = {
    "lesion": "lesion lesions",
    "tumour": "tumour tumours tumor tumors cancer cancers carcinoma metastasis metastases neoplasm",
    "cyst": "cyst cysts",
    "polyp": "polyp polyps",
    "nodule": "nodule nodules",
}
_KIND = {word: kind for kind, words in _KINDS.items() for word in words.split()}
_CERTAIN_LESIONS = frozenset({"lesion", "tumour", "polyp", "nodule"})
"""What a label named ``lesion`` takes; a cyst may or may not be meant."""
_ORGAN = {
    "hepatic": "liver",
    "hepatocellular": "liver",
    "renal": "kidney",
    "pancreatic": "pancreas",
    "pulmonary": "lung",
    "splenic": "spleen",
}


class Fit(Enum):
    """How well a lesion of the data is the one that a label means."""

    SAME = "the same name"
    CERTAIN = "another name for it"
    DOUBTFUL = "it may or may not be"
    OTHER = "something else"


def is_lesion(name: str) -> bool:
    """Whether a name is that of a lesion, such as ``liver_tumour``."""
    return _kind_of(name) is not None


def organ_of(name: str) -> str:
    """The organ in a name without side and number, empty where a lesion's name has none.

    >>> organ_of("kidney_cyst_left"), organ_of("Kidneys"), organ_of("tumour")
    ('kidney', 'kidney', '')
    """
    words = [word for word in canonical(name).split("_") if word not in _KIND and word not in ("left", "right")]
    return "_".join(_ORGAN.get(word, word) for word in words).removesuffix("s")


def fit_of(name: str, label: str, ours: Set[str], theirs: Set[str]) -> Fit:
    """Judge a lesion of the data by its name.

    Args:
        name: of the data's lesion.
        label: of the task.
        ours: the organs of the task.
        theirs: the organs of the data; a lesion whose name has no organ belongs to the only one.
    """
    only = next(iter(theirs)) if len(theirs) == 1 else ""
    place, same = organ_of(name) or only, canonical(name) == canonical(label)
    wanted = ({organ_of(label)} - {""} if is_lesion(label) else set()) or ours
    elsewhere = bool(place and wanted) and place not in wanted
    if same and (organ_of(name) or not elsewhere):
        return Fit.SAME
    if elsewhere:
        return Fit.DOUBTFUL if same else Fit.OTHER
    kind, meant = _kind_of(name), _kind_of(label)
    if meant is None or (meant == "lesion" and kind not in _CERTAIN_LESIONS):
        return Fit.DOUBTFUL
    if kind not in (meant, "lesion") and meant != "lesion":
        return Fit.OTHER
    placed = place in wanted if wanted else place == only
    return Fit.CERTAIN if placed else Fit.DOUBTFUL


def _kind_of(name: str) -> str | None:
    return next((_KIND[word] for word in canonical(name).split("_") if word in _KIND), None)
