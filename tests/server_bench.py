"""An aggregator with as much of NVFlare around it as it looks at."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import yaml
from nvflare.apis.dxo import DXO, DataKind, MetaKey, from_shareable
from nvflare.apis.event_type import EventType
from nvflare.apis.fl_constant import FLContextKey, ReservedKey
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable
from nvflare.app_common.abstract.model import make_model_learnable
from nvflare.app_common.app_constant import AppConstants
from nvflare.app_common.app_event_type import AppEventType

import flareseg
from flareseg.config.task import Task
from flareseg.flare.names import Header, Prop
from flareseg.flare.server.aggregator import ContributionAggregator
from flareseg.flare.server.plain_aggregator import PlainAggregator
from flareseg.networks import initial_state
from flareseg.record.model_file import to_numpy


class Bench:
    """An aggregator with the context that NVFlare would give it."""

    def __init__(
        self,
        folder: Path,
        content: dict[str, Any],
        min_clients: int = 2,
        aggregator: ContributionAggregator | None = None,
    ) -> None:
        self.task = Task.model_validate(content)
        (folder / "task.yaml").write_text(yaml.safe_dump(content))
        workspace = SimpleNamespace(
            get_app_config_dir=lambda job: str(folder),
            get_site_config_dir=lambda: str(folder),
            get_run_dir=lambda job: str(folder / job),
        )
        self.panics: list[str] = []
        self.engine = SimpleNamespace(
            get_workspace=lambda: workspace,
            fire_event=self._event,
            get_component=lambda name: None,
            get_clients=lambda: [None] * 4,
        )
        self.min_clients = min_clients
        self.state = to_numpy(initial_state(self.task))
        self.aggregator = aggregator or PlainAggregator()
        self.aggregator.handle_event(EventType.START_RUN, self.context())
        self.open(0)

    def _event(self, event_type: str, fl_ctx: FLContext) -> None:
        if event_type == EventType.FATAL_SYSTEM_ERROR:
            self.panics.append(fl_ctx.get_prop(FLContextKey.EVENT_DATA))

    def context(self, site: str = "a") -> FLContext:
        peer = FLContext()
        peer.set_prop(ReservedKey.IDENTITY_NAME, site, private=False, sticky=False)
        fl_ctx = FLContext()
        for key, value in {
            ReservedKey.ENGINE: self.engine,
            ReservedKey.RUN_NUM: "job",
            FLContextKey.PEER_CONTEXT: peer,
            FLContextKey.JOB_META: {"min_clients": self.min_clients},
            AppConstants.CURRENT_ROUND: getattr(self, "round", 0),
            AppConstants.GLOBAL_MODEL: make_model_learnable(getattr(self, "state", {}), {}),
        }.items():
            fl_ctx.set_prop(key, value, private=True, sticky=False)
        return fl_ctx

    def open(self, number: int) -> None:
        self.round = number
        self.aggregator.handle_event(AppEventType.ROUND_STARTED, self.context())

    def update(self, seed: int) -> dict[str, np.ndarray]:
        rng = np.random.default_rng(seed)
        return {
            name: rng.normal(0, 0.01, value.shape).astype(value.dtype) if value.dtype.kind == "f" else value + 3
            for name, value in self.state.items()
        }

    def contribution(self, seed: int = 0, steps: Any = 3, of_round: int | None = None, scale: Any = 1.5) -> Shareable:
        dxo = DXO(
            DataKind.WEIGHT_DIFF,
            data=self.update(seed),
            meta={MetaKey.NUM_STEPS_CURRENT_ROUND: steps, "mean_scale": scale},
        )
        shareable = dxo.to_shareable()
        shareable.set_header(Header.VERSION, flareseg.__version__)
        shareable.set_header(Header.TASK_DIGEST, self.task.digest())
        shareable.add_cookie(AppConstants.CONTRIBUTION_ROUND, self.round if of_round is None else of_round)
        return shareable

    def accept(self, site: str, shareable: Shareable) -> tuple[bool, str | None]:
        fl_ctx = self.context(site)
        return self.aggregator.accept(shareable, fl_ctx), fl_ctx.get_prop(Prop.REFUSAL)

    def aggregate(self) -> dict[str, np.ndarray]:
        return dict(from_shareable(self.aggregator.aggregate(self.context())).data)
