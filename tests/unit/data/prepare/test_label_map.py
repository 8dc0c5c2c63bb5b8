from __future__ import annotations

from typing import Any

import pytest

from flareseg.config.task import Task
from flareseg.data.prepare.label_map import canonical, is_lesion, lesion_values, map_labels
from flareseg.errors import SettingsError

LITS = {"liver": (1,), "tumour": (2,)}
MSD = {"liver": (1,), "cancer": (2,)}
CHAOS = {"liver": (1,), "kidney_right": (2,), "kidney_left": (3,), "spleen": (4,)}
AMOS = {"spleen": (1,), "right kidney": (2,), "left kidney": (3,), "liver": (6,), "bladder": (14,)}


def task_with(content: dict[str, Any], *labels: str, lesion: str | None = None) -> Task:
    about = {"label": lesion, "small_mm": 20} if lesion else None
    return Task.model_validate(content | {"labels": list(labels), "lesion": about, "fedgs": None})


@pytest.mark.parametrize(
    ("organs", "labels", "lesion", "mapped"),
    [
        (LITS, ["liver", "lesion"], "lesion", {"liver": (1, 2), "lesion": (2,)}),
        (LITS, ["liver"], None, {"liver": (1, 2)}),
        (MSD, ["liver", "tumor"], "tumor", {"liver": (1, 2), "tumor": (2,)}),
        (CHAOS, ["liver", "kidneys", "lesion"], "lesion", {"liver": (1,), "kidneys": (2, 3), "lesion": None}),
        (CHAOS, ["kidney_left", "spleen"], None, {"kidney_left": (3,), "spleen": (4,)}),
        (AMOS, ["Kidneys", "urinary_bladder"], None, {"Kidneys": (2, 3), "urinary_bladder": (14,)}),
        ({"kidney": (1,), "cyst": (2,), "tumor": (3,)}, ["kidneys"], None, {"kidneys": (1, 2, 3)}),
        ({"polyp": (1, 255)}, ["polyp"], "polyp", {"polyp": (1, 255)}),
        # A lesion among several organs belongs to none of them.
        ({"liver": (1,), "spleen": (2,), "tumour": (3,)}, ["liver"], None, {"liver": (1,)}),
        # One kidney alone is not the kidneys.
        ({"kidney_left": (1,), "liver": (2,)}, ["kidneys", "liver"], None, {"kidneys": None, "liver": (2,)}),
    ],
)
def test_organs_become_labels_by_name(
    task_content: dict[str, Any], organs: dict[str, tuple[int, ...]], labels: list[str], lesion: str | None, mapped: Any
) -> None:
    assert map_labels(organs, task_with(task_content, *labels, lesion=lesion)) == mapped


def test_without_a_task_every_organ_is_a_label() -> None:
    assert map_labels(AMOS, None) == {
        "spleen": (1,),
        "kidney_right": (2,),
        "kidney_left": (3,),
        "liver": (6,),
        "urinary_bladder": (14,),
    }


def test_what_the_user_says_goes_first(task_content: dict[str, Any]) -> None:
    task = task_with(task_content, "liver", "kidneys", "spleen")
    said = ["liver=liver,spleen", "kidneys=2", "spleen=none"]
    assert map_labels(CHAOS, task, said) == {"liver": (1, 4), "kidneys": (2,), "spleen": None}
    assert map_labels({}, None, ["liver=1,3"]) == {"liver": (1, 3)}


@pytest.mark.parametrize(
    ("organs", "said", "words"),
    [
        (LITS, ["spleen=1"], "--map names spleen, the task has liver"),
        (LITS, ["liver=heart"], "heart is no value and no organ of the data"),
        (LITS, ["liver=²"], "² is no value and no organ of the data"),
        (LITS, ["liver=" + "9" * 5000], "is no value and no organ of the data"),
        (LITS, ["liver"], "expected LABEL=ORGAN"),
        (LITS, ["liver="], "expected LABEL=ORGAN"),
        (LITS, ["liver=none"], "No label of the task"),
        ({"heart": (1,)}, [], "No label of the task .liver. is among the organs of the data .heart."),
    ],
)
def test_a_map_that_cannot_be(
    task_content: dict[str, Any], organs: dict[str, tuple[int, ...]], said: list[str], words: str
) -> None:
    with pytest.raises(SettingsError, match=words):
        map_labels(organs, task_with(task_content, "liver"), said)


def test_names_in_one_spelling() -> None:
    assert canonical("Right adrenal-gland") == "adrenal_gland_right"
    assert canonical("prostate/uterus") == "prostate_uterus"
    assert is_lesion("Liver Tumor")
    assert not is_lesion("cystic duct")


def test_lesions_are_the_small_target_of_the_task(task_content: dict[str, Any]) -> None:
    task = task_with(task_content, "liver", "spot", lesion="spot")
    labels = map_labels(LITS, task, ["spot=2"])
    assert lesion_values(LITS, labels, task) == (2,)
    assert lesion_values(LITS, map_labels(LITS, None), None) == (2,)
    assert lesion_values(CHAOS, map_labels(CHAOS, None), None) == ()
