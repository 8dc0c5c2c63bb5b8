"""The server's component that keeps the run's record and answers who asks how it goes."""

from __future__ import annotations

import threading
import time
from importlib.metadata import version
from typing import Any

from nvflare.apis.dxo import MetaKey, from_shareable
from nvflare.apis.event_type import EventType
from nvflare.apis.fl_component import FLComponent
from nvflare.apis.fl_constant import FLContextKey
from nvflare.apis.fl_context import FLContext
from nvflare.apis.job_def import JobMetaKey
from nvflare.apis.shareable import Shareable
from nvflare.app_common.abstract.model import ModelLearnableKey
from nvflare.app_common.app_constant import AppConstants
from nvflare.app_common.app_event_type import AppEventType
from nvflare.widgets.info_collector import InfoCollector
from pydantic import ValidationError

import flareseg
from flareseg.errors import FlaresegError, plain
from flareseg.flare.names import RECORD_FILE, Happened, Header, Prop, job_task, run_folder
from flareseg.record.messages import ScoresMessage, SiteError, SiteReport
from flareseg.record.model_file import payload_bytes
from flareseg.record.run import ModelNote, RoundRecord, RunRecord

_PACKAGES = ("nvflare", "torch", "monai", "numpy", "nibabel")


def named_sites(deploy_map: dict[str, Any]) -> set[str]:
    """Sites that a job's deploy_map names; none where it says @ALL."""
    targets = [target for several in deploy_map.values() for target in (several if isinstance(several, list) else [])]
    return {name for name in targets if isinstance(name, str) and name not in ("server", "@ALL")}


