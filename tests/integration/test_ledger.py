"""What leaves a site stands in its ledger, and nothing that leaves names a patient, a file or a path."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import yaml
from nvflare.fuel.flare_api.flare_api import TargetType

from disk import open_to_others
from federation import tiny_changes
from flareseg.privacy.ledger import LEDGER_FILE, LedgerEntry, read_ledger
from flareseg.record.run import RunRecord
from secure_federation import SecureFederation, eventually
from tiny import write_tiny_site

pytestmark = pytest.mark.slow

SITE, PATIENT = "hospital-b", "Doe^Jane-19440229"


@dataclass(frozen=True)
class Planted:
    """A job that ended well, and what is known of all three: that one, the statistics', and the one that failed."""

    record: RunRecord
    results: Path
    entries: list[LedgerEntry]
    outgoing: bytes
    answers: dict[str, str]


@contextmanager
def outgoing(secure: SecureFederation) -> Iterator[Path]:
    """Copy all that the site's job processes send."""
    with secure.own_component(SITE, "outgoing.Outgoing") as local:
        try:
            yield local / "outgoing"
        finally:
            (local / "outgoing").unlink(missing_ok=True)


@contextmanager
def patients(secure: SecureFederation) -> Iterator[Path]:
    """A patient's name in every file name and header, and as the datalist's patient."""
    folder, settings = secure.sites / SITE, secure.kit(SITE) / "local/site.yaml"
    before = settings.read_text()
    for path in [*folder.glob("*/*.nii.gz")]:
        image = nib.load(path)
        image.header["descrip"] = PATIENT.encode()
        nib.save(image, path.with_name(f"{PATIENT}-{path.name}"))
        path.unlink()
    names = sorted(path.name for path in folder.glob("images/*"))
    entries = [
        {"image": f"images/{name}", "label": f"labels/{name}", "patient": f"{PATIENT}-{number}"}
        for number, name in enumerate(names)
    ]
    split = {"training": entries[:4], "validation": entries[4:5], "testing": entries[5:]}
    (folder / "datalist.json").write_text(json.dumps(split))
    content = yaml.safe_load(before)
    content["data"] = {"root": str(folder), "datalist": "datalist.json"}
    settings.write_text(yaml.safe_dump(content))
    try:
        yield folder
    finally:
        settings.write_text(before)
        shutil.rmtree(folder)
        write_tiny_site(folder, modality="MR", seed=1)


@pytest.fixture(scope="module")
def planted(secure: SecureFederation) -> Iterator[Planted]:
    """A job that ends well, one of statistics, and one that fails at the site; while that runs, admins ask for more."""
    ledger = secure.kit(SITE) / LEDGER_FILE
    before = len(list(read_ledger(ledger))) if ledger.is_file() else 0
    with outgoing(secure) as copy, patients(secure) as folder:
        record, result = secure.run(tiny_changes(rounds=2))
        secure.result(secure.submit(tiny_changes(), job="data-statistics"))
        broken = next((folder / "labels").glob("*case-3*"))
        label = nib.load(broken)
        nib.save(nib.Nifti1Image(np.asarray(label.dataobj)[:-1], label.affine), broken)
        job = secure.submit(tiny_changes(rounds=1000, validate_every=1_000_000))
        log = secure.kit(SITE) / job / "log.txt"
        eventually(lambda: log.is_file() and "SHAPE_MISMATCH" in log.read_text(), "told in the site's own log")
        answers = {}
        for role in ("member", "lead"):
            with secure.session(role) as session:
                for ask in (session.show_errors, session.show_stats):
                    answers[f"{role}: {ask.__name__}"] = str(ask(job, TargetType.CLIENT, [SITE]))
        answers["report_env"] = secure.command(f"report_env {SITE}", "project_admin")
        secure.abort(job)
        with secure.session() as session:
            eventually(lambda: session.get_job_status(job).startswith("FINISHED"), f"ended: {job}")
            session.download_job_result(job, str(result.parent))
        yield Planted(record, result.parent, list(read_ledger(ledger))[before:], copy.read_bytes(), answers)


def secrets(secure: SecureFederation) -> list[bytes]:
    return [PATIENT.encode(), b"Doe^Jane", str(secure.sites).encode(), b"case-3"]


