"""The client's component: NVFlare's tasks train and validate on a learner."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from nvflare.apis.analytix import AnalyticsDataType
from nvflare.apis.dxo import DXO, DataKind, MetaKey, from_shareable
from nvflare.apis.event_type import EventType
from nvflare.apis.executor import Executor
from nvflare.apis.fl_constant import ReturnCode
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable, make_reply
from nvflare.apis.signal import Signal
from nvflare.apis.utils.analytix_utils import create_analytic_dxo, send_analytic_dxo
from nvflare.app_common.app_constant import AppConstants
from nvflare.fuel.utils.memory_utils import cleanup_memory

import flareseg
from flareseg.config.site import SITE_FILE, check_site_fits, load_site
from flareseg.data.site_data import SiteData
from flareseg.errors import ErrorCode, FlaresegError
from flareseg.flare.names import (
    META_MEAN_SCALE,
    METRIC_DICE,
    METRIC_SMALL_DICE,
    Header,
    TaskName,
    failed_reply,
    job_task,
)
from flareseg.flare.site.data_check import data_fault
from flareseg.flare.site.local_parameters import LocalParameters
from flareseg.flare.site.privacy import SitePrivacy
from flareseg.learning.learner import Learner, Stopped
from flareseg.learning.metrics import Scores
from flareseg.memory import freeze_garbage, keep_freed_pages
from flareseg.networks.state import State
from flareseg.privacy.case_use import CASE_USE_FILE, record_use, used_cases
from flareseg.privacy.scopes import Encrypted
from flareseg.record.messages import RoundReport, ScoresMessage
from flareseg.record.model_file import save_model, to_numpy, to_torch_like


class _Asked(NamedTuple):
    """A task as it came, whether to stop it, and when it began (``time.perf_counter``)."""

    shareable: Shareable
    fl_ctx: FLContext
    should_stop: Callable[[], bool]
    started: float


class SegmentationExecutor(Executor):
    """Runs the job's task on this site's data, both named in files: task.yaml of the job, local/site.yaml.

    A failure is reported twice: in the site's own log with file and remedy, and to the server as a code with a salted
    case id. The salt is made anew for each job and stays at the site.
    """

    def __init__(self) -> None:
        super().__init__()
        self._salt = secrets.token_bytes(16)
        self._privacy: SitePrivacy | None = None
        self._learner: Learner | None = None
        self._local: LocalParameters | None = None
        self._data_fault: FlaresegError | None = None

    def handle_event(self, event_type: str, fl_ctx: FLContext) -> None:
        """Look at the site's data before the first task asks for it."""
        if event_type == EventType.START_RUN:
            keep_freed_pages()
            freeze_garbage()
            self._data_fault = data_fault(self._site_file(fl_ctx), fl_ctx, lambda text: self.log_warning(fl_ctx, text))

    def execute(self, task_name: str, shareable: Shareable, fl_ctx: FLContext, abort_signal: Signal) -> Shareable:
        """Execute one task; never raises."""
        tasks: dict[str, Callable[[_Asked], Shareable]] = {
            TaskName.TRAIN: self._train,
            TaskName.VALIDATE: self._validate,
        }
        if task_name not in tasks:
            return make_reply(ReturnCode.TASK_UNKNOWN)
        asked = _Asked(shareable, fl_ctx, lambda: bool(abort_signal.triggered), time.perf_counter())
        cleanup_memory()  # of the task before: freed pages that glibc keeps add up over a hundred rounds
        try:
            self._privacy = self._privacy or SitePrivacy.of(fl_ctx)
            self._privacy.scope.check(job_task(fl_ctx))
            self._check_same(shareable, fl_ctx)
            result = tasks[task_name](asked)
        except Stopped:
            return make_reply(ReturnCode.TASK_ABORTED)
        except FlaresegError as error:
            return self._failure(error, fl_ctx)
        except Exception as error:  # NVFlare would end the site's whole job, and send the trace to the server
            if _is_out_of_memory(error):
                return self._failure(
                    FlaresegError(
                        "The site ran out of memory.",
                        "Ask for a smaller batch_size or patch, or give the process more memory.",
                        code=ErrorCode.OUT_OF_MEMORY,
                    ),
                    fl_ctx,
                )
            self.log_exception(fl_ctx, "unexpected error")
            return self._failure(
                FlaresegError(
                    f"Unexpected {type(error).__name__}.", "Report the trace above.", code=ErrorCode.INTERNAL
                ),
                fl_ctx,
            )
        result.set_header(Header.VERSION, flareseg.__version__)
        result.set_header(Header.TASK_DIGEST, shareable.get_header(Header.TASK_DIGEST))
        return result

    def _train(self, asked: _Asked) -> Shareable:
        shareable, fl_ctx, should_stop, started = asked
        learner = self._get_learner(fl_ctx)
        training = learner.task.training
        round_number = int(shareable.get_header(AppConstants.CURRENT_ROUND))
        state = to_torch_like(from_shareable(shareable).data, learner.network.state_dict())
        local = self._get_local(shareable, fl_ctx)
        learner.local = local.before(round_number)
        scores: Scores | None = None
        if round_number % training.validate_every == 0 or round_number == training.rounds - 1:
            scores = learner.validate(state, "validation", should_stop)
        privacy = self._site_privacy
        privacy.begin_round(learner.task, learner.data)
        result = learner.train(state, round_number, should_stop)
        if learner.local:
            local.keep(round_number, learner.local)
        update = privacy.protect(result.update)
        dxo = DXO(DataKind.WEIGHT_DIFF, data=to_numpy(update))
        dxo.set_meta_prop(MetaKey.NUM_STEPS_CURRENT_ROUND, result.steps)
        dxo.set_meta_prop(META_MEAN_SCALE, result.mean_scale)
        metrics = {} if scores is None else {METRIC_DICE: scores.mean, METRIC_SMALL_DICE: scores.small.mean}
        finite = {name: value for name, value in metrics.items() if value == value}
        if finite:
            dxo.set_meta_prop(MetaKey.INITIAL_METRICS, finite)
        privacy_report = privacy.report()
        self._stream(
            ({} if result.loss is None else {"train/loss": result.loss})
            | {"train/mean_scale": result.mean_scale}
            | ({} if privacy_report.clipped is None else {"privacy/clipped": float(privacy_report.clipped)})
            | ({} if privacy_report.epsilon is None else {"privacy/epsilon": privacy_report.epsilon})
            | {f"validation/{name}": value for name, value in finite.items()}
            | ({f"validation/dice_{k}": v.mean for k, v in scores.dice.items() if v.volumes} if scores else {}),
            round_number,
            fl_ctx,
        )
        reply = dxo.to_shareable()
        report = RoundReport(
            modality=learner.data.site.modality,
            seconds=time.perf_counter() - started,
            loss=result.loss,
            mean_scale=result.mean_scale,
            training_seconds=result.seconds,
            scores=None if scores is None else ScoresMessage.model_validate(scores.as_dict()),
            privacy=privacy_report,
            excluded=learner.data.excluded,
            left_out=learner.data.left_out,
        )
        reply.set_header(Header.REPORT, report.model_dump(mode="json"))
        return reply

    def _validate(self, asked: _Asked) -> Shareable:
        shareable, fl_ctx, should_stop, _ = asked
        learner = self._get_learner(fl_ctx)
        split = shareable.get_header(Header.SPLIT, "validation")
        if split not in ("validation", "testing"):
            raise FlaresegError(
                f"The server asked to score the split {split!r}.",
                "Expected validation or testing: run the same bundle on server and site.",
                code=ErrorCode.TASK_MISMATCH,
            )
        state = to_torch_like(from_shareable(shareable).data, learner.network.state_dict())
        if split == "testing" and isinstance(self._site_privacy.scope, Encrypted):
            self._keep_winner(learner, state, shareable, fl_ctx)
        learner.local = self._get_local(shareable, fl_ctx).before(learner.task.training.rounds)
        scores = learner.validate(state, split, should_stop)
        message = ScoresMessage.model_validate(scores.as_dict())
        return DXO(DataKind.METRICS, data=message.model_dump(mode="json")).to_shareable()

    @property
    def _site_privacy(self) -> SitePrivacy:
        if self._privacy is None:
            raise RuntimeError("the scope is read before any task")
        return self._privacy

    def _get_learner(self, fl_ctx: FLContext) -> Learner:
        if self._learner is None:
            if self._data_fault is not None:
                raise self._data_fault.with_traceback(None)
            task, path = job_task(fl_ctx), self._site_file(fl_ctx)
            site = load_site(path)
            check_site_fits(site, task, path)
            torch.set_num_threads(site.threads)
            root = Path(fl_ctx.get_engine().get_workspace().get_root_dir())
            data = SiteData(task, site, root / "cache", lambda line: self.log_warning(fl_ctx, line))
            record_use(root / CASE_USE_FILE, str(fl_ctx.get_job_id() or ""), task.name, used_cases(data))
            self._learner = Learner(task, data, fl_ctx.get_identity_name(), self._site_privacy.differential)
            counts = ", ".join(f"{len(data.volumes(s))} {s}" for s in ("training", "validation", "testing"))
            counts += f"; {data.excluded} excluded, {data.left_out} left out"
            self.log_info(fl_ctx, f"data ready: {site.modality}, volumes: {counts}; device {self._learner.device}")
        return self._learner

    @staticmethod
    def _site_file(fl_ctx: FLContext) -> Path:
        return Path(fl_ctx.get_engine().get_workspace().get_site_config_dir()) / SITE_FILE

    def _check_same(self, shareable: Shareable, fl_ctx: FLContext) -> None:
        theirs, ours = shareable.get_header(Header.VERSION), flareseg.__version__
        if theirs != ours:
            raise FlaresegError(
                f"The server runs flareseg {theirs}, this site {ours}.",
                f"Install flareseg {theirs} here.",
                code=ErrorCode.VERSION_MISMATCH,
            )
        if shareable.get_header(Header.TASK_DIGEST) != job_task(fl_ctx).digest():
            raise FlaresegError(
                "The task.yaml of the server differs from the one deployed here.",
                "Submit the job again.",
                code=ErrorCode.TASK_MISMATCH,
            )

    def _get_local(self, shareable: Shareable, fl_ctx: FLContext) -> LocalParameters:
        if self._local is None:
            root = Path(fl_ctx.get_engine().get_workspace().get_root_dir())
            self._local = LocalParameters(root, shareable.get_header(Header.RUN))
        return self._local

    def _keep_winner(self, learner: Learner, state: State, shareable: Shareable, fl_ctx: FLContext) -> None:
        """Keep the winner, which the server cannot read, outside the run folder."""
        root = Path(fl_ctx.get_engine().get_workspace().get_root_dir())
        path = root / "models" / f"{fl_ctx.get_job_id()}.pt"
        path.parent.mkdir(exist_ok=True)
        about = {
            "name": str(shareable.get_header(Header.MODEL_NAME)),
            "flareseg": flareseg.__version__,
            "task": learner.task.model_dump(mode="json"),
        }
        save_model(path, to_numpy(state), about)
        self.log_info(fl_ctx, f"the decrypted model is kept as {path}")

    def _failure(self, error: FlaresegError, fl_ctx: FLContext) -> Shareable:
        case_id = None
        if error.case is not None:
            case_id = hashlib.sha256(self._salt + error.case.encode(errors="surrogatepass")).hexdigest()[:10]
        self.log_error(fl_ctx, f"{error.code.value}{f' (case {case_id})' if case_id else ''}: {error}")
        return failed_reply(error.code, case_id)

    def _stream(self, values: dict[str, float], step: int, fl_ctx: FLContext) -> None:
        for tag, value in values.items():
            dxo = create_analytic_dxo(tag=tag, value=value, data_type=AnalyticsDataType.SCALAR, global_step=step)
            send_analytic_dxo(self, dxo, fl_ctx)


def _is_out_of_memory(error: Exception) -> bool:
    """Whether there was no memory: on a processor PyTorch says so in a plain RuntimeError."""
    return isinstance(error, (MemoryError, torch.cuda.OutOfMemoryError)) or "can't allocate memory" in str(error)
