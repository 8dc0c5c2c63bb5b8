"""BIDS: images of subjects and sessions with the labels of their derivatives, and what cannot be told is asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from flareseg.data.prepare.layouts.source import Given
from flareseg.data.prepare.order import Order
from flareseg.data.prepare.run import prepare
from flareseg.data.prepare.splits import SplitPlan
from flareseg.errors import DataError
from layouts import label_of, save

TABLE = "index\tname\n0\tBackground\n3\tliver\n7\tleft kidney\n"
LABELS = "derivatives/manual"


def image(root: Path, name: str, number: int = 0) -> None:
    subject, session = name.split("_")[0], next((part for part in name.split("_") if part.startswith("ses-")), "")
    save(root / subject / session / "anat" / f"{name}.nii.gz", (label_of([3, 7]) * 50 + number).astype(np.int16))


def label(root: Path, name: str, value: np.ndarray | None = None, folder: str = LABELS) -> None:
    subject, session = name.split("_")[0], next((part for part in name.split("_") if part.startswith("ses-")), "")
    save(root / folder / subject / session / "anat" / f"{name}.nii.gz", label_of([3, 7]) if value is None else value)


def write(root: Path, *, masks: bool = False) -> Path:
    """Two subjects with two sessions each, one with one; T2 alone."""
    names = [f"sub-{s}_ses-{t}" for s in ("01", "02") for t in ("a", "b")] + ["sub-10"]
    for number, name in enumerate(names):
        image(root, f"{name}_T2w", number)
        if masks:
            for organ, value in (("liver", 3), ("kidneyleft", 7)):
                label(root, f"{name}_label-{organ}_desc-manual_mask", (label_of([3, 7]) == value).astype(np.uint8))
        else:
            label(root, f"{name}_desc-manual_dseg")
    if not masks:
        (root / LABELS / "desc-manual_dseg.tsv").write_text(TABLE, encoding="utf-8-sig")
    rows = "".join(f"{name}\t60\n" for name in ("sub-01", "02", "sub-10", "sub-99"))
    (root / "participants.tsv").write_text(f"participant_id\tage\n{rows}", encoding="utf-8-sig")
    (root / "sub-01/ses-a/anat/._sub-01_ses-a_T2w.nii.gz").write_bytes(b"\0\5")
    return root


def run(source: Path, folder: Path, **more: Any) -> dict[str, Any]:
    order = Order("bids", source, folder, plan=SplitPlan(validation=0, testing=0), **more)
    prepare(order, lambda done, total: None)
    listed = json.loads((folder / "datalist.json").read_text())["training"]
    return {Path(entry["image"]).name.removesuffix(".nii.gz"): entry["patient"] for entry in listed}


@pytest.mark.parametrize("masks", [False, True])
def test_sessions_are_of_one_patient(tmp_path: Path, masks: bool) -> None:
    found = run(write(tmp_path / "source", masks=masks), tmp_path / "dest")
    assert found == {
        "sub-01_ses-a_T2w": "sub-01",
        "sub-01_ses-b_T2w": "sub-01",
        "sub-02_ses-a_T2w": "sub-02",
        "sub-02_ses-b_T2w": "sub-02",
        "sub-10_T2w": "sub-10",
    }
    content = yaml.safe_load((tmp_path / "dest/site.yaml").read_text())
    assert content["modality"] == "MR"
    expected = {"kidneyleft": [1], "liver": [2]} if masks else {"liver": [3], "kidney_left": [7]}
    assert content["labels"] == expected


def test_a_label_that_names_its_image_by_the_older_habit(tmp_path: Path) -> None:
    source = tmp_path / "source"
    for contrast in ("T1w", "T2w"):
        image(source, f"sub-01_{contrast}", len(contrast))
        label(source, f"sub-01_{contrast}_lesion-manual", (label_of([3]) > 0).astype(np.uint8))
    image(source, "sub-02_T2w", 9)
    label(source, "sub-02_T2w_lesion-manual", (label_of([3]) > 0).astype(np.uint8))
    assert set(run(source, tmp_path / "dest")) == {"sub-01_T1w", "sub-01_T2w", "sub-02_T2w"}


def test_a_label_that_may_belong_to_two_images_is_asked_for(tmp_path: Path) -> None:
    source = write(tmp_path / "source")
    image(source, "sub-10_T1w", 20)
    with pytest.raises(DataError, match=r"2 of 6 cases cannot be prepared: .*may belong to sub-10_T") as error:
        run(source, tmp_path / "dest")
    assert "--images '*_T" in error.value.remedy
    found = run(source, tmp_path / "dest", given=Given(images="*_T2w.nii.gz"))
    assert len(found) == 5


def test_two_labels_of_one_image_are_asked_for(tmp_path: Path) -> None:
    source = write(tmp_path / "source")
    label(source, "sub-10_desc-auto_dseg", folder="derivatives/auto")
    with pytest.raises(DataError, match=r"sub-10_T2w: .*has 2 labels") as error:
        run(source, tmp_path / "dest")
    assert "--labels" in error.value.remedy
    assert len(run(source, tmp_path / "dest", given=Given(labels="derivatives/manual/*"))) == 5


def not_listed(source: Path) -> None:
    (source / "participants.tsv").write_text("participant_id\nsub-01\nsub-02\n")


def listed_twice(source: Path) -> None:
    (source / "participants.tsv").write_text("participant_id\nsub-01\nsub-02\n01\nsub-10\n")


def spaces(source: Path) -> None:
    (source / "participants.tsv").write_text("participant_id age\nsub-01 3\n")


def no_label(source: Path) -> None:
    (source / LABELS / "sub-10/anat/sub-10_desc-manual_dseg.nii.gz").unlink()


def odd_index(source: Path) -> None:
    (source / LABELS / "desc-manual_dseg.tsv").write_text("index\tname\n1.5\tliver\n")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (not_listed, "1 of 5 cases cannot be prepared: sub-10_T2w: .*sub-10 is not in participants.tsv"),
        (listed_twice, "lists sub-01 twice"),
        (spaces, "has no column participant_id"),
        (no_label, "1 of 5 cases cannot be prepared: sub-10_T2w: .*has no label"),
        (odd_index, "expected a whole number as index, found '1.5'"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path: Path, spoil: Any, words: str) -> None:
    source = write(tmp_path / "source")
    spoil(source)
    with pytest.raises(DataError, match=words):
        run(source, tmp_path / "dest")
