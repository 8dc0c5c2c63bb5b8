"""What leaves a site stands in its ledger, and nothing that leaves names a patient, a file or a path."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from federation import Federation, tiny_changes
from flareseg.flare.record import RunRecord
from flareseg.ledger import LEDGER_FILE, LedgerEntry, read
from tiny import write_tiny_site

pytestmark = pytest.mark.slow

SITE, PATIENT = "mr-a", "Doe^Jane-19440229"


@pytest.fixture(scope="module")
def planted(federation: Federation) -> Iterator[tuple[RunRecord, Path, list[LedgerEntry]]]:
    """A job that ends well and one that fails at the site, with a patient's name in every file name and header."""
    folder = federation.sites / SITE
    ledger = federation.workspace.kits / SITE / LEDGER_FILE
    before = len(list(read(ledger))) if ledger.is_file() else 0
    for path in [*folder.glob("*/*.nii.gz")]:
        image = nib.load(path)
        image.header["descrip"] = PATIENT.encode()
        nib.save(image, path.with_name(f"{PATIENT}-{path.name}"))
        path.unlink()
    try:
        record, result = federation.run(tiny_changes(rounds=2))
        broken = next((folder / "labels").glob("*case-3*"))
        label = nib.load(broken)
        nib.save(nib.Nifti1Image(np.asarray(label.dataobj)[:-1], label.affine), broken)
        federation.run(tiny_changes(rounds=1))
        yield record, result, list(read(ledger))[before:]
    finally:
        shutil.rmtree(folder)
        write_tiny_site(folder, modality="MR", seed=2)


def test_every_result_and_every_curve_stands_in_the_ledger(
    planted: tuple[RunRecord, Path, list[LedgerEntry]],
) -> None:
    record, _, entries = planted
    mine = [entry for entry in entries if entry.job == record.job_id]
    updates = [entry for entry in mine if entry.kind == "WEIGHT_DIFF"]
    assert [(entry.task, entry.round) for entry in updates] == [("train", 0), ("train", 1)]
    assert all(entry.norm and entry.norm > 0 for entry in updates)
    assert all(entry.size >= item.bytes_received / 3 for entry, item in zip(updates, record.rounds, strict=True))
    scored = len(record.evaluation.validation) + 1
    assert 2 <= sum(entry.kind == "METRICS" for entry in mine) <= scored
    assert sum(entry.kind == "fed.analytix_log_stats" for entry in mine) >= 4
    failures = [entry for entry in entries if entry.job != record.job_id and entry.kind.startswith("error ")]
    assert {entry.kind for entry in failures} == {"error SHAPE_MISMATCH"}


def test_no_patient_file_or_path_is_known_to_the_server(
    federation: Federation, planted: tuple[RunRecord, Path, list[LedgerEntry]]
) -> None:
    """Not in updates, metrics, curves, statistics and logs: of the job that ran well, and of the one that failed."""
    words = [PATIENT.encode(), b"Doe^Jane", str(federation.sites).encode(), b"case-3"]
    known = federation.known_to_server(planted[1].parent)
    names = {path.name for path in known}
    assert {"log.txt", "record.json", "last.pt"} <= names
    assert any(name.startswith("events.out.tfevents") for name in names)
    assert not [path for path, content in known.items() if any(word in content for word in words)]


def test_the_ledger_itself_names_none(
    federation: Federation, planted: tuple[RunRecord, Path, list[LedgerEntry]]
) -> None:
    text = (federation.workspace.kits / SITE / LEDGER_FILE).read_text()
    assert "Doe" not in text
    assert str(federation.sites) not in text


def test_the_operator_reads_it_as_a_table(
    federation: Federation, planted: tuple[RunRecord, Path, list[LedgerEntry]]
) -> None:
    kit = federation.workspace.kits / SITE
    command = [str(Path(sys.executable).parent / "flareseg"), "site", "ledger", "--kit", str(kit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"{len(list(read(kit / LEDGER_FILE)))} lines, all in order" in done.stdout
    assert "WEIGHT_DIFF" in done.stdout
    lines = (kit / LEDGER_FILE).read_text().splitlines()
    copy = kit / "copy"
    copy.mkdir()
    try:
        lines[0] = json.dumps({**json.loads(lines[0]), "size": 1})
        (copy / LEDGER_FILE).write_text("\n".join(lines) + "\n")
        done = subprocess.run([*command[:-1], str(copy)], capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert "line 2 does not follow the one before" in " ".join(done.stderr.split())
    finally:
        shutil.rmtree(copy)
