"""Homomorphic aggregation: sums of ciphertexts (CKKS, TenSEAL), with the checks that are possible.

The server adds up what it cannot read. Keys come with the kits (NVFlare's HEBuilder); each site's own filters, of its
scope ``encrypted``, encrypt what leaves and decrypt what comes. docs/privacy.md says what that guarantees.
"""

from __future__ import annotations

from typing import Any

from nvflare.apis.dxo import DXO, DataKind, MetaKey
from nvflare.apis.fl_context import FLContext
from nvflare.app_opt.he import decomposers
from nvflare.app_opt.he.constant import HE_ALGORITHM_CKKS
from tenseal.tensors.ckksvector import CKKSVector

from flareseg.config.task import Task
from flareseg.flare.server.aggregator import ContributionAggregator, Weights
from flareseg.flare.server.contribution import Contribution
from flareseg.networks import initial_state
from flareseg.privacy.scopes import Encrypted


class EncryptedAggregator(ContributionAggregator):
    """Step-weighted mean of encrypted updates, of all sites or none.

    A plain update is refused, so that no site sends one by mistake. The mean of fewer sites than were asked is never
    made: every site can read it, and with its own update take the others' apart. What a ciphertext holds cannot be
    checked: a site that sends nonsense spoils the model.

    Args:
        recorder_id: id of the run recorder component.
    """

    def __init__(self, recorder_id: str = "recorder") -> None:
        super().__init__()
        decomposers.register()  # how NVFlare reads ciphertexts off the wire
        self.recorder_id = recorder_id
        self._sizes: dict[str, int] = {}
        self._sums: dict[str, CKKSVector] = {}
        self._steps = 0

    def begin_run(self, task: Task) -> None:
        """Refuse what needs plain updates.

        Raises:
            FlaresegError: naming the setting.
        """
        Encrypted().check(task)
        self._sizes = {name: value.numel() for name, value in initial_state(task).items()}

    def begin_round(self, weights: Weights, sites: int) -> None:
        """Forget the sums of the round before."""
        self._sums, self._steps = {}, 0

    def add(self, site: str, contribution: Contribution) -> None:
        """Add ciphertexts, which the site multiplied by its steps before it encrypted them.

        Raises:
            ValueError: a part is not encrypted, or of another size.
        """
        data = contribution.data
        if {name: _encrypted_size(value) for name, value in data.items()} != self._sizes:
            raise ValueError("expected a ciphertext of each parameter, of its size")
        # TenSEAL may refuse a ciphertext of other keys: all sums are made before one is kept.
        self._sums = {name: self._sums[name] + value if self._sums else value for name, value in data.items()}
        self._steps += contribution.steps

    def lacking(self, accepted: set[str], fl_ctx: FLContext) -> str:
        """Why no mean is made: the contribution of a site is missing."""
        expected = fl_ctx.get_engine().get_component(self.recorder_id).current.expected
        missing = sorted(set(expected) - accepted)
        if not missing:
            return ""
        names = ", ".join(missing)
        return f"no contribution of {names}: encrypted updates are added up of all sites or not at all"

    def result(self, weights: Weights) -> DXO:
        """Give the encrypted mean change, for NVFlare's HEModelShareableGenerator to add to the model."""
        sums, self._sums = self._sums, {}
        mean = {name: total * (1.0 / self._steps) for name, total in sums.items()}
        meta = {MetaKey.PROCESSED_KEYS: dict.fromkeys(mean, True), MetaKey.PROCESSED_ALGORITHM: HE_ALGORITHM_CKKS}
        return DXO(DataKind.WEIGHT_DIFF, data=mean, meta=meta)


def _encrypted_size(value: Any) -> int:
    if not isinstance(value, CKKSVector):
        raise ValueError("a part of the update is not encrypted")
    return int(value.size())