def test_every_result_and_every_curve_stands_in_the_ledger(planted: Planted) -> None:
    mine = [entry for entry in planted.entries if entry.job == planted.record.job_id]
    updates = [entry for entry in mine if entry.kind == "WEIGHT_DIFF"]
    assert [(entry.task, entry.round) for entry in updates] == [("train", 0), ("train", 1)]
    assert all(entry.norm and entry.norm > 0 for entry in updates)
    received = [item.bytes_received / 3 for item in planted.record.rounds]
    assert all(entry.size >= size for entry, size in zip(updates, received, strict=True))
    scored = len(planted.record.evaluation.validation) + 1
    assert 2 <= sum(entry.kind == "METRICS" for entry in mine) <= scored
    assert sum(entry.kind == "fed.analytix_log_stats" for entry in mine) >= 4
    failures = [entry for entry in planted.entries if entry.kind.startswith("error ")]
    assert planted.record.job_id not in {entry.job for entry in failures}
    assert {entry.kind for entry in failures} == {"error SHAPE_MISMATCH"}
    assert "STATISTICS" in {entry.kind for entry in planted.entries}


def test_the_site_itself_knows_all_that_is_searched_for(secure: SecureFederation, planted: Planted) -> None:
    """Else the searches below would say nothing."""
    log = secure.site_log(SITE)
    assert not [word for word in secrets(secure) if word.decode() not in log]


def test_no_patient_file_or_path_is_known_to_the_server(secure: SecureFederation, planted: Planted) -> None:
    """Not in updates, metrics, curves, statistics and logs: of the jobs that ran well, and of the one that failed."""
    known = secure.known_to_server(planted.results)
    names = {path.name for path in known}
    assert {"log.txt", "record.json", "last.pt", "task.yaml"} <= names  # task.yaml: stored jobs are unpacked
    assert any(name.startswith("events.out.tfevents") for name in names)
    assert not [path for path, content in known.items() if any(word in content for word in secrets(secure))]


def test_no_message_of_the_site_holds_one(secure: SecureFederation, planted: Planted) -> None:
    """All that its job processes sent, headers and what the server does not keep included."""
    for sent in (b"submit_update", b"flareseg.report", b"SHAPE_MISMATCH", b"train/loss", b"WEIGHT_DIFF"):
        assert sent in planted.outgoing
    assert not [word for word in secrets(secure) if word in planted.outgoing]


def test_no_admin_learns_one_from_a_running_job(secure: SecureFederation, planted: Planted) -> None:
    """show_errors would give the texts of the site's log to whoever may look."""
    for asked in ("member: show_errors", "lead: show_errors", "member: show_stats"):
        assert SITE in planted.answers[asked]
    assert "is not authorized for 'report_env'" in planted.answers["report_env"]
    for asked, answer in planted.answers.items():
        found = [word for word in (*secrets(secure), str(secure.kit(SITE)).encode()) if word in answer.encode()]
        assert not found, asked


def test_the_ledger_itself_names_none(secure: SecureFederation, planted: Planted) -> None:
    text = (secure.kit(SITE) / LEDGER_FILE).read_bytes()
    assert not [word for word in secrets(secure) if word in text]


def test_the_operator_reads_it_as_a_table(secure: SecureFederation, planted: Planted) -> None:
    kit = secure.kit(SITE)
    command = [str(Path(sys.executable).parent / "flareseg"), "site", "ledger", "--kit", str(kit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"{len(list(read_ledger(kit / LEDGER_FILE)))} lines, all in order" in done.stdout
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


def test_nobody_else_reads_what_was_written(secure: SecureFederation, planted: Planted) -> None:
    """Keys, ledgers, logs, cached volumes, stores: of provisioning, and of jobs that ran well and one that failed."""
    folders = [path for path in secure.workspace.poc.iterdir() if path.is_dir()]
    written = {path.name for folder in folders for path in folder.rglob("*")}
    assert {"cert.json", "client.key", LEDGER_FILE, "log.txt", "image.npy", "audit.log"} <= written
    found = [item for folder in folders for item in open_to_others(folder)]
    by_hand = ("/local/site.yaml ", "/local/custom", "/local/resources.json ")  # the operator's, here these tests'
    assert not [item for item in found if not any(part in item for part in by_hand)]
