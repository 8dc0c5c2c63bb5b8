"""Finding and reading ``record.json`` in a job's result."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import ValidationError

from flareseg.config.task import Task
from flareseg.errors import SettingsError
from flareseg.record.run import RunRecord

_PLACE = "flareseg/record.json"


def load_record(result: Path) -> RunRecord:
    """Read the record of a run.

    Args:
        result: the downloaded job result (the record lies somewhere below it), or the record itself.

    Raises:
        SettingsError: there is no record, more than one, or it cannot be used.
    """
    path = _find(result)
    try:
        # NaN and Infinity are no JSON; what is not finite is not known
        content = json.loads(path.read_text(encoding="utf-8"), parse_constant=lambda _: None)
        record = RunRecord.model_validate(content)
    except OSError as error:
        raise SettingsError(
            f"{path}: cannot be read ({error.strerror or error}).", "Check the file and its permissions."
        ) from None
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: is not text ({error.reason}).", "Download the job's result again.") from None
    except ValidationError as error:
        raise SettingsError(
            f"{path}: expected the record of a flareseg run, found {_first_problem(error)}.",
            "Make the report with the flareseg version that ran the job, or download the result again.",
        ) from None
    except ValueError as error:
        raise SettingsError(f"{path}: expected JSON, found {error}.", "Download the job's result again.") from None
    task_of(record, path)
    return record


def task_of(record: RunRecord, path: Path | None = None) -> Task:
    """Give the task that a record speaks of.

    Raises:
        SettingsError: this version of flareseg cannot read the task.
    """
    try:
        return Task.model_validate(record.task)
    except ValidationError as error:
        raise SettingsError(
            f"{path or record.job_id}: expected the settings of a task, found {_first_problem(error)}.",
            "Make the report with the flareseg version that ran the job.",
        ) from None


def _find(result: Path) -> Path:
    if result.is_file():
        return result
    if not result.is_dir():
        raise SettingsError(f"{result}: no such folder.", "Give the folder of a downloaded job result.")
    found = sorted(result.rglob(_PLACE))
    if not found:
        raise SettingsError(
            f"{result}: expected {_PLACE} somewhere below, found none.",
            "Give the folder of a downloaded job result; a job that failed before its first round has no record.",
        )
    if len(found) > 1:
        raise SettingsError(
            f"{result}: expected one {_PLACE}, found {len(found)}: {', '.join(map(str, found[:3]))}.",
            "Give the folder of one job.",
        )
    return found[0]


def _first_problem(error: ValidationError) -> str:
    problem = error.errors(include_url=False)[0]
    key = ".".join(map(str, problem["loc"])) or "top level"
    more = f" and {error.error_count() - 1} more" if error.error_count() > 1 else ""
    return f"{key}: {problem['msg'][0].lower()}{problem['msg'][1:]}{more}"
