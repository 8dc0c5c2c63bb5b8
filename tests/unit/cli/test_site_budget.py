"""``flareseg site budget``: what a site's jobs have spent."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from flareseg.cli.site import app
from flareseg.flare.provision.policy import PRIVACY
from flareseg.privacy.budget import Budget
from flareseg.privacy.scopes import DifferentialPrivacy, load_scope


def test_the_budget_of_a_kit(tmp_path: Path) -> None:
    (tmp_path / "local").mkdir()
    (tmp_path / "local/privacy.json").write_text(json.dumps(PRIVACY))
    spent = Budget.of_site(tmp_path, load_scope(tmp_path / "local/privacy.json", DifferentialPrivacy))
    spent.spend("2c3e0000-first", 0.04, 20)
    epsilon = spent.spend("9f000000-second", 0.04, 30)
    shown = CliRunner().invoke(app, ["budget", "--kit", str(tmp_path)], env={"COLUMNS": "200"})
    assert shown.exit_code == 0
    assert f"ε = {epsilon:.3f} of 8 spent, at δ = 1e-05." in shown.output
    assert "2c3e0000" in shown.output
    assert "first" not in shown.output
