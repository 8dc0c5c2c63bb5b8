"""A run once more in plain code, from its record: the same sites in the same rounds give the same bits."""

from __future__ import annotations

import torch

from faults.ward import Ward
from flareseg.aggregation import ServerMomentum
from flareseg.config.site import load_site
from flareseg.config.task import Task
from flareseg.data.site_data import SiteData
from flareseg.learning.learner import Learner
from flareseg.networks import initial_state
from flareseg.networks.state import State
from flareseg.record.run import RunRecord
from plain_round import plain_round


def replay(ward: Ward, record: RunRecord) -> State:
    """Global weights after the record's rounds, computed without NVFlare from the same sites' data.

    A site whose result came late or was refused has trained all the same: its local parameters moved on.
    """
    task = Task.model_validate(record.task)
    state = initial_state(task)
    momentum = ServerMomentum(task.aggregation.server_momentum)
    learners = {}
    for name in record.rounds[0].expected:
        site = load_site(ward.kit(name) / "local" / "site.yaml")
        learners[name] = Learner(task, SiteData(task, site, ward.kit(name) / "cache"), name)
    for item in record.rounds:
        trained = [*item.accepted, *item.refused, *item.late]
        results = {name: learners[name].train(state, item.round) for name in sorted(trained)}
        state = plain_round(task, state, (results[name] for name in item.accepted), momentum)
    return state


def same(state: State, other: State) -> bool:
    """Equal to the last bit."""
    return state.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in state.items())
