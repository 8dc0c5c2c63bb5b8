"""The generators of ``../shared/cases`` that a reader meets: level, kind, case and words of what is found."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from flareseg.config.site import load_site
from flareseg.config.task import Task
from flareseg.data.check.case import CaseCheck
from flareseg.data.check.run import full_check
from flareseg.data.faults import (
    FileFault,
    GeometryFault,
    IntensityFault,
    Kind,
    LabelFault,
    Level,
)
from flareseg.data.faults.findings import Finding
from shared_cases import Generate

pytestmark = pytest.mark.shared_data


@dataclass(frozen=True)
class Expected:
    """What the check says of a generator's site: kind, number of cases, part of a message.

    Attributes:
        number: of the generator.
        kind: of what is found, None where nothing is.
        count: how often.
        words: part of a message.
        arguments: of the generator.
        site: site.yaml, where the generator writes a data set without one.
    """

    number: str
    kind: Kind | None
    count: int = 0
    words: str = ""
    arguments: tuple[str, ...] = ()
    site: str = ""


LITS = "{modality: CT, data: {root: source, images: volume-*.nii%s, labels: segmentation-*.nii%s}, labels: {liver: %s}}"
SNAPSHOTS = (
    "{modality: CT, data: {root: datasets--ours, images: snapshots/*/volume-*.nii.gz, "
    "labels: snapshots/*/segmentation-*.nii.gz}, labels: {liver: 1}}"
)
CASES = [
    Expected("01", GeometryFault.DIRECTION_MISMATCH, 3, "an axis is turned by 3.9° against the image's; a corner lies"),
    Expected("01", GeometryFault.SPACING_MISMATCH, 3, "expected the image's spacing 0.7 × 0.7 × 5 mm, found 0.74"),
    Expected("02", GeometryFault.SPACING_UNKNOWN, 6, "the sform says 1 × 1 × 1 mm, pixdim 0.75 × 0.75 × 5 mm"),
    Expected("03", None),
    Expected("04", LabelFault.LABEL_ROUNDED, 6, "holds values such as 2.999999999"),
    Expected("09", GeometryFault.EXIF_ONE_SIDED, 6, "has the EXIF orientation 3, its mask 1"),
    Expected("09", GeometryFault.EXIF_ONE_SIDED, 6, "has the EXIF orientation 6, its mask 1", ("6",)),
    Expected("10", LabelFault.MASK_NOT_BINARY, 6, "expected a mask of 0 and 1 or of 0 and 255, found 0, 1, 255"),
    Expected("10", LabelFault.MASK_NOT_BINARY, 6, "found 0, 128, 255", ("255", "128")),
    Expected("14", None),
    Expected("19", GeometryFault.SPACING_UNKNOWN, 4, "the affine is the identity", site=LITS % ("", "", "[1, 2]")),
    Expected("21", LabelFault.STACK_REPEATS, 6, "slices from 21 on repeat those from the first on"),
    Expected("24", IntensityFault.SCALED_TWICE, 6, "of the stored values are HU of air", site="window"),
    Expected("24", IntensityFault.SCALED_TWICE, 3, "HU of air", ("mixed",), site="window"),
    Expected("24", IntensityFault.CT_WITHOUT_HU, 3, "the values run from 0 to", ("mixed",), LITS % (".gz", ".gz", "1")),
    Expected("25", GeometryFault.DIRECTION_MISMATCH, 6, "an axis is turned by 180.0°"),
    Expected("26", GeometryFault.NOT_3D, 1, "image-0.nii.gz: expected three dimensions, found 64 × 64 × 20 × 2"),
    Expected("27", None, site=SNAPSHOTS),
    Expected(
        "27",
        FileFault.OUTSIDE_ROOT,
        12,
        "lies outside the data root",
        site=LITS.replace("source", "datasets--ours/snapshots/0a1b") % (".gz", ".gz", "1"),
    ),
    Expected("31", GeometryFault.DIRECTION_MISMATCH, 1, "segmentation-53.nii", site=LITS % ("", "", "1")),
]


def check(site_file: Path, task: Task | None = None) -> list[Finding]:
    return full_check(CaseCheck(load_site(site_file), task), site_file, processes=1).findings


@pytest.mark.parametrize("expected", CASES, ids=lambda item: f"{item.number}{''.join(item.arguments)}-{item.kind}")
def test_a_generator_is_found_out(generate: Generate, tmp_path: Path, expected: Expected) -> None:
    generate(expected.number, *expected.arguments)
    site_file = tmp_path / "made" / "site.yaml"
    if expected.site == "window":
        content = yaml.safe_load(LITS % (".gz", ".gz", "1"))
        site_file.write_text(yaml.safe_dump(content | {"intensity": {"slope": 400 / 255, "intercept": -160}}))
    elif expected.site:
        site_file.write_text(expected.site)
    findings = check(site_file)
    found = [item for item in findings if item.kind is expected.kind]
    assert len(found) == expected.count
    if expected.kind is None:
        assert [item for item in findings if item.level is Level.ERROR] == []
        assert {item.kind.id for item in findings} <= {"label-duplicate"}  # the generator's livers are all alike
    else:
        assert any(expected.words in item.message for item in found), found
        assert all(item.case is not None for item in found)


def test_an_unknown_voxel_size_is_an_error_where_mm_are_scored_and_can_be_stated(
    generate: Generate, tmp_path: Path
) -> None:
    generate("19")
    site_file = tmp_path / "made" / "site.yaml"
    content = yaml.safe_load(LITS % ("", "", "[1, 2]"))
    content["labels"]["lesion"] = 2
    task = Task(
        name="lesions",
        labels=("liver", "lesion"),
        modalities={"CT": {"window": (-160, 240)}},
        patch=(32, 32),
        lesion={"label": "lesion", "small_mm": 8},
    )
    site_file.write_text(yaml.safe_dump(content))
    assert [item.case for item in check(site_file, task) if item.level is Level.ERROR] == ["28", "29", "30", "31"]
    content["data"]["spacing"] = {"volume-2[89]": [0.8, 0.8, 4.0], "3?": [0.7, 0.7, 1.0]}
    site_file.write_text(yaml.safe_dump(content))
    report = full_check(CaseCheck(load_site(site_file), task), site_file, processes=1)
    assert [item for item in report.findings if item.level is Level.ERROR] == []
    sizes = {item.name: item.content.spacing for item in report.cases if item.content}
    assert sizes["26"] == pytest.approx((0.75, 0.75, 5))
    assert sizes["28"] == pytest.approx((0.8, 0.8, 4))
    assert sizes["31"] == pytest.approx((0.7, 0.7, 1))


def test_values_of_several_classes_can_be_mapped(generate: Generate, tmp_path: Path) -> None:
    generate("10")
    site_file = tmp_path / "made" / "site.yaml"
    site_file.write_text(site_file.read_text().replace("{polyp: 1}", "{polyp: 1, void: 255}"))
    assert [item for item in check(site_file) if item.level is Level.ERROR] == []
