"""What a site knows of a patient who withdraws: their cases, and the jobs that used them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from flareseg.data.datalist import Case
from flareseg.errors import printable
from flareseg.privacy.case_use import CASE_USE_FILE, UsedCase, read_uses
from flareseg.privacy.ledger import LEDGER_FILE, LedgerEntry, read_ledger

_MODEL_KINDS = frozenset({"WEIGHT_DIFF", "WEIGHTS"})


@dataclass(frozen=True)
class JobUse:
    """A job that used cases of the patient.

    Attributes:
        job: its id.
        task: name of its task; None where it ran before used cases were written down.
        time: when it used them, or sent something first.
        splits: number of the patient's cases in each split.
        rounds: the rounds in which the site sent a change of the model.
        sent: number of other things that it sent.
        files: what lies at this site of it: its run folder, local parameters, model.
    """

    job: str
    task: str | None
    time: datetime
    splits: dict[str, int]
    rounds: tuple[int, ...]
    sent: int
    files: tuple[Path, ...]

    @property
    def trained(self) -> bool:
        """Whether the global model of the job was changed by the patient's images."""
        return bool(self.rounds) and (self.task is None or "training" in self.splits)


@dataclass(frozen=True)
class Withdrawal:
    """What concerns a patient.

    Attributes:
        cases: their cases in the site's data.
        used: their cases as jobs used them.
        jobs: the jobs that used them, by time.
        unknown: jobs of the ledger of which nobody wrote down the cases, by time.
    """

    cases: tuple[Case, ...]
    used: tuple[UsedCase, ...]
    jobs: tuple[JobUse, ...]
    unknown: tuple[JobUse, ...]


def find_withdrawal(wanted: str, cases: Iterable[Case], kit: Path) -> Withdrawal:
    """Find the cases of a patient, and the jobs that used them.

    Args:
        wanted: a case, by its own name or that of a file, or a patient; all cases of that patient count.
        cases: the site's cases.
        kit: the site's kit, with ledger and list of used cases.

    Raises:
        DataError: the ledger or the list of used cases was changed.
    """
    cases = list(cases)
    uses = list(read_uses(kit / CASE_USE_FILE))
    asked = printable(wanted)
    named = {printable(case.name) for case in cases if wanted in case.known_as or wanted == case.patient} | {asked}
    patients = {printable(case.patient) for case in cases if case.patient and printable(case.name) in named}
    patients |= {
        case.patient
        for use in uses
        for several in use.cases.values()
        for case in several
        if case.patient and (case.name in named or case.patient == asked)
    }
    theirs = tuple(
        case
        for case in cases
        if printable(case.name) in named or (case.patient and printable(case.patient) in patients)
    )
    named |= {printable(case.name) for case in theirs}
    entries = list(read_ledger(kit / LEDGER_FILE)) if (kit / LEDGER_FILE).exists() else []
    jobs, used = {}, []
    for use in uses:
        found = use.among(named, patients)
        if found:
            used += [case for several in found.values() for case in several]
            splits = {split: len(several) for split, several in found.items()}
            jobs[use.job] = _job(use.job, use.task, use.time, splits, entries, kit)
    written = {use.job for use in uses}
    first = {entry.job: entry.time for entry in reversed(entries)}
    unknown = [_job(job, None, time, {}, entries, kit) for job, time in first.items() if job not in written]
    return Withdrawal(theirs, tuple(dict.fromkeys(used)), _by_time(jobs.values()), _by_time(unknown))


def _job(
    job: str, task: str | None, time: datetime, splits: dict[str, int], entries: Sequence[LedgerEntry], kit: Path
) -> JobUse:
    own = [entry for entry in entries if entry.job == job]
    rounds = {entry.round for entry in own if entry.kind in _MODEL_KINDS and entry.round is not None}
    others = sum(entry.kind not in _MODEL_KINDS for entry in own)
    places = (kit / job, kit / "local_parameters" / f"{job}.pt")
    return JobUse(
        job, task, time, splits, tuple(sorted(rounds)), others, tuple(path for path in places if path.exists())
    )


def _by_time(jobs: Iterable[JobUse]) -> tuple[JobUse, ...]:
    return tuple(sorted(jobs, key=lambda use: use.time))
