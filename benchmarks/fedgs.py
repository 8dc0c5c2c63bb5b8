"""FedGS against plain AdamW at a site, and against memory bandwidth and NVFlare's own aggregator at the server."""

from __future__ import annotations

import copy
import logging
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from monai.losses import DiceLoss
from monai.networks.nets import UNet
from nvflare.apis.dxo import DXO, DataKind, MetaKey
from nvflare.apis.event_type import EventType
from nvflare.apis.fl_constant import ReservedKey
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable
from nvflare.app_common.aggregators.intime_accumulate_model_aggregator import InTimeAccumulateWeightedAggregator
from nvflare.app_common.app_constant import AppConstants

from flareseg.fedgs import CumulativeUpdate, ExactSum

MODELS = [2_000_000, 30_000_000, 100_000_000]  # parameters
# Bytes an exact accumulation moves for a float32 element: the element, and the float64 sum, read and written.
BYTES_PER_ELEMENT = 4 + 8 + 8


def run(repeats: int = 5, models: list[int] | None = None) -> list[dict]:
    rows = site(steps=40)
    for parameters in MODELS if models is None else models:
        rows += server(parameters, repeats)
    return rows


def site(steps: int) -> list[dict]:
    """A training step of the default network with and without the accumulation."""
    torch.manual_seed(0)
    x, y = torch.rand(8, 1, 112, 96), (torch.rand(8, 1, 112, 96) > 0.7).float()
    loss = DiceLoss(sigmoid=True)
    net = UNet(2, 1, 1, (16, 32, 64, 128), (2, 2, 2), num_res_units=2)
    nets = [net, copy.deepcopy(net), copy.deepcopy(net)]
    plain, *watched = [torch.optim.AdamW(n.parameters(), lr=1e-3) for n in nets]
    without, with_small = (CumulativeUpdate(optimizer) for optimizer in watched)

    def task(net: torch.nn.Module, step: Callable[[], None]) -> Callable[[], None]:
        def train() -> None:
            net.zero_grad()
            loss(net(x), y).backward()
            step()

        return train

    plain_step, without_step, with_step = in_turn(
        [task(nets[0], plain.step), task(nets[1], without.step), task(nets[2], lambda: with_small.step(2.0))], steps
    )
    return [
        row("site: step without small targets", "UNet 8x1x112x96", without_step, plain_step, 1.03),
        row("site: step with small targets", "UNet 8x1x112x96", with_step, plain_step, 1.06),
    ]


def server(parameters: int, repeats: int) -> list[dict]:
    """Accepting one contribution of float32 arrays, shaped like a network's: few large, many small."""
    rng = np.random.default_rng(0)
    large = parameters // 25
    model = {f"layer{i}": rng.standard_normal(large, dtype=np.float32) * 1e-2 for i in range(24)}
    model |= {f"norm{i}": rng.standard_normal(large // 100, dtype=np.float32) for i in range(100)}
    elements = sum(array.size for array in model.values())
    source = np.ones(elements, dtype=np.float32)
    target = np.zeros_like(source)
    total = ExactSum(model)
    peer, context, submit = nvflare_aggregator(model)

    def accept() -> None:
        if not peer.accept(submit(), context):
            raise RuntimeError("NVFlare's aggregator refused the contribution: nothing to compare with.")

    logging.disable(logging.CRITICAL)  # NVFlare's has no engine here, and says so each time
    ours, copying, theirs = in_turn([lambda: total.add(model, 12), lambda: np.copyto(target, source), accept], repeats)
    logging.disable(logging.NOTSET)
    bandwidth = 2 * source.nbytes / copying
    at_35_percent = elements * BYTES_PER_ELEMENT / (0.35 * bandwidth)
    size = f"{elements / 1e6:.0f} M"
    return [
        row("server: accept at 35 % of copy bandwidth", size, ours, at_35_percent, 1.0),
        row("server: accept at 0.6 of NVFlare's speed", size, ours, theirs, 1 / 0.6),
    ]


def nvflare_aggregator(model: dict) -> tuple[InTimeAccumulateWeightedAggregator, FLContext, Callable[[], Shareable]]:
    peer = InTimeAccumulateWeightedAggregator(expected_data_kind=DataKind.WEIGHT_DIFF)
    context = FLContext()
    context.set_prop(AppConstants.CURRENT_ROUND, 0, private=True, sticky=False)
    peer.handle_event(EventType.START_RUN, context)
    sites = iter(range(1_000_000))

    def submit() -> Shareable:
        shareable = DXO(DataKind.WEIGHT_DIFF, data=model, meta={MetaKey.NUM_STEPS_CURRENT_ROUND: 12}).to_shareable()
        shareable.add_cookie(AppConstants.CONTRIBUTION_ROUND, 0)
        shareable.set_peer_props({ReservedKey.IDENTITY_NAME: f"site-{next(sites)}"})
        return shareable

    return peer, context, submit


def row(name: str, size: str, ours: float, reference: float, target: float) -> dict:
    ratio = ours / reference
    return {
        "name": name,
        "size": size,
        "ours_s": ours,
        "reference_s": reference,
        "ratio": ratio,
        "target": target,
        "met": ratio <= target,
    }


def in_turn(tasks: list[Callable[[], object]], repeats: int) -> list[float]:
    """Median seconds of each task, the tasks run in alternation after one round to warm up."""
    times: list[list[float]] = [[] for _ in tasks]
    for repeat in range(repeats + 1):
        for task, taken in zip(tasks, times, strict=True):
            start = time.perf_counter()
            task()
            if repeat:
                taken.append(time.perf_counter() - start)
    return [statistics.median(taken) for taken in times]


if __name__ == "__main__":
    for result in run():
        print(
            "{name:42} {size:16} {ours_s:8.4f} s {reference_s:8.4f} s {ratio:6.3f} (target {target:.3f})".format(
                **result
            )
        )
