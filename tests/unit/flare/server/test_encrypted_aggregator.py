"""NVFlare's filters and aggregator for ciphertexts, with the arguments of a kit's privacy.json and our checks."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tenseal
import yaml
from nvflare.apis.dxo import DXO, DataKind, MetaKey, from_shareable
from nvflare.apis.event_type import EventType
from nvflare.apis.fl_constant import FLContextKey, ReservedKey
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import ReservedHeaderKey, Shareable
from nvflare.app_common.abstract.model import ModelLearnableKey, make_model_learnable
from nvflare.app_common.app_constant import AppConstants
from nvflare.app_common.app_event_type import AppEventType
from nvflare.app_opt.he.model_decryptor import HEModelDecryptor
from nvflare.app_opt.he.model_encryptor import HEModelEncryptor
from nvflare.app_opt.he.model_shareable_generator import HEModelShareableGenerator
from nvflare.lighter.impl.he import HEBuilder

import flareseg
from flareseg.config.task import Task
from flareseg.flare.names import Header, Prop
from flareseg.flare.provision.policy import privacy
from flareseg.flare.server.encrypted_aggregator import EncryptedAggregator
from flareseg.flare.server.persistor import SegmentationModelPersistor
from flareseg.networks import initial_state
from flareseg.privacy.ledger import Digest
from flareseg.record.model_file import payload_bytes, to_numpy, to_torch, to_torch_like

STEPS = {"a": 3, "b": 1}


class Server:
    """The server's components of jobs/fedgs-encrypted, and the filters of its sites."""

    def __init__(self, folder: Path, content: dict[str, Any]) -> None:
        self.task = Task.model_validate(content)
        (folder / "task.yaml").write_text(yaml.safe_dump(content))
        builder = HEBuilder()
        builder.initialize(None, None)
        keys, public = (tenseal.context_from(builder.get_serialized_context(is_client=own)) for own in (True, False))
        workspace = SimpleNamespace(
            get_app_config_dir=lambda job: str(folder),
            get_site_config_dir=lambda: str(folder),
            get_run_dir=lambda job: str(folder),
        )
        self.panics: list[str] = []
        self.recorder = SimpleNamespace(
            current=SimpleNamespace(expected=["a", "b"], accepted=[]), keep=lambda *noted: None
        )
        self.engine = SimpleNamespace(
            get_workspace=lambda: workspace,
            fire_event=self._event,
            get_component=lambda name: self.recorder,
            get_clients=lambda: list(STEPS),
        )
        scope = privacy(keys=True, site=True)["scopes"][-1]
        self.encryptor = HEModelEncryptor(**scope["task_result_filters"][0]["args"])
        self.decryptor = HEModelDecryptor(**scope["task_data_filters"][0]["args"])
        self.encryptor.tenseal_context = self.decryptor.tenseal_context = keys
        self.generator = HEModelShareableGenerator()
        self.generator.tenseal_context = public
        self.state = to_numpy(initial_state(self.task))
        self.model = make_model_learnable({k: v.copy() for k, v in self.state.items()}, {})
        self.aggregator = EncryptedAggregator()
        self.aggregator.handle_event(EventType.START_RUN, self.context("a"))
        self.aggregator.handle_event(AppEventType.ROUND_STARTED, self.context("a"))

    def _event(self, event_type: str, fl_ctx: FLContext) -> None:
        if event_type == EventType.FATAL_SYSTEM_ERROR:
            self.panics.append(fl_ctx.get_prop(FLContextKey.EVENT_DATA))

    def context(self, site: str) -> FLContext:
        peer = FLContext()
        peer.set_prop(ReservedKey.IDENTITY_NAME, site, private=False, sticky=False)
        fl_ctx = FLContext()
        for key, value in {
            ReservedKey.ENGINE: self.engine,
            ReservedKey.RUN_NUM: "job",
            FLContextKey.PEER_CONTEXT: peer,
            AppConstants.CURRENT_ROUND: 0,
            AppConstants.GLOBAL_MODEL: getattr(self, "model", None),
        }.items():
            fl_ctx.set_prop(key, value, private=True, sticky=False)
        return fl_ctx

    def update(self, site: str) -> dict[str, np.ndarray]:
        rng = np.random.default_rng(ord(site))
        return {name: rng.normal(0, 0.1, value.shape).astype(np.float32) for name, value in self.state.items()}

    def contribution(self, site: str, encrypt: bool = True) -> Shareable:
        meta = {MetaKey.NUM_STEPS_CURRENT_ROUND: STEPS[site], "mean_scale": 1.5}
        shareable = DXO(DataKind.WEIGHT_DIFF, data=self.update(site), meta=meta).to_shareable()
        shareable.set_header(Header.VERSION, flareseg.__version__)
        shareable.set_header(Header.TASK_DIGEST, self.task.digest())
        shareable.add_cookie(AppConstants.CONTRIBUTION_ROUND, 0)
        shareable.set_header(ReservedHeaderKey.PEER_PROPS, {ReservedKey.IDENTITY_NAME: site})
        return self.encryptor.process(shareable, self.context(site)) if encrypt else shareable

    def accept(self, site: str, shareable: Shareable) -> str | None:
        """Let the server take a contribution; gives the reason of a refusal."""
        fl_ctx = self.context(site)
        if self.aggregator.accept(shareable, fl_ctx):
            self.recorder.current.accepted.append(site)
            return None
        return str(fl_ctx.get_prop(Prop.REFUSAL))


