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
from flareseg.record.messages import RoundReport, ScoresMessage, SiteError
from flareseg.record.model_file import payload_bytes
from flareseg.record.refusals import read_refusals
from flareseg.record.run import ModelNote, RoundRecord, RunRecord, UpdateNotes

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
        """The record of this run, to be read: only this component changes it, under its lock.

        Raises:
            RuntimeError: the run has not started.
        """
        if self._record is None:
            raise RuntimeError("the run has not started")
        return self._record

    @property
    def ended_well(self) -> bool:
        """The run has ended, with all sites or with some."""
        return self._record is not None and self._record.status in ("complete", "subset", "unimproved")

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
            self.current.updates = fl_ctx.get_prop(Prop.UPDATES) or UpdateNotes()
            self.current.close(time.perf_counter() - self._round_started)
        elif event_type == EventType.FATAL_SYSTEM_ERROR:
            self._record.fail(str(fl_ctx.get_prop(FLContextKey.EVENT_DATA, "")), _connected(fl_ctx))
        elif event_type == EventType.ABOUT_TO_END_RUN:
            self._record.finish(time.time(), _connected(fl_ctx))
            self.save(fl_ctx)
            self.log_info(fl_ctx, f"run ended: {self._record.status} {self._record.reason}".rstrip())
            for warning in self._record.warnings:
                self.log_warning(fl_ctx, warning)
        elif event_type == InfoCollector.EVENT_TYPE_GET_STATS:
            collector = fl_ctx.get_prop(InfoCollector.CTX_KEY_STATS_COLLECTOR)
            if collector is not None:
                collector.add_info(group_name="flareseg", info=self.progress())

    def sent(self, site: str) -> None:
        """Note that the model went out to a site."""
        with self._lock:
            self.current.bytes_sent += self._model_bytes

    def failed(self, site: str, error: SiteError) -> None:
        """Note that a site answered with an error."""
        with self._lock:
            self.current.failed[site] = error

    def end_early(self, reason: str) -> None:
        """Note that the run ends before its last round, as it should."""
        with self._lock:
            self.record.ended_early = reason

    def validated(self, model: str, scores: dict[str, ScoresMessage]) -> None:
        """Note how the sites scored a kept model on their validation cases."""
        with self._lock:
            self.record.evaluation.expected = self.current.expected
            self.record.evaluation.validation[model] = scores

    def tested(self, winner: str, scores: dict[str, ScoresMessage]) -> None:
        """Note which model won, and its scores on the held-out test cases."""
        with self._lock:
            self.record.evaluation.winner, self.record.evaluation.testing = winner, scores

    def evaluation_failed(self, site: str, error: SiteError) -> None:
        """Note that a site could not score a model."""
        with self._lock:
            self.record.evaluation.failed[site] = error

    def keep(self, name: str, note: ModelNote) -> None:
        """Note that a model was kept under a name."""
        with self._lock:
            self.record.models[name] = note

    def kept(self, name: str) -> ModelNote | None:
        """What is known of the model kept under a name; None if there is none."""
        with self._lock:
            return self.record.models.get(name)

    def snapshot(self) -> RunRecord:
        """A copy of the record as it is now."""
        with self._lock:
            return self.record.model_copy(deep=True)

    def was_accepted(self, site: str) -> bool:
        """Whether a site's contribution to the current round was accepted."""
        with self._lock:
            return site in self.current.accepted

    def without_budget(self) -> list[str]:
        """Accepted sites of the current round whose privacy budget has no room for another."""
        with self._lock:
            privacy_by_site = {site: report.privacy for site, report in self.current.sites.items()}
            return sorted(site for site, privacy in privacy_by_site.items() if privacy and privacy.rounds_left == 0)

    def scores(self) -> dict[str, ScoresMessage]:
        """Scores that accepted sites sent in the current round, of the model that went out in it."""
        with self._lock:
            return {site: report.scores for site, report in self.current.sites.items() if report.scores is not None}

    def came_late(self, site: str, round_number: Any) -> None:
        """Note that a site's result came after its round was closed."""
        with self._lock:
            for item in self.record.rounds:
                if item.round == round_number:
                    item.note_late(site)

    def save(self, fl_ctx: FLContext) -> None:
        """Write the record now; on a full disk the one before stays, and the log says so."""
        with self._lock:
            folder = run_folder(fl_ctx)
            try:
                self.record.refused_messages = read_refusals(folder)
                self.record.write(folder / RECORD_FILE)
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
        """What to show while the job runs."""
        with self._lock:
            return self.record.progress(time.time())

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
        self._sites |= _connected(fl_ctx)
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

    def _report(self, site: str, result: Shareable, fl_ctx: FLContext) -> RoundReport | None:
        try:
            report = RoundReport.model_validate(result.get_header(Header.REPORT))
            if report.scores is not None:
                report.scores.of(job_task(fl_ctx))
        except ValidationError as error:
            fields = sorted({".".join(map(str, item["loc"])) for item in error.errors()})
            self.log_warning(fl_ctx, f"site {site}: report ignored, unexpected {plain(', '.join(fields))}")
            return None
        except ValueError as error:
            self.log_warning(fl_ctx, f"site {site}: report ignored, {plain(str(error))}")
            return None
        return report

    def missing(self) -> str:
        """Why the sites of the current round that were not accepted are missing; empty where all were."""
        with self._lock:
            return self.current.missing()


def _connected(fl_ctx: FLContext) -> set[str]:
    """The sites that NVFlare has not given up."""
    return {client.name for client in fl_ctx.get_engine().get_clients()}
