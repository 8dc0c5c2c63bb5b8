"""The parts of gate, ledger and TLS log that need no federation."""

from __future__ import annotations

import ssl
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from nvflare.apis.analytix import AnalyticsDataType
from nvflare.apis.dxo import DXO, DataKind, from_shareable
from nvflare.apis.event_type import EventType
from nvflare.apis.fl_constant import EventScope, FLContextKey, ReservedKey, ReturnCode
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import make_reply
from nvflare.apis.utils.analytix_utils import create_analytic_dxo
from nvflare.app_common.app_constant import AppConstants
from nvflare.fuel.sec.audit import Auditor, AuditService
from nvflare.fuel.sec.authz import AuthzContext, Person

from flareseg.flare.names import Header
from flareseg.flare.safeguards.gate import is_number
from flareseg.flare.safeguards.refusal_audit import audited
from flareseg.flare.safeguards.tls_log import reason
from flareseg.flare.site.ledger import SiteLedger
from flareseg.privacy.ledger import LEDGER_FILE, read_ledger
from flareseg.record.messages import check_meta


@pytest.mark.parametrize(
    ("tag", "value", "fits"),
    [
        ("train/loss", 0.5, True),
        ("train/loss", 3, True),
        ("x" * 101, 0.5, False),
        ("", 0.5, False),
        ("a\nb", 0.5, False),
        ("loss", float("nan"), False),
        ("loss", "Doe^Jane", False),
        ("loss", {"a": 1.0}, False),
    ],
)
def test_a_curve_is_one_named_number(tag: str, value: Any, fits: bool) -> None:
    dxo = create_analytic_dxo(tag="t", value=0.5, data_type=AnalyticsDataType.SCALAR)
    dxo.data["track_key"], dxo.data["track_value"] = tag, value
    assert is_number(dxo.to_shareable()) == fits


@pytest.mark.parametrize(
    "meta",
    [
        {"a": "x" * 1001},
        {"a": 1 << 65},
        {"a": [1]},
        {"a": {"b": {"c": 1}}},
        {"a": {str(number): 1.0 for number in range(101)}},
        {str(number): 1 for number in range(101)},
        {"x" * 1001: 1},
        {"a": object()},
    ],
)
def test_what_stands_beside_an_update_is_bounded(meta: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="beside the update"):
        check_meta(meta)


def test_a_plain_meta_passes() -> None:
    check_meta({"steps": 3, "scale": 1.5, "none": None, "flag": True, "metrics": {"val_dice": 0.5}, "algorithm": "x"})


class Site:
    """A context as NVFlare gives it to the components of a job's process."""

    def __init__(self, root: Path) -> None:
        self.root = root
        workspace = SimpleNamespace(get_root_dir=lambda: str(root))
        self.context = FLContext()
        self.context.set_prop(ReservedKey.ENGINE, SimpleNamespace(get_workspace=lambda: workspace))
        self.context.set_prop(ReservedKey.RUN_NUM, "job-1")
        self.context.set_prop(FLContextKey.TASK_NAME, "train")
        self.ledger = SiteLedger()

    def result(self, result: Any, round_number: int = 2) -> None:
        data = make_reply(ReturnCode.OK)
        data.set_header(AppConstants.CURRENT_ROUND, round_number)
        self.context.set_prop(FLContextKey.TASK_DATA, data)
        self.ledger.handle_event(EventType.BEFORE_TASK_EXECUTION, self.context)
        self.context.set_prop(FLContextKey.TASK_RESULT, result)
        self.ledger.handle_event(EventType.AFTER_TASK_RESULT_FILTER, self.context)


def test_the_ledger_tells_kind_round_and_norm(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.result(DXO(DataKind.WEIGHT_DIFF, data={"w": np.array([3.0, 4.0])}).to_shareable())
    failure = make_reply(ReturnCode.EXECUTION_EXCEPTION)
    failure.set_header(Header.ERROR, {"code": "NO_DATA", "case": None})
    site.result(failure)
    first, second = read_ledger(tmp_path / LEDGER_FILE)
    assert (first.job, first.task, first.round, first.kind, first.norm) == ("job-1", "train", 2, "WEIGHT_DIFF", 5)
    assert (second.kind, second.norm) == ("error NO_DATA", None)


def test_events_to_the_server_are_written_down_and_local_ones_not(tmp_path: Path) -> None:
    site = Site(tmp_path)
    event = create_analytic_dxo(tag="loss", value=0.5, data_type=AnalyticsDataType.SCALAR).to_shareable()
    for scope in (EventScope.LOCAL, EventScope.FEDERATION):
        site.context.set_prop(FLContextKey.EVENT_DATA, event, sticky=False)
        site.context.set_prop(FLContextKey.EVENT_SCOPE, scope, sticky=False)
        site.ledger.handle_event("fed.analytix_log_stats", site.context)
    (entry,) = read_ledger(tmp_path / LEDGER_FILE)
    assert entry.kind == "fed.analytix_log_stats"


def test_what_cannot_be_written_down_does_not_leave(tmp_path: Path) -> None:
    site = Site(tmp_path)
    (tmp_path / LEDGER_FILE).mkdir()
    result = DXO(DataKind.WEIGHT_DIFF, data={"w": np.array([3.0])}).to_shareable()
    site.result(result)
    assert result.get_return_code() == ReturnCode.EXECUTION_EXCEPTION
    assert result.get_header(Header.ERROR) == {"code": "NO_LEDGER", "case": None}
    with pytest.raises(ValueError, match="not a valid DXO"):
        from_shareable(result)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: certificate has expired", "past its date"),
        ("certificate verify failed: self-signed certificate in certificate chain", "of another CA"),
        ("certificate verify failed: unable to get local issuer certificate (_ssl.c:1006)", "of another CA"),
        ("[SSL: PEER_DID_NOT_RETURN_A_CERTIFICATE] peer did not return a certificate", "no certificate was shown"),
        ("[SSL: SOMETHING_NEW]\nforged line", r"[SSL: SOMETHING_NEW]\nforged line"),
    ],
)
def test_a_refused_handshake_in_words(text: str, words: str) -> None:
    assert words in reason(ssl.SSLError(1, text))


@pytest.mark.parametrize("allowed", [True, False])
def test_a_refused_command_stands_in_the_audit_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, allowed: bool
) -> None:
    auditor = Auditor(str(tmp_path / "audit.log"))
    monkeypatch.setattr(AuditService, "the_auditor", auditor)
    context = AuthzContext("abort_job", Person("b", "y", "lead"), Person("a", "x", "lead"))
    assert audited(lambda context: (allowed, ""))(context) == (allowed, "")
    auditor.close()
    text = (tmp_path / "audit.log").read_text()
    assert ("[U:b][A:abort_job.refused]b (lead of y) may not abort_job here on what a submitted" in text) != allowed