class RunRecorder(FLComponent):
    """Keeps :class:`RunRecord`, writes it after each round, and reports it to ``show_stats`` of the admin."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.RLock()
        self._record: RunRecord | None = None
        self._round_started = 0.0
        self._model_bytes = 0
        self._sites: set[str] = set()

    @property
    def record(self) -> RunRecord:
        """The record of this run.

        Raises:
            RuntimeError: the run has not started.
        """
        if self._record is None:
            raise RuntimeError("the run has not started")
        return self._record

    @property
    def ended_well(self) -> bool:
        """The run has ended, with all sites or with some."""
        return self._record is not None and self._record.status in ("complete", "subset")

    @property
    def current(self) -> RoundRecord:
        """The record of the round that runs or ran last."""
        return self.record.rounds[-1]

    def handle_event(self, event_type: str, fl_ctx: FLContext) -> None:
        """Follow the workflow's events."""
        with self._lock:
            self._follow(event_type, fl_ctx)
        if event_type == AppEventType.ROUND_DONE and self._record is not None:
            # The checkpoint first: a round that the file of a running job calls complete can be resumed.
            self.fire_event(Happened.ROUND_RECORDED, fl_ctx)
            if not self._record.reason:
                self.save(fl_ctx)

    def _follow(self, event_type: str, fl_ctx: FLContext) -> None:
        if event_type == EventType.START_RUN:
            self._start(fl_ctx)
        elif self._record is None:
            return
        elif event_type == AppEventType.ROUND_STARTED:
            self._start_round(fl_ctx)
        elif event_type == AppEventType.AFTER_CONTRIBUTION_ACCEPT:
            self._contribution(fl_ctx)
        elif event_type == AppEventType.ROUND_DONE:
            self._end_round(fl_ctx)
        elif event_type == EventType.FATAL_SYSTEM_ERROR:
            self._failed_system(str(fl_ctx.get_prop(FLContextKey.EVENT_DATA, "")))
        elif event_type == EventType.ABOUT_TO_END_RUN:
            self._end(fl_ctx)
        elif event_type == InfoCollector.EVENT_TYPE_GET_STATS:
            collector = fl_ctx.get_prop(InfoCollector.CTX_KEY_STATS_COLLECTOR)
            if collector is not None:
                collector.add_info(group_name="flareseg", info=self.progress())

    def sent(self, site: str) -> None:
        """Note that the model went out to a site."""
        with self._lock:
            self.current.bytes_sent += self._model_bytes

    def failed(self, site: str, error: Any) -> None:
        """Note that a site answered with an error."""
        with self._lock:
            self.current.failed[site] = self.read_error(error)

    def was_accepted(self, site: str) -> bool:
        """Whether a site's contribution to the current round was accepted."""
        with self._lock:
            return site in self.current.accepted

    def without_budget(self) -> list[str]:
        """Accepted sites of the current round whose privacy budget has no room for another."""
        with self._lock:
            told = {site: report.privacy for site, report in self.current.sites.items()}
            return sorted(site for site, privacy in told.items() if privacy and privacy.rounds_left == 0)

    def scores(self) -> dict[str, ScoresMessage]:
        """Scores that accepted sites sent in the current round, of the model that went out in it."""
        with self._lock:
            return {site: report.scores for site, report in self.current.sites.items() if report.scores is not None}

    def came_late(self, site: str, round_number: Any) -> None:
        """Note that a site's result came after its round was closed."""
        with self._lock:
            for item in self.record.rounds:
                if item.round == round_number and site in {*item.absent, *item.expected} - {*item.accepted}:
                    item.late = sorted({*item.late, site})
                    item.absent = [name for name in item.absent if name != site]

    def save(self, fl_ctx: FLContext) -> None:
        """Write the record now; on a full disk the one before stays, and the log says so."""
        with self._lock:
            try:
                self.record.write(run_folder(fl_ctx) / RECORD_FILE)
            except OSError as error:
                self.log_error(fl_ctx, f"{RECORD_FILE} could not be written ({error.strerror}); the one before remains")

    def go_on(self, earlier: RunRecord, fl_ctx: FLContext) -> None:
        """Take over rounds, scores and participation of the run that this job resumes."""
        with self._lock:
            record = self.record
            record.resumed_from = [*earlier.resumed_from, earlier.job_id]
            record.rounds, record.models, record.modalities = earlier.rounds, earlier.models, earlier.modalities
            self._sites = set(self.current.expected)
            self.save(fl_ctx)

    def progress(self) -> dict[str, Any]:
        """What to show while the job runs: the state and the last two rounds."""
        with self._lock:
            record = self.record
            return {
                "status": record.status,
                "rounds_total": record.task["training"]["rounds"],
                "rounds_done": sum(1 for item in record.rounds if item.seconds),
                "elapsed_seconds": time.time() - record.started,
                "evaluating": sorted(record.evaluation.validation),
                "winner": record.evaluation.winner,
                "rounds": [item.model_dump(mode="json") for item in record.rounds[-2:]],
            }

    def _start(self, fl_ctx: FLContext) -> None:
        try:
            task = job_task(fl_ctx)
        except FlaresegError as error:
            self.system_panic(str(error), fl_ctx)
            return
        meta = fl_ctx.get_prop(FLContextKey.JOB_META)
        self._record = RunRecord(
            job_id=fl_ctx.get_job_id(),
            job_name=str(meta.get(JobMetaKey.JOB_NAME, "")),
            versions={"flareseg": flareseg.__version__} | {name: version(name) for name in _PACKAGES},
            task=task.model_dump(mode="json"),
            task_digest=task.digest(),
            min_clients=int(meta[JobMetaKey.MIN_CLIENTS]),
            submitter=str(meta.get(JobMetaKey.SUBMITTER_NAME, "")),
            started=time.time(),
        )

    def _start_round(self, fl_ctx: FLContext) -> None:
        self._round_started = time.perf_counter()
        weights = fl_ctx.get_prop(AppConstants.GLOBAL_MODEL)[ModelLearnableKey.WEIGHTS]
        self._model_bytes = payload_bytes(weights)
        # NVFlare forgets a site that is gone: who was expected once is expected to the end.
        self._sites |= named_sites(fl_ctx.get_prop(FLContextKey.JOB_META).get(JobMetaKey.DEPLOY_MAP) or {})
        self._sites |= {client.name for client in fl_ctx.get_engine().get_clients()}
        number = fl_ctx.get_prop(AppConstants.CURRENT_ROUND)
        self.record.rounds.append(RoundRecord(round=number, expected=sorted(self._sites)))

    def _contribution(self, fl_ctx: FLContext) -> None:
        site = fl_ctx.get_peer_context().get_identity_name()
        result = fl_ctx.get_prop(AppConstants.TRAINING_RESULT)
        if not fl_ctx.get_prop(AppConstants.AGGREGATION_ACCEPTED):
            of_this_round = result.get_cookie(AppConstants.CONTRIBUTION_ROUND) == self.current.round
            if of_this_round and site not in self.current.accepted:
                self.current.refused[site] = fl_ctx.get_prop(Prop.REFUSAL, "unknown reason")
            return
        self.current.accepted = sorted({*self.current.accepted, site})
        self.current.late = [name for name in self.current.late if name != site]
        dxo = from_shareable(result)
        self.current.bytes_received += payload_bytes(dxo.data)
        self.current.steps[site] = int(dxo.get_meta_prop(MetaKey.NUM_STEPS_CURRENT_ROUND))
        report = self._report(site, result, fl_ctx)
        if report is not None:
            self.current.sites[site] = report
            self.record.modalities[site] = report.modality

    def _report(self, site: str, result: Shareable, fl_ctx: FLContext) -> SiteReport | None:
        try:
            return SiteReport.model_validate(result.get_header(Header.REPORT))
        except ValidationError as error:
            fields = sorted({".".join(map(str, item["loc"])) for item in error.errors()})
            self.log_warning(fl_ctx, f"site {site}: report ignored, unexpected {plain(', '.join(fields))}")
            return None

    @staticmethod
    def read_error(error: Any) -> SiteError:
        """Check what a site says of its failure."""
        try:
            return SiteError.model_validate(error)
        except ValidationError:
            return SiteError(code="UNREADABLE_ERROR")

    def _end_round(self, fl_ctx: FLContext) -> None:
        current = self.current
        self._note_absent(current)
        current.seconds = time.perf_counter() - self._round_started
        longest = max((report.seconds for report in current.sites.values()), default=None)
        current.overhead_seconds = None if longest is None else current.seconds - longest

    def _failed_system(self, reason: str) -> None:
        if self.record.reason:
            return
        open_round = self.record.rounds and not self.current.seconds
        missing = self.missing() if open_round else ""
        self.record.reason = f"{reason} (missing: {missing})" if missing else reason

    @staticmethod
    def _note_absent(item: RoundRecord) -> None:
        heard = {*item.accepted, *item.refused, *item.failed, *item.late}
        item.absent = sorted(set(item.expected) - heard)

    def missing(self) -> str:
        """Why the sites of the current round that were not accepted are missing, in words; empty if none is."""
        with self._lock:
            item = self.current
            self._note_absent(item)
            reasons = {site: f"refused: {why}" for site, why in item.refused.items()}
            reasons |= {site: f"failed: {error.code}" for site, error in item.failed.items()}
            reasons |= dict.fromkeys(item.late, "late") | dict.fromkeys(item.absent, "absent")
            return "; ".join(f"{site} {reasons[site]}" for site in sorted(reasons))

    def _end(self, fl_ctx: FLContext) -> None:
        record = self.record
        record.finished = time.time()
        if record.rounds and not self.current.seconds:
            self._note_absent(self.current)
        done = sum(1 for item in record.rounds if item.seconds)
        everyone = set(record.evaluation.expected)
        evaluated = record.evaluation.winner is not None and record.evaluation.testing
        short = done < record.task["training"]["rounds"] and not record.ended_early
        if record.reason or short or not evaluated:
            record.status = "failed"
            record.reason = record.reason or f"the job was stopped after {done} rounds"
        elif record.ended_early:
            record.status = "subset"
        elif all(item.whole for item in record.rounds) and set(record.evaluation.testing) == everyone:
            record.status = "complete"
        else:
            record.status = "subset"
        self.save(fl_ctx)
        self.log_info(fl_ctx, f"run ended: {record.status} {record.reason}".rstrip())

    def keep(self, name: str, rounds_done: int, score: float | None) -> None:
        """Note that a model was kept under a name."""
        with self._lock:
            self.record.models[name] = ModelNote(rounds_done=rounds_done, score=score)
