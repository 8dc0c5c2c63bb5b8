"""FedGS at the server: accepting a contribution beside memory's speed and NVFlare's own aggregator, and its memory."""

from __future__ import annotations

import logging
import sys
import tracemalloc
from collections.abc import Callable

import numpy as np
from nvflare.apis.dxo import DXO, DataKind, MetaKey
from nvflare.apis.event_type import EventType
from nvflare.apis.fl_constant import ReservedKey
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable
from nvflare.app_common.aggregators.intime_accumulate_model_aggregator import InTimeAccumulateWeightedAggregator
from nvflare.app_common.app_constant import AppConstants

from benchmarks.measure import Row, in_child, in_turn
from flareseg.fedgs import ExactSum

MODELS = [2_000_000, 30_000_000, 100_000_000]  # parameters
SITES = [2, 20, 200]
STEPS = 12
ANNOUNCED = 1000  # contributions, more than a run of the benchmark makes
# Bytes an exact accumulation moves for a float32 element: the element, and the float64 sum, read and written.
BYTES_PER_ELEMENT = 4 + 8 + 8


def run(*, quick: bool) -> list[Row]:
    rows = []
    for parameters in [200_000] if quick else MODELS:
        rows += accepting(parameters, max(5, min(60, 300_000_000 // parameters)))
    return rows + [memory(sites, 200_000 if quick else MODELS[0]) for sites in ([2] if quick else SITES)]


def network(parameters: int) -> dict[str, np.ndarray]:
    """Arrays shaped like a network's: few large, many small."""
    rng = np.random.default_rng(0)
    large = parameters // 25
    model = {f"layer{i}": rng.standard_normal(large, dtype=np.float32) * 1e-2 for i in range(24)}
    return model | {f"norm{i}": rng.standard_normal(large // 100, dtype=np.float32) for i in range(100)}


def accepting(parameters: int, repeats: int) -> list[Row]:
    model = network(parameters)
    elements = sum(array.size for array in model.values())
    source = np.ones(elements, dtype=np.float32)
    target = np.zeros_like(source)
    total = ExactSum(model, 1000)
    peer, context, submit = nvflare_aggregator(model)

    def accept() -> None:
        if not peer.accept(submit(), context):
            raise RuntimeError("NVFlare's aggregator refused the contribution: nothing to compare with.")

    logging.disable(logging.CRITICAL)  # NVFlare's has no engine here, and says so each time
    ours, copying, theirs = in_turn(
        [lambda: total.add(model, STEPS), lambda: np.copyto(target, source), accept], repeats
    )
    logging.disable(logging.NOTSET)
    bandwidth = 2 * source.nbytes / copying
    at_35_percent = elements * BYTES_PER_ELEMENT / (0.35 * bandwidth)
    size = f"{elements / 1e6:.1f} M in {len(model)}"
    limit = (
        f"{ours / elements * 1e9:.2f} ns an element for 20 bytes moved (float32 read; float64 sum read, written) and "
        "6 passes in the cache (largest, smallest, widen, scale, round, add); NVFlare: 2 passes in float32, no checks"
    )
    return [
        Row(
            "FedGS at the server: accepting beside 35 % of copy bandwidth",
            size,
            ours * 1e3,
            at_35_percent * 1e3,
            "ms",
            1.0,
            limit,
        ),
        Row(
            "FedGS at the server: accepting beside NVFlare's aggregator",
            size,
            ours * 1e3,
            theirs * 1e3,
            "ms",
            1 / 0.6,
            limit,
        ),
    ]


def nvflare_aggregator(model: dict) -> tuple[InTimeAccumulateWeightedAggregator, FLContext, Callable[[], Shareable]]:
    peer = InTimeAccumulateWeightedAggregator(expected_data_kind=DataKind.WEIGHT_DIFF)
    context = FLContext()
    context.set_prop(AppConstants.CURRENT_ROUND, 0, private=True, sticky=False)
    peer.handle_event(EventType.START_RUN, context)
    sites = iter(range(1_000_000))

    def submit() -> Shareable:
        shareable = DXO(DataKind.WEIGHT_DIFF, data=model, meta={MetaKey.NUM_STEPS_CURRENT_ROUND: STEPS}).to_shareable()
        shareable.add_cookie(AppConstants.CONTRIBUTION_ROUND, 0)
        shareable.set_peer_props({ReservedKey.IDENTITY_NAME: f"site-{next(sites)}"})
        return shareable

    return peer, context, submit


def memory(sites: int, parameters: int) -> Row:
    """Peak of a round's sum and mean, less the largest variable, in copies of the model."""
    beyond = in_child("benchmarks.fedgs_server", sites, parameters)
    size = sum(array.nbytes for array in network(parameters).values()) / 1e6
    name = f"FedGS at the server: peak memory of a round of {sites} sites beside the model, less the largest variable"
    return Row(name, f"{parameters / 1e6:.1f} M", beyond, size, "MB", 2.2)


def beyond_largest(sites: int, parameters: int) -> float:
    """Peak of allocated memory (MB) over a round, without the update, less the largest variable."""
    update = network(parameters)
    tracemalloc.start()
    total = ExactSum(update, sites)
    for _ in range(sites):
        total.add(update, STEPS)
    mean = total.mean()
    peak = tracemalloc.get_traced_memory()[1]
    if set(mean) != set(update):
        raise RuntimeError("The mean should hold all variables.")
    return (peak - max(array.nbytes for array in update.values())) / 1e6


if __name__ == "__main__":
    print(beyond_largest(int(sys.argv[1]), int(sys.argv[2])))
