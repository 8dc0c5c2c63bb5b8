"""Names used on the wire and in the context, and where a job keeps its files."""

from __future__ import annotations

from pathlib import Path

from nvflare.apis.fl_constant import FLContextKey
from nvflare.apis.fl_context import FLContext
from nvflare.apis.job_def import JobMetaKey
from nvflare.apis.shareable import Shareable

import flareseg
from flareseg.config.task import Task, load_task
from flareseg.record.run import RunRecord


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


class Happened:
    """Events of ours at the server."""

    ROUND_RECORDED = "_flareseg_round_recorded"
    """The record of a round is closed."""


class TaskName:
    """Tasks a site executes."""

    TRAIN = "train"
    VALIDATE = "validate"
    SUBMIT_MODEL = "submit_model"


META_MEAN_SCALE = "mean_scale"
METRIC_DICE = "val_dice"
METRIC_SMALL_DICE = "val_small_dice"
MODEL_LAST, MODEL_BEST, MODEL_BEST_SMALL = "last", "best", "best_small"

TASK_FILE = "task.yaml"
RUN_FOLDER = "flareseg"
RECORD_FILE = "record.json"


def job_task(fl_ctx: FLContext) -> Task:
    """Read the job's task.yaml at the server or a site.

    Raises:
        SettingsError: the file cannot be used.
    """
    workspace = fl_ctx.get_engine().get_workspace()
    return load_task(Path(workspace.get_app_config_dir(fl_ctx.get_job_id())) / TASK_FILE)


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


def job_min_clients(fl_ctx: FLContext) -> int:
    """K of k-of-n: ``min_clients`` of the job's meta.json, the only place it is written."""
    return int(fl_ctx.get_prop(FLContextKey.JOB_META)[JobMetaKey.MIN_CLIENTS])
