"""FedGS at the server: accepting a contribution beside memory's speed and NVFlare's own aggregator, and its memory."""

from __future__ import annotations

import logging
import sys
import tempfile
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import yaml
from nvflare.apis.dxo import DXO, DataKind, MetaKey, from_shareable
from nvflare.apis.event_type import EventType
from nvflare.apis.fl_constant import FLContextKey, ReservedKey
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable
from nvflare.app_common.abstract.aggregator import Aggregator
from nvflare.app_common.abstract.model import make_model_learnable
from nvflare.app_common.aggregators.intime_accumulate_model_aggregator import InTimeAccumulateWeightedAggregator
from nvflare.app_common.app_constant import AppConstants
from nvflare.app_common.app_event_type import AppEventType

import flareseg
from benchmarks.measure import Row, in_child, in_turn
from benchmarks.training import default_task
from flareseg.config.task import Task
from flareseg.flare.names import META_MEAN_SCALE, Header
from flareseg.flare.server.plain_aggregator import PlainAggregator
from flareseg.networks import initial_state
from flareseg.record.model_file import to_numpy

# Of the default network, widened to about 2, 30 and 100 million parameters.
CHANNELS = [(32, 64, 128, 256, 256), (128, 256, 512, 1024, 896), (208, 416, 832, 1664, 1664)]
QUICK = (16, 32, 64, 128)
SITES = [2, 20, 200]
# Bytes an exact accumulation moves for a float32 element: the element, and the int64 sum, read and written.
BYTES_PER_ELEMENT = 4 + 8 + 8


def run(*, quick: bool) -> list[Row]:
    rows = [row for channels in ([QUICK] if quick else CHANNELS) for row in accepting(channels)]
    return rows + [memory(sites, QUICK if quick else CHANNELS[0]) for sites in ([2] if quick else SITES)]


class Server:
    """An aggregator in a round of so many sites, with as much of NVFlare around it as it looks at.

    Args:
        aggregator: ours or NVFlare's.
        channels: of the network.
        sites: number of sites.
    """

    def __init__(self, aggregator: Aggregator, channels: tuple[int, ...], sites: int) -> None:
        content = default_task().model_dump(mode="json")
        content["network"]["channels"] = list(channels)
        self.task = Task.model_validate(content)
        self.weights = to_numpy(initial_state(self.task))
        self.aggregator = aggregator
        self._sites: Iterator[int] = iter(range(sites))
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "task.yaml").write_text(yaml.safe_dump(content))
            workspace = SimpleNamespace(get_app_config_dir=lambda job: folder, get_site_config_dir=lambda: folder)
            engine = SimpleNamespace(
                get_workspace=lambda: workspace, get_clients=lambda: [None] * sites, fire_event=lambda *_: None
            )
            self.context = FLContext()
            for key, value in {
                ReservedKey.ENGINE: engine,
                ReservedKey.RUN_NUM: "job",
                FLContextKey.JOB_META: {"min_clients": 1},
                AppConstants.CURRENT_ROUND: 0,
                AppConstants.GLOBAL_MODEL: make_model_learnable(self.weights, {}),
            }.items():
                self.context.set_prop(key, value, private=True, sticky=False)
            aggregator.handle_event(EventType.START_RUN, self.context)

    def open(self) -> None:
        """Begin the round."""
        self.aggregator.handle_event(AppEventType.ROUND_STARTED, self.context)

    def accept(self) -> None:
        """Submit an update, as large as the model, of the next site."""
        site = f"site-{next(self._sites)}"
        meta = {MetaKey.NUM_STEPS_CURRENT_ROUND: self.task.training.steps, META_MEAN_SCALE: 1.0}
        shareable: Shareable = DXO(DataKind.WEIGHT_DIFF, data=self.weights, meta=meta).to_shareable()
        shareable.set_header(Header.VERSION, flareseg.__version__)
        shareable.set_header(Header.TASK_DIGEST, self.task.digest())
        shareable.add_cookie(AppConstants.CONTRIBUTION_ROUND, 0)
        # NVFlare's aggregator asks the update who sent it, ours the connection.
        shareable.set_peer_props({ReservedKey.IDENTITY_NAME: site})
        peer = FLContext()
        peer.set_prop(ReservedKey.IDENTITY_NAME, site, private=False, sticky=False)
        self.context.set_peer_context(peer)
        if not self.aggregator.accept(shareable, self.context):
            raise RuntimeError(f"{type(self.aggregator).__name__} refused the contribution: nothing to compare with.")


def accepting(channels: tuple[int, ...]) -> list[Row]:
    ours = Server(PlainAggregator(), channels, 1000)
    theirs = Server(InTimeAccumulateWeightedAggregator(expected_data_kind=DataKind.WEIGHT_DIFF), channels, 1000)
    elements = sum(array.size for array in ours.weights.values())
    source = np.ones(elements, dtype=np.float32)
    target = np.zeros_like(source)
    ours.open()
    logging.disable(logging.CRITICAL)  # NVFlare's has no engine here, and says so each time
    accepted, copied, peer = in_turn(
        [ours.accept, lambda: np.copyto(target, source), theirs.accept], max(5, min(60, 300_000_000 // elements))
    )
    logging.disable(logging.NOTSET)
    bandwidth = 2 * source.nbytes / copied
    at_35_percent = elements * BYTES_PER_ELEMENT / (0.35 * bandwidth)
    size = f"{elements / 1e6:.1f} M in {len(ours.weights)}"
    limit = (
        f"{accepted / elements * 1e9:.2f} ns an element for 20 bytes moved (float32 read; int64 sum read, written) "
        "and 5 passes in the cache (widen, norm, scale, round, add), side by side only as far as other cores are idle; "
        "NVFlare: 2 passes in float32, no checks"
    )
    name = "FedGS at the server: accepting beside"
    return [
        Row(f"{name} 35 % of copy bandwidth", size, accepted * 1e3, at_35_percent * 1e3, "ms", 1.0, limit),
        Row(f"{name} NVFlare's aggregator", size, accepted * 1e3, peer * 1e3, "ms", 1 / 0.6, limit),
    ]


def memory(sites: int, channels: tuple[int, ...]) -> Row:
    """Peak of a whole round at the server, less the largest variable, in copies of the model."""
    beyond = in_child("benchmarks.fedgs_server", sites, *channels)
    size = sum(array.nbytes for array in Server(PlainAggregator(), channels, sites).weights.values()) / 1e6
    name = f"FedGS at the server: peak memory of a round of {sites} sites beside the model, less the largest variable"
    limit = (
        "2 models are the int64 sum; the rest is the threads' scratch and the sketches, 0.5 MB each whatever the model"
    )
    return Row(name, f"{size / 4:.1f} M", beyond, size, "MB", 2.2, limit)


def beyond_largest(sites: int, channels: tuple[int, ...]) -> float:
    """Peak of allocated memory (MB) from the opening of a round to the new model, less the largest variable.

    The incoming update and the global model were there before.
    """
    server = Server(PlainAggregator(), channels, sites)
    tracemalloc.start()
    server.open()
    for _ in range(sites):
        server.accept()
    model = from_shareable(server.aggregator.aggregate(server.context)).data
    peak = tracemalloc.get_traced_memory()[1]
    if all(np.array_equal(value, server.weights[name]) for name, value in model.items()):
        raise RuntimeError("The round should change the model.")
    return (peak - max(array.nbytes for array in model.values())) / 1e6


if __name__ == "__main__":
    print(beyond_largest(int(sys.argv[1]), tuple(map(int, sys.argv[2:]))))
