"""Which cases each job used: kept at the site beside its ledger, so that a patient who withdraws can be answered."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from flareseg.data.datalist import SPLITS, Case
from flareseg.data.site_data import SiteData
from flareseg.errors import DataError, ErrorCode, printable
from flareseg.privacy.chain import Chain, Link

CASE_USE_FILE = "cases.jsonl"


class UsedCase(BaseModel):
    """A case as a job used it.

    Attributes:
        name: of the case.
        patient: whose it is, where that is known.
        key: of its entry in the cache; None where it was read without one.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    patient: str | None
    key: str | None = None

    @classmethod
    def of(cls, case: Case, key: str | None = None) -> UsedCase:
        """Describe a case; bytes of its name that are not UTF-8 are written as Python writes them."""
        return cls(name=printable(case.name), patient=case.patient and printable(case.patient), key=key)


class CaseUse(Link):
    """The cases of one job.

    Attributes:
        time: when the job had them ready.
        job: its id.
        task: name of its task.
        cases: the cases of each split; of a statistics job all under ``statistics``.
    """

    time: datetime
    job: str
    task: str
    cases: dict[str, tuple[UsedCase, ...]]

    def among(self, names: Collection[str], patients: Collection[str]) -> dict[str, list[UsedCase]]:
        """Those with one of these names or of one of these patients, by split."""
        found = {
            split: [case for case in several if case.name in names or case.patient in patients]
            for split, several in self.cases.items()
        }
        return {split: several for split, several in found.items() if several}


def _chain(path: Path) -> Chain[CaseUse]:
    return Chain(
        path,
        CaseUse,
        "list of used cases",
        ErrorCode.NO_LEDGER,
        "Keep the file as evidence under another name; the next job starts a new one.",
    )


def used_cases(data: SiteData) -> dict[str, list[UsedCase]]:
    """The cases of a training job by split, each with its entry in the cache."""
    volumes = {split: data.volumes(split) for split in SPLITS}
    return {
        split: [UsedCase.of(case, key) for case, key in zip(part.cases, part.keys(), strict=True)]
        for split, part in volumes.items()
    }


def record_use(path: Path, job: str, task: str, cases: Mapping[str, Sequence[UsedCase]]) -> None:
    """Write down which cases a job uses, before it uses them.

    Raises:
        DataError: it cannot be written down; the job must not use them then.
    """
    try:
        with _chain(path).appending() as writer:
            writer.write(time=datetime.now(timezone.utc), job=job, task=task, cases=cases)
    except OSError as error:
        raise DataError(
            f"{path}: cannot be written ({error.strerror}), so no case is used.",
            "Free space on that disk and check its permissions.",
            code=ErrorCode.NO_LEDGER,
        ) from None


def read_uses(path: Path) -> Iterator[CaseUse]:
    """Give the uses in order; none where no job ran.

    Raises:
        DataError: the file was changed, or cannot be read.
    """
    yield from _chain(path).read()