@pytest.fixture
def server(tmp_path: Path, task_content: dict[str, Any]) -> Server:
    return Server(tmp_path, task_content)


def test_the_mean_is_that_of_plain_updates_and_a_kept_model_opens_with_a_site_s_key(server: Server) -> None:
    for site in STEPS:
        assert server.accept(site, server.contribution(site)) is None
    fl_ctx = server.context("a")
    model = server.generator.shareable_to_learnable(server.aggregator.aggregate(fl_ctx), fl_ctx)
    assert payload_bytes(model[ModelLearnableKey.WEIGHTS]) > 5 * payload_bytes(server.state)
    persistor = SegmentationModelPersistor()
    persistor.save_model(model, fl_ctx)
    kept = persistor.get_model("last", fl_ctx)
    sent = DXO(DataKind.WEIGHTS, kept[ModelLearnableKey.WEIGHTS], kept[ModelLearnableKey.META]).to_shareable()
    opened = to_torch_like(from_shareable(server.decryptor.process(sent, fl_ctx)).data, initial_state(server.task))
    for name, value in server.state.items():
        mean = (3 * server.update("a")[name].astype(np.float64) + server.update("b")[name]) / 4
        assert np.allclose(opened[name].numpy(), value + mean, atol=1e-6)


def test_a_checkpoint_holds_ciphertexts_and_gives_them_back(server: Server) -> None:
    for site in STEPS:
        server.accept(site, server.contribution(site))
    fl_ctx = server.context("a")
    model = server.generator.shareable_to_learnable(server.aggregator.aggregate(fl_ctx), fl_ctx)
    persistor = SegmentationModelPersistor()
    persistor.save_model(model, fl_ctx)
    kept = persistor.get_model("last", fl_ctx)[ModelLearnableKey.WEIGHTS]
    checkpoint = to_torch(model[ModelLearnableKey.WEIGHTS])  # as CheckpointKeeper does after each round
    persistor.write("last", to_numpy(checkpoint), 1, fl_ctx)
    assert persistor.get_model("last", fl_ctx)[ModelLearnableKey.WEIGHTS] == kept
    assert persistor.load_model(fl_ctx)[ModelLearnableKey.META][MetaKey.PROCESSED_ALGORITHM] == "CKKS"
    assert {type(value) for value in kept.values()} == {bytes}


def test_the_ledger_knows_a_ciphertext_from_another(server: Server) -> None:
    one, other = (from_shareable(server.contribution("a")).data for _ in range(2))
    entries = [Digest(one), Digest(one), Digest(other)]
    assert entries[0].sha256 == entries[1].sha256 != entries[2].sha256
    assert entries[0].size >= payload_bytes(one)


def test_a_plain_update_is_refused(server: Server) -> None:
    assert server.accept("a", server.contribution("a", encrypt=False)) == "a part of the update is not encrypted"


def test_an_update_with_one_plain_part_is_refused(server: Server) -> None:
    contribution = server.contribution("a")
    data = from_shareable(contribution).data
    name = next(iter(data))
    data[name] = server.update("a")[name].ravel()
    assert server.accept("a", contribution) == "a part of the update is not encrypted"


def test_an_update_of_another_size_is_refused(server: Server) -> None:
    contribution = server.contribution("a")
    data = from_shareable(contribution).data
    data[next(iter(data))] = tenseal.ckks_vector(server.encryptor.tenseal_context, [1.0] * 3)
    assert server.accept("a", contribution) == "expected a ciphertext of each parameter, of its size"


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        (MetaKey.FILTER_HISTORY, ["x"] * 101, "short list of filters"),
        (MetaKey.FILTER_HISTORY, [["x"]], "short list of filters"),
        (MetaKey.PROCESSED_KEYS, {"other": True}, "the update's names"),
        (MetaKey.PROCESSED_KEYS, ["x"], "the update's names"),
    ],
)
def test_what_filters_write_beside_an_update_is_checked(server: Server, key: str, value: Any, reason: str) -> None:
    contribution = server.contribution("a")
    dxo = from_shareable(contribution)
    dxo.set_meta_prop(key, value)
    assert reason in str(server.accept("a", dxo.update_shareable(contribution)))


def test_a_second_contribution_is_refused(server: Server) -> None:
    assert server.accept("a", server.contribution("a")) is None
    assert server.accept("a", server.contribution("a")) == "a second contribution in one round"


def test_the_mean_of_some_is_never_made(server: Server) -> None:
    """Whoever holds the key could read the only contribution off it."""
    assert server.accept("a", server.contribution("a")) is None
    result = server.aggregator.aggregate(server.context("a"))
    assert server.panics == ["round 0: no contribution of b: encrypted updates are added up of all sites or not at all"]
    assert all(
        value is server.model[ModelLearnableKey.WEIGHTS][name] for name, value in from_shareable(result).data.items()
    )


@pytest.mark.parametrize("change", [{"aggregation": {"server_momentum": 0.5}}])
def test_what_needs_plain_updates_ends_the_job_at_its_start(
    tmp_path: Path, task_content: dict[str, Any], change: dict[str, Any]
) -> None:
    assert "server_momentum" in Server(tmp_path, task_content | change).panics[0]
