"""Sites that fail or die: the job goes on with the others and says so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from faults import site_faults
from faults.finding import Finding
from faults.ward import Ward
from federation import Federation, tiny_changes
from flareseg.report import report_facts
from tiny import write_tiny_site


def _empty(folder: Path) -> None:
    for path in folder.glob("*/*.nii.gz"):
        path.unlink()


def _misshapen(folder: Path) -> None:
    path = folder / "labels" / "case-3.nii.gz"
    label = nib.load(path)
    nib.save(nib.Nifti1Image(np.asarray(label.dataobj)[:-1], label.affine), path)


def _cut(folder: Path) -> None:
    path = folder / "images" / "case-3.nii.gz"
    path.write_bytes(path.read_bytes()[:1500])


@pytest.mark.parametrize(
    ("spoil", "code", "file"),
    [
        (_empty, "NO_DATA", "images/*.nii.gz"),
        pytest.param(_misshapen, "SHAPE_MISMATCH", "labels/case-3.nii.gz", marks=pytest.mark.slow),
        pytest.param(_cut, "UNREADABLE_IMAGE", "images/case-3.nii.gz", marks=pytest.mark.slow),
    ],
    ids=["empty folder", "label of another shape", "image cut short"],
)
def test_a_site_with_bad_data_is_named_and_the_others_go_on(
    federation: Federation, spoil: Callable[[Path], None], code: str, file: str
) -> None:
    folder = federation.sites / "mr-a"
    spoil(folder)
    try:
        record, result = federation.run(tiny_changes(rounds=1))
    finally:
        write_tiny_site(folder, modality="MR", seed=2)
    error = record.rounds[0].failed["mr-a"]
    assert error.code == code
    assert (error.case is None) == (code == "NO_DATA")
    assert record.rounds[0].accepted == ["ct-a", "ct-b"]
    assert report_facts(record).status == "subset"
    server_log = (result / "workspace" / "log.txt").read_text()
    assert f"site mr-a failed: {code}" in server_log
    planted = [b"case-3", str(folder).encode()]
    known = federation.known_to_server(result)
    assert not [path for path, content in known.items() if any(word in content for word in planted)]
    log = federation.site_log("mr-a")
    (line,) = {entry.split(" - ")[-1] for entry in log.splitlines() if f"{code} " in entry or f"{code}:" in entry}
    assert file in line
    assert not [entry for entry in log.splitlines() if entry.startswith("Traceback")]


@pytest.mark.slow
@pytest.mark.parametrize(
    "fault",
    [
        site_faults.killed_and_back,
        site_faults.dies_before_heartbeat,
        site_faults.slow,
        site_faults.half_gone,
        site_faults.paused,
        site_faults.port_blocked,
    ],
    ids=lambda fault: fault.__name__,
)
def test_the_others_go_on_and_the_record_says_who_was_missing(
    ward: Ward, fault: Callable[[Ward], list[Finding]]
) -> None:
    """What each fault should do is asserted where it is made, in tests/faults/site_faults.py."""
    assert all(finding.happened and finding.lost == 0 for finding in fault(ward))
