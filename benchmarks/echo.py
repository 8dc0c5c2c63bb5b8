"""A trivial executor for NVFlare's stock FedAvg job: it loads the network as a training would, and does not train."""

from __future__ import annotations

from typing import Any

import numpy as np
from monai.networks.nets import UNet
from nvflare.apis.dxo import DXO, DataKind, MetaKey, from_shareable
from nvflare.apis.executor import Executor
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable
from nvflare.apis.signal import Signal


class EchoExecutor(Executor):
    """Answers each global model with an update of its size.

    Args:
        network: arguments of MONAI's UNet.
    """

    def __init__(self, network: dict[str, Any]) -> None:
        super().__init__()
        self.network = UNet(**network)

    def execute(self, task_name: str, shareable: Shareable, fl_ctx: FLContext, abort_signal: Signal) -> Shareable:
        """Answer."""
        weights = from_shareable(shareable).data
        update = {name: np.full_like(value, 1e-4) for name, value in weights.items()}
        return DXO(DataKind.WEIGHT_DIFF, data=update, meta={MetaKey.NUM_STEPS_CURRENT_ROUND: 1}).to_shareable()
