"""Names used on the wire and in the context, and where a job keeps its files."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from nvflare.apis.fl_constant import FLContextKey, ReturnCode
from nvflare.apis.fl_context import FLContext
from nvflare.apis.job_def import JobMetaKey
from nvflare.apis.shareable import Shareable, make_reply

import flareseg
from flareseg.config.extensions import apply_extensions
from flareseg.config.task import Task, load_task
from flareseg.errors import ErrorCode
from flareseg.job.folder import TASK_FILE
from flareseg.record.messages import SiteError
from flareseg.record.run import RunRecord

SERVER = "server"
"""NVFlare's name of the server among its cells."""
_asking: ContextVar[str] = ContextVar("asking", default=SERVER)


class Header:
    """Headers of task data and results."""

    VERSION = "flareseg.version"
    TASK_DIGEST = "flareseg.task_digest"
    RUN = "flareseg.run"
    SPLIT = "flareseg.split"
    MODEL_NAME = "flareseg.model"
    ERROR = "flareseg.error"
    REPORT = "flareseg.report"


class Prop:
    """Properties of the server's context."""

    REFUSAL = "flareseg.refusal"
    UPDATES = "flareseg.updates"


class Happened:
    """Events that flareseg fires at the server."""

    ROUND_RECORDED = "_flareseg_round_recorded"
    """The record of a round is closed."""


class TaskName:
    """Tasks a site executes."""

    TRAIN = "train"
    VALIDATE = "validate"


META_MEAN_SCALE = "mean_scale"
METRIC_DICE = "val_dice"
METRIC_SMALL_DICE = "val_small_dice"

RUN_FOLDER = "flareseg"
RECORD_FILE = "record.json"


def job_task(fl_ctx: FLContext) -> Task:
    """The job's task.yaml at the server or a site, parsed once in a job's process.

    Which extensions it may name is the server's or site's own policy (``local/extensions.yaml``).

    Raises:
        SettingsError: the file cannot be used.
    """
    workspace = fl_ctx.get_engine().get_workspace()
    path = Path(workspace.get_app_config_dir(fl_ctx.get_job_id())) / TASK_FILE.name
    return _parsed(path, path.stat().st_mtime_ns if path.is_file() else 0, Path(workspace.get_site_config_dir()))


@functools.lru_cache(maxsize=1)
def _parsed(path: Path, written: int, local: Path) -> Task:
    apply_extensions(local)
    return load_task(path)


def run_folder(fl_ctx: FLContext) -> Path:
    """The job's folder for our files at the server; it is part of the downloaded result."""
    workspace = fl_ctx.get_engine().get_workspace()
    folder = Path(workspace.get_run_dir(fl_ctx.get_job_id())) / RUN_FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def stamp(shareable: Shareable, record: RunRecord) -> None:
    """Mark task data with the bundle's version, the task's digest and the run, which a site compares with its own."""
    shareable.set_header(Header.VERSION, flareseg.__version__)
    shareable.set_header(Header.TASK_DIGEST, record.task_digest)
    shareable.set_header(Header.RUN, record.run_id)


def failed_reply(code: ErrorCode, case: str | None = None) -> Shareable:
    """A site's answer to a task that failed.

    Args:
        code: what the server may know.
        case: salted id of the case concerned.
    """
    reply = make_reply(ReturnCode.EXECUTION_EXCEPTION)
    reply.set_header(Header.ERROR, SiteError(code=code.value, case=case).model_dump())
    return reply


def site_error(result: Shareable) -> SiteError:
    """What a site's answer says of its failure, checked."""
    return SiteError.read(result.get_header(Header.ERROR), str(result.get_return_code()))


def job_min_clients(fl_ctx: FLContext) -> int:
    """K of k-of-n: ``min_clients`` of the job's meta.json, the only place it is written."""
    return int(fl_ctx.get_prop(FLContextKey.JOB_META)[JobMetaKey.MIN_CLIENTS])


@contextmanager
def answering(cell: str) -> Iterator[None]:
    """Note whose request is handled meanwhile, by the name of the cell that it came from."""
    token = _asking.set(cell)
    try:
        yield
    finally:
        _asking.reset(token)


def recipient() -> str:
    """Who gets what this thread sends: the participant whose request it handles, and otherwise the server."""
    return _asking.get().partition(".")[0]
