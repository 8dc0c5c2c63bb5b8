"""The privacy scope in force at a site, applied to one job."""

from __future__ import annotations

import logging
from pathlib import Path

from nvflare.apis.fl_constant import FLContextKey
from nvflare.apis.fl_context import FLContext

from flareseg.config.task import Task
from flareseg.data.site_data import LearningData
from flareseg.errors import ErrorCode, FlaresegError
from flareseg.networks.state import State
from flareseg.privacy.budget import Budget
from flareseg.privacy.clipping import clip_update
from flareseg.privacy.dp_sgd import sample_rate
from flareseg.privacy.scopes import Clipped, DifferentialPrivacy, Scope, read_scope
from flareseg.record.messages import PrivacyMessage

logger = logging.getLogger(__name__)


def scope_in_force(fl_ctx: FLContext) -> Scope:
    """Give the scope that the job asks for, with this site's settings.

    Raises:
        FlaresegError: another scope is in force. The job picks the scope, and without a privacy.json NVFlare would
            accept any and filter nothing.
    """
    asked = fl_ctx.get_prop(FLContextKey.JOB_SCOPE_NAME)
    in_force = fl_ctx.get_prop(FLContextKey.EFFECTIVE_JOB_SCOPE_NAME)
    if not asked or asked != in_force:
        raise FlaresegError(
            f"The job asks for the privacy scope {asked or '(none)'}, in force at this site is {in_force or '(none)'}.",
            'Name a scope of local/privacy.json as "scope" in the job\'s meta.json.',
            code=ErrorCode.SCOPE_MISMATCH,
        )
    return read_scope(asked, fl_ctx.get_prop(FLContextKey.SCOPE_PROPERTIES) or {})


class SitePrivacy:
    """Applies a scope to the rounds of one job at this site, and tells the server what it did.

    Args:
        scope: the scope in force.
        job: the job's id.
        root: the site's workspace; the budget file lies in it unless the scope names another place.
    """

    def __init__(self, scope: Scope, job: str, root: Path) -> None:
        self.scope = scope
        self.job = job
        self.differential: DifferentialPrivacy | None = None
        if isinstance(scope, DifferentialPrivacy):
            self.differential = scope
            self._budget = Budget.of_site(root, scope)
        self._report = PrivacyMessage(scope=scope.name)
        self._rounds = self._clipped = 0

    @classmethod
    def of(cls, fl_ctx: FLContext) -> SitePrivacy:
        """Read the scope in force.

        Raises:
            FlaresegError: it is not the one that the job asks for.
        """
        root = Path(fl_ctx.get_engine().get_workspace().get_root_dir())
        return cls(scope_in_force(fl_ctx), str(fl_ctx.get_job_id()), root)

    def begin_round(self, task: Task, data: LearningData) -> None:
        """Under differential privacy, spend the round's steps.

        Raises:
            FlaresegError: they do not fit in the budget, or a patient is both trained on and scored.
        """
        if self.differential is None:
            return
        patients = data.patients("training")
        held_out = {*data.patients("validation"), *data.patients("testing")}
        if both := patients.keys() & held_out:
            raise FlaresegError(
                f"{len(both)} patients are in training and held out, such as {min(both)}: their scores would leave "
                "the site outside the guarantee.",
                "Keep all cases of a patient in one split.",
                code=ErrorCode.BAD_SETTINGS,
                case=min(both),
            )
        rate = sample_rate(task.training.batch_size, len(patients))
        epsilon = self._budget.spend(self.job, rate, task.training.steps)
        left = self._budget.steps_left(rate) // task.training.steps
        scope = self.differential
        self._report = PrivacyMessage(
            scope=scope.name,
            epsilon=epsilon,
            delta=scope.delta,
            budget=scope.epsilon,
            noise_multiplier=scope.noise_multiplier,
            sample_rate=rate,
            rounds_left=left,
        )
        logger.info(
            f"privacy: ε = {epsilon:.3f} of {scope.epsilon:g} at δ = {scope.delta:g} spent with this round "
            f"({len(patients)} patients, q = {rate:.3f}, σ = {scope.noise_multiplier:g}); {left} more rounds fit"
        )

    def protect(self, update: State) -> State:
        """Give the update as it may leave the site."""
        if not isinstance(self.scope, Clipped):
            return update
        bounded, norm = clip_update(update, self.scope.max_norm)
        clipped = norm > self.scope.max_norm
        self._rounds += 1
        self._clipped += clipped
        self._report = PrivacyMessage(scope=self.scope.name, clipped=bool(clipped))
        logger.info(
            f"privacy: norm of the update {norm:.4g}, bound {self.scope.max_norm:g}; clipped in {self._clipped} of "
            f"{self._rounds} rounds"
        )
        return bounded

    def report(self) -> PrivacyMessage:
        """What the server may know of the last round."""
        return self._report
