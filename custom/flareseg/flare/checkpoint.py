"""All that a run needs to go on, in one file of the server that outlives the job's run folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from pydantic import ValidationError

from flareseg.errors import ErrorCode, FlaresegError
from flareseg.flare.record import RunRecord
from flareseg.flare.state import load_tensors, save_tensors
from flareseg.networks.registry import State

CHECKPOINTS = "checkpoints"
KEEP = 10
"""How many jobs' checkpoints a server keeps: those written last."""


@dataclass(frozen=True)
class Checkpoint:
    """The state of a run after a complete round.

    Attributes:
        record: rounds, participation, and the scores of the kept models.
        models: the kept models by name (last, best, best_small): parameter name to tensor.
        momentum: the server's velocity by parameter name; empty without momentum.
        norms: norms of the updates that were accepted in the last round.
    """

    record: RunRecord
    models: Mapping[str, State]
    momentum: State
    norms: list[float]

    @property
    def rounds_done(self) -> int:
        """Number of complete rounds; the round to run next."""
        return self.record.rounds[-1].round + 1

    def write(self, path: Path) -> None:
        """Write the file atomically, and let go of the oldest beyond :data:`KEEP`.

        Raises:
            OSError: the disk is full; the file of the round before stays.
        """
        path.parent.mkdir(mode=0o700, exist_ok=True)
        models = {name: dict(model) for name, model in self.models.items()}
        record = self.record.model_dump_json()
        save_tensors(path, {"models": models, "momentum": dict(self.momentum), "norms": self.norms, "record": record})
        for file in sorted(path.parent.glob("*.pt"), key=_written, reverse=True)[KEEP:]:
            file.unlink(missing_ok=True)

    @classmethod
    def read(cls, path: Path) -> Checkpoint:
        """Read a checkpoint; nothing in the file is executed.

        Raises:
            FlaresegError: there is none, or it is damaged.
        """
        if not path.is_file():
            raise _refusal(
                f"{path}: no such checkpoint.",
                "A job has one from its first complete round until it ends well: submit the job anew.",
            )
        content = load_tensors(path)
        try:
            record = RunRecord.model_validate(json.loads(content["record"]))
            if not record.rounds or content["models"].keys() != record.models.keys():
                raise ValueError("models and record differ")
            return cls(record, dict(content["models"]), dict(content["momentum"]), list(content["norms"]))
        except (KeyError, TypeError, ValueError, ValidationError) as error:
            raise _refusal(f"{path}: is damaged ({type(error).__name__}).", "Submit the job anew.") from None

    def check_continues(self, record: RunRecord) -> None:
        """Check that a new job may go on from here.

        Args:
            record: the new job's record, with nothing run yet.

        Raises:
            FlaresegError: it learns something else, with another version, or was submitted by somebody else.
        """
        mine = self.record
        if record.submitter != mine.submitter:
            raise _refusal(
                f"Job {mine.job_id} was submitted by {mine.submitter}, not by {record.submitter}.",
                "Only who submitted a job may resume it.",
            )
        if record.task_digest != mine.task_digest or record.min_clients != mine.min_clients:
            raise _refusal(
                f"Job {mine.job_id} ran with another task.yaml or min_clients.",
                "Resume it with flareseg job resume, which submits the same job.",
            )
        ours, theirs = record.versions["flareseg"], mine.versions["flareseg"]
        if ours != theirs:
            raise _refusal(
                f"Job {mine.job_id} ran with flareseg {theirs}, here is {ours}.", f"Install flareseg {theirs}."
            )


def _written(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except FileNotFoundError:  # another job's process has let go of it
        return 0.0


def job_uuid(text: object) -> str:
    """Check that a job is named by its id, so that no name can reach another file.

    Raises:
        FlaresegError: it is no UUID in its usual form.
    """
    try:
        if isinstance(text, str) and str(UUID(text)) == text:
            return text
    except ValueError:
        pass
    raise _refusal(f"{str(text)[:60]!r} is no job id.", "Give the id that NVFlare printed when the job was submitted.")


def _refusal(message: str, remedy: str) -> FlaresegError:
    return FlaresegError(message, remedy, code=ErrorCode.BAD_SETTINGS)
