"""The readers, each with valid content to start from, and what it may raise."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import torch
import yaml
from hypothesis import strategies as st
from pydantic import ValidationError

from federation import REPOSITORY
from flareseg.config.site import DataSource, load_site
from flareseg.config.task import Task, load_task
from flareseg.data.check.run import quick_check
from flareseg.data.datalist import Case, load_cases
from flareseg.data.prepare.label_map import map_labels
from flareseg.data.preprocess import preprocess
from flareseg.errors import FlaresegError
from flareseg.flare.server.checkpoint import Checkpoint
from flareseg.flare.site.local_parameters import LocalParameters
from flareseg.job.approval import APPROVED_JOBS, approve, look_at, refusal
from flareseg.job.bundle import bundle_job
from flareseg.job.folder import load_job
from flareseg.job.manifest import received_manifest
from flareseg.job.review import review
from flareseg.privacy.budget import Budget
from flareseg.privacy.ledger import append, read_ledger
from flareseg.privacy.scopes import DifferentialPrivacy, load_scope
from flareseg.record.messages import RoundReport, ScoresMessage, SiteError, check_meta
from flareseg.record.model_file import load_model, save_model
from flareseg.record.run import ModelNote, RoundRecord, RunRecord
from flareseg.report import load_record, report_facts, summary_table
from fuzz.spoil import spoiled_bytes, spoiled_json, spoiled_value
from tiny import TINY_TASK, write_tiny_site

RUN = "11111111-1111-4111-8111-111111111111"
DP = {"epsilon": 8.0, "delta": 1e-5, "max_grad_norm": 1.0, "noise_multiplier": 1.0}


@dataclass(frozen=True)
class Reader:
    """One reader.

    Attributes:
        inputs: spoiled content.
        read: what is done with it.
        may_raise: errors that are its contract.
    """

    inputs: st.SearchStrategy[Any]
    read: Callable[[Any], object]
    may_raise: tuple[type[Exception], ...] = (FlaresegError,)


def readers(folder: Path) -> dict[str, Reader]:
    """All readers, on files below a folder."""
    return {**_settings(folder), **_jobs(folder), **_data(folder), **_models(folder), **_messages(folder)}


def _of_file(path: Path, read: Callable[[Path], object]) -> Callable[[bytes], object]:
    path.parent.mkdir(parents=True, exist_ok=True)

    def write_and_read(content: bytes) -> object:
        path.write_bytes(content)
        return read(path)

    return write_and_read


def _settings(folder: Path) -> dict[str, Reader]:
    task = Task.model_validate(TINY_TASK)
    write_tiny_site(folder / "site", cases=3)
    site = yaml.safe_load((folder / "site" / "site.yaml").read_text())
    privacy = {"scopes": [{"name": "dp", "properties": DP}, {"name": "open"}]}
    as_yaml = [yaml.safe_dump(TINY_TASK).encode(), *(p.read_bytes() for p in REPOSITORY.glob("jobs/*/app/*/task.yaml"))]

    def use_site(path: Path) -> None:
        quick_check(load_site(path), task, path)

    return {
        "task.yaml": Reader(
            spoiled_bytes(as_yaml) | spoiled_json(TINY_TASK), _of_file(folder / "task.yaml", load_task)
        ),
        "site.yaml": Reader(
            spoiled_bytes([yaml.safe_dump(site).encode()]) | spoiled_json(site),
            _of_file(folder / "site" / "fuzzed.yaml", use_site),
        ),
        "privacy.json": Reader(
            spoiled_json(privacy), _of_file(folder / "privacy.json", lambda path: load_scope(path, DifferentialPrivacy))
        ),
    }


def _jobs(folder: Path) -> dict[str, Reader]:
    job, kit = folder / "job", folder / "kit"
    bundle_job(REPOSITORY / "jobs" / "fedgin-fedgs", job)
    (kit / "startup").mkdir(parents=True)
    (kit / "startup" / "fed_client.json").write_text("{}")
    approval = approve(look_at(job), kit)

    def use_job(path: Path) -> None:
        for read in (load_job, review, look_at):
            try:
                read(job)
            except FlaresegError:
                continue

    def of_job(name: str) -> Reader:
        path = job / name
        valid = path.read_bytes()
        write_and_read = _of_file(path, use_job)

        def read(content: bytes) -> None:
            try:
                write_and_read(content)
            finally:
                path.write_bytes(valid)

        return Reader(spoiled_json(json.loads(valid)), read)

    meta = json.loads((job / "meta.json").read_text())
    names = ("meta.json", "manifest.json", "app/config/config_fed_client.json", "app/config/config_fed_server.json")
    return {
        **{name: of_job(name) for name in names},
        "received meta": Reader(
            spoiled_value(meta).filter(lambda value: isinstance(value, dict)),
            lambda value: refusal(approval.parent, "fedgin-fedgs", received_manifest(job / "app", "app", value), "app"),
            (FlaresegError, ValueError),
        ),
        "approval": Reader(
            spoiled_json(json.loads(approval.read_text())),
            _of_file(kit / "local" / APPROVED_JOBS / "x.json", lambda path: refusal(path.parent, "x", {}, "app")),
        ),
    }


def _data(folder: Path) -> dict[str, Reader]:
    site = load_site(write_tiny_site(folder / "images", cases=3))
    task = Task.model_validate(TINY_TASK)
    entry = {"image": "images/case-0.nii.gz", "label": "labels/case-0.nii.gz", "patient": "a"}
    source = DataSource(root=folder / "images", datalist="list.json")
    image, label = (folder / "images" / kind / "case-0.nii.gz" for kind in ("images", "labels"))
    plain_image = gzip.decompress(image.read_bytes())
    other = nib.Nifti2Image(np.zeros((4, 4, 2), np.float32), np.diag([2.0, 2.0, 5.0, 1.0])).to_bytes()
    organs = {"liver": (1,), "left_kidney": (2,), "liver_tumour": (3,)}
    given = st.lists(st.text(max_size=20) | spoiled_bytes([b"liver=1,3", b"lesion=none"]).map(_as_text), max_size=3)

    def of_image(suffix: str) -> Callable[[Path], object]:
        return lambda path: preprocess(Case("case", path, label), task, site)

    return {
        "datalist": Reader(
            spoiled_json({"training": [entry], "validation": [entry], "testing": []}),
            _of_file(folder / "images" / "list.json", lambda path: load_cases(source)),
        ),
        "label map": Reader(given, lambda several: map_labels(organs, task, several)),
        "NIfTI": Reader(
            spoiled_bytes([plain_image, plain_image[:352], other]), _of_file(folder / "x.nii", of_image(".nii"))
        ),
        "compressed NIfTI": Reader(
            spoiled_bytes([image.read_bytes()]) | spoiled_bytes([plain_image]).map(gzip.compress),
            _of_file(folder / "x.nii.gz", of_image(".nii.gz")),
        ),
    }


def _as_text(content: bytes) -> str:
    return content.decode(errors="surrogateescape")


def _record() -> RunRecord:
    rounds = [RoundRecord(round=0, expected=["a", "b"], accepted=["a"], late=["b"], seconds=1.5)]
    return RunRecord(
        job_id=RUN,
        job_name="x",
        versions={"flareseg": "1"},
        task=Task.model_validate(TINY_TASK).model_dump(mode="json"),
        task_digest="d",
        min_clients=2,
        started=1.0,
        finished=2.0,
        rounds=rounds,
        models={"last": ModelNote(rounds_done=1)},
    )


def _models(folder: Path) -> dict[str, Reader]:
    model, checkpoint, ledger = folder / "model.pt", folder / "checkpoint.pt", folder / "ledger.jsonl"
    save_model(model, {"0/w": np.arange(6, dtype=np.float32)}, {"rounds": [0], "forgot": False})
    Checkpoint(_record(), {"last": {"w": torch.arange(6)}}, {}).write(checkpoint)
    budget = Budget(folder / "kit2" / "budget.jsonl", DifferentialPrivacy.model_validate(DP))
    for number in range(3):
        append(ledger, job="j", task="t", round_number=number, kind="k", recipient="server", content={})
        budget.spend("j", 0.1, 1)

    def use_ledger(path: Path) -> None:
        list(read_ledger(path))

    return {
        "model": Reader(spoiled_bytes([model.read_bytes()]), _of_file(folder / "fuzzed.pt", load_model)),
        "checkpoint": Reader(
            spoiled_bytes([checkpoint.read_bytes()]), _of_file(folder / "fuzzed2.pt", Checkpoint.read)
        ),
        "local parameters": Reader(
            spoiled_bytes([model.read_bytes()]),
            _of_file(folder / "local_parameters" / f"{RUN}.pt", lambda path: LocalParameters(folder, RUN).before(1)),
        ),
        "ledger": Reader(spoiled_bytes([ledger.read_bytes()]), _of_file(folder / "fuzzed.jsonl", use_ledger)),
        "budget": Reader(
            spoiled_bytes([budget.path.read_bytes()]), _of_file(budget.path, lambda path: budget.spendings())
        ),
    }


def _messages(folder: Path) -> dict[str, Reader]:
    score = {"mean": 0.5, "volumes": 2}
    scores = {"dice": {"liver": score}, "small": score, "large": score, "loss": 0.1, "mean": 0.5}
    privacy = {"scope": "dp", "epsilon": 1.0, "delta": 1e-5, "budget": 8.0, "rounds_left": 3}
    report = {"modality": "CT", "seconds": 1.0, "loss": 0.5, "scores": scores, "privacy": privacy}
    record = _record().model_dump(mode="json")
    record["rounds"][0]["sites"] = {"a": {"modality": "CT", "seconds": 1.0, "scores": scores}}

    def use_record(path: Path) -> None:
        summary_table(report_facts(load_record(path)))

    messages = {
        "report": (RoundReport, report),
        "scores": (ScoresMessage, scores),
        "site error": (SiteError, {"code": "NO_DATA", "case": "0123456789"}),
    }
    return {
        **{
            name: Reader(spoiled_value(seed), kind.model_validate, (ValidationError,))
            for name, (kind, seed) in messages.items()
        },
        "meta beside an update": Reader(
            spoiled_value({"a": 1, "b": {"c": "d"}}).filter(lambda value: isinstance(value, dict)),
            check_meta,
            (ValueError,),
        ),
        "record": Reader(spoiled_json(record), _of_file(folder / "record.json", use_record)),
    }
