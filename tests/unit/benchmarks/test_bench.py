from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from benchmarks.__main__ import main


@pytest.mark.parametrize(
    ("case", "name"),
    [
        ("gin", "GIN beside a training step"),
        pytest.param("site", "FedGS at a site: peak memory", marks=pytest.mark.slow),
        pytest.param("server", "accepting beside NVFlare's aggregator", marks=pytest.mark.slow),
        ("preparing", "Preprocessing a volume"),
    ],
)
def test_quick_run_writes_valid_json(case: str, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "new" / "bench.json"
    assert main(["--quick", case, "--output", str(output)]) == 0
    content = json.loads(output.read_text())
    assert content["quick"] is True
    assert {"cpu", "cores", "torch_threads", "versions"} <= content["machine"].keys()
    assert content["rows"]
    for row in content["rows"]:
        assert row["case"] == case
        if row["ours"] is None:
            assert row["met"] is None
            assert row["limit"].startswith("not run")
        else:
            assert math.isclose(row["ratio"], row["ours"] / row["reference"])
            assert row["met"] == (None if row["target"] is None else row["ratio"] <= row["target"])
            assert row["met"] is not False or row["limit"]
    assert any(name in row["name"] for row in content["rows"])
    assert case in capsys.readouterr().out.split()


def test_unknown_case_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["nothing"])
    assert "no such case: nothing; there are gin, site, server, job, wire" in capsys.readouterr().err
