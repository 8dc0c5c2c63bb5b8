from __future__ import annotations

from typing import Any

import pytest

from flareseg.config.task import Task
from flareseg.data.prepare.label_map import left_over, lesion_values, map_labels, named
from flareseg.data.prepare.lesion_names import is_lesion
from flareseg.data.prepare.organ_names import canonical
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


TS2 = {"kidney_cyst_left": (1,), "kidney_cyst_right": (2,), "kidney_left": (3,), "kidney_right": (4,), "liver": (5,)}
MIXED = {"liver": (1,), "spleen": (2,), "tumour": (3,)}
NAMED = {"liver": (1,), "liver tumor": (2,), "spleen": (3,)}
KITS = {"kidney": (1,), "tumor": (2,), "cyst": (3,)}


@pytest.mark.parametrize(
    ("organs", "labels", "lesion", "mapped"),
    [
        # A kidney's cysts are no lesions of the liver, and the liver's were not annotated there.
        (TS2, ["liver", "lesion"], "lesion", {"liver": (5,), "lesion": None}),
        (TS2, ["liver", "liver_tumour"], "liver_tumour", {"liver": (5,), "liver_tumour": None}),
        (TS2, ["kidneys", "kidney_cyst_left"], None, {"kidneys": (3, 4), "kidney_cyst_left": (1,)}),
        (TS2, ["kidneys", "kidney_cysts"], None, {"kidneys": (3, 4), "kidney_cysts": (1, 2)}),
        (KITS, ["kidneys", "tumour"], "tumour", {"kidneys": (1, 2, 3), "tumour": (2,)}),
        (KITS, ["kidneys", "renal_tumour"], None, {"kidneys": (1, 2, 3), "renal_tumour": (2,)}),
        ({"pancreas": (1,), "cancer": (2,), "liver": (3,)}, ["liver"], None, {"liver": (3,)}),
        ({"liver": (1,), "renal cyst": (2,)}, ["liver"], None, {"liver": (1,)}),
        (
            {"liver": (1,), "spleen": (2,), "tumour": (3,)},
            ["liver", "tumour"],
            "tumour",
            {"liver": (1,), "tumour": (3,)},
        ),
        (
            {"liver": (1,), "liver tumor": (2,), "spleen": (3,)},
            ["liver", "lesion"],
            None,
            {"liver": (1,), "lesion": (2,)},
        ),
        ({"Liver": (1,), "liver": (2,)}, ["liver"], None, {"liver": (1, 2)}),
        ({"lesions": (1,)}, ["lesion"], "lesion", {"lesion": (1,)}),
    ],
)
def test_lesions_are_those_of_the_tasks_organs(
    task_content: dict[str, Any], organs: dict[str, tuple[int, ...]], labels: list[str], lesion: str | None, mapped: Any
) -> None:
    assert map_labels(organs, task_with(task_content, *labels, lesion=lesion)) == mapped


@pytest.mark.parametrize(
    ("organs", "labels", "lesion", "candidates"),
    [
        (TS2, ["liver", "kidneys", "lesion"], "lesion", "kidney_cyst_left,kidney_cyst_right"),
        (KITS, ["kidneys", "lesion"], "lesion", "tumor,cyst"),
        ({"cancer": (1,)}, ["liver", "lesion"], "lesion", "cancer"),
        ({"liver": (1,), "spleen": (2,), "tumour": (3,)}, ["liver", "lesion"], "lesion", "tumour"),
        ({"pancreas": (1,), "tumour": (2,)}, ["liver", "tumour"], "tumour", "tumour"),
        (LITS, ["liver", "spot"], "spot", "tumour"),
    ],
)
def test_a_doubtful_guess_is_asked_for(
    task_content: dict[str, Any], organs: dict[str, tuple[int, ...]], labels: list[str], lesion: str, candidates: str
) -> None:
    with pytest.raises(SettingsError, match=f"{lesion} may or may not be") as error:
        map_labels(organs, task_with(task_content, *labels, lesion=lesion))
    assert f"--map '{lesion}={candidates}'" in error.value.remedy
    assert f"--map {lesion}=none" in error.value.remedy


def test_a_question_is_answered_by_map(task_content: dict[str, Any]) -> None:
    task = task_with(task_content, "liver", "kidneys", "lesion", lesion="lesion")
    assert map_labels(TS2, task, ["lesion=none"])["lesion"] is None
    assert map_labels(TS2, task, ["lesion=Kidney cyst left,2"])["lesion"] == (1, 2)


def test_values_are_shown_by_name() -> None:
    assert named((1, 2), LITS) == "liver 1, tumour 2"
    assert named((1, 2), {"kidney": (1, 2), "tumor": (2,)}) == "kidney 1, tumor 2"
    assert named((1, 255), {"polyp": (1, 255)}) == "polyp 1, 255"
    assert named((1, 3), {}) == "1, 3"
    assert left_over({"liver": (1, 2), "spleen": None}, TS2) == {name: TS2[name] for name in list(TS2)[2:]}


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
        (LITS, ["liver=heart"], "heart is no value from 1 and no organ of the data"),
        (LITS, ["liver=" + "9" * 5000], "is no value from 1 and no organ of the data"),
        (LITS, ["liver"], "expected LABEL=ORGAN"),
        *((LITS, [f"liver={word}"], f"{word} is no value from 1") for word in ("0", "1_0", "-1", "²", "no", "1.0")),
        (LITS, ["liver=1", "liver=2"], "--map names liver twice"),
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
