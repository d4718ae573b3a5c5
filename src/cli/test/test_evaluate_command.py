"""`lodestone evaluate` prints the table, writes the result, and exits 1 when a limit is missed."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
from pathlib import Path

import pytest
import yaml

from lodestone_cli.benchmarks import BENCHMARKS
from lodestone_cli.checkout import find_checkout
from lodestone_cli.commands import evaluate
from lodestone_cli.recordings.places import data_folder
from lodestone_core.errors import InputError


def test_settings_name_an_input_and_a_path() -> None:
    assert evaluate.parse_settings(["inputs.poses=my/poses", "inputs.a=b=c"]) == {"poses": Path("my/poses"), "a": Path("b=c")}


@pytest.mark.parametrize("word", ["poses=x", "inputs.poses", "inputs.=x", "inputs.poses=", ""])
def test_any_other_setting_is_refused(word: str) -> None:
    with pytest.raises(InputError, match=r"expected inputs\.NAME=PATH"):
        evaluate.parse_settings([word])


def test_every_protocol_of_the_repository_has_a_runner() -> None:
    checkout = find_checkout(Path(__file__))
    assert checkout is not None
    for path in (checkout / "evaluation" / "protocols").glob("*.yaml"):
        name = yaml.safe_load(path.read_text())["protocol"]
        module, _, function = evaluate.PROTOCOLS[name].partition(":")
        if name in BENCHMARKS:
            # They listen on DDS; what they do is tested with ROS.
            assert importlib.util.find_spec(module) is not None
        else:
            assert callable(getattr(importlib.import_module(module), function))


@pytest.mark.data
@pytest.mark.parametrize(("limit_mm", "code"), [(10.0, 0), (0.001, 1)])
def test_the_exit_code_says_whether_the_limits_were_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], limit_mm: float, code: int
) -> None:
    folder = data_folder(os.environ)
    if not (folder / "pointer_pivot").is_dir():
        pytest.skip(f"no {folder / 'pointer_pivot'}")
    limit = {"method": "robust", "metric": "rms_inliers", "unit": "mm", "max": limit_mm}
    protocol = {"protocol": "pointer_pivot", "seed": 0, "inputs": {"poses": "elsewhere"}, "methods": ["robust"], "thresholds": [limit]}
    (tmp_path / "p.yaml").write_text(yaml.safe_dump(protocol))
    out = tmp_path / "out"
    settings = [f"inputs.poses={folder / 'pointer_pivot'}"]
    assert evaluate.run(tmp_path / "p.yaml", None, settings, out) == code
    rows = json.loads((out / "result.json").read_text())["rows"]
    assert any(row["metric"] == "rms_inliers" for row in rows)
    assert (out / "report.html").is_file()
    assert "rms_inliers" in capsys.readouterr().out
