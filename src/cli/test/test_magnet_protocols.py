"""`lodestone calibrate magnetometers`, and the two protocols about the array, in small."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from guidewire_recon.drivers.calibrated import read_calibration
from lodestone_bench.magnetics.calibration_scene import CalibrationScene, SceneConfig, Taken
from lodestone_cli.main import app
from lodestone_cli.protocols import magnetometer_calibration
from lodestone_cli.protocols.array_scenes import BAD
from lodestone_core.results import load_protocol

PROTOCOLS = Path(__file__).parents[3] / "evaluation" / "protocols"
SMALL = {"turns": 280, "holes": 4, "dwell": 4, "still": 40, "warm_up": 130}


def save(path: Path, taken: Taken) -> str:
    poses = {} if taken.T_array_magnet is None else {"T_array_magnet": taken.T_array_magnet}
    np.savez(path, counts=taken.counts, temperature_degc=taken.temperature_degc, array_id=1, **poses)  # type: ignore[arg-type]
    return str(path)


def test_the_command_writes_a_calibration_that_the_driver_takes(tmp_path: Path) -> None:
    scene = CalibrationScene({}, SceneConfig(**SMALL), 7)  # type: ignore[arg-type]
    words = ["calibrate", "magnetometers", "--rig", "my_bench", "--out", str(tmp_path / "out.yaml")]
    for name in ("rotation", "magnet", "background", "warm_up"):
        words += [f"--{name.replace('_', '-')}", save(tmp_path / f"{name}.npz", getattr(scene, name)())]
    refused = CliRunner().invoke(app, words)
    assert refused.exit_code == 2 and "known field or a known magnet" in refused.output
    (tmp_path / "config.yaml").write_text(f"field_strength_t: {scene.earth_T}\n")
    words += ["--config", str(tmp_path / "config.yaml")]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    file, calibration = read_calibration(tmp_path / "out.yaml", "my_bench")
    assert np.linalg.norm(calibration.position_mm - scene.array.position_mm, axis=1).max() < 0.15
    assert file.devices == ("array 1, 16 sensors",) and len(file.inputs) == 5
    assert 0.0 < file.figures["position_sigma"]["value"] < 0.1
    again = CliRunner().invoke(app, words)
    assert again.exit_code == 2 and "one that exists" in again.output


def test_the_calibration_protocol_scores_two_arrays(tmp_path: Path) -> None:
    protocol = load_protocol(PROTOCOLS / "magnetometer_calibration.yaml")
    protocol["settings"] = {**protocol["settings"], "seeds": 2, "fields": 10}
    protocol["settings"]["scene"] = {**protocol["settings"]["scene"], **SMALL}
    result = magnetometer_calibration.run(protocol, {}, tmp_path)
    figures = {(row.case, row.metric): row.value for row in result.rows}
    assert figures[magnetometer_calibration.MAIN, "field_error_ratio"] < 0.02
    assert figures[magnetometer_calibration.MAIN, "position_rms"] < 0.1
    assert [figures[name, "accepted"] for name in BAD] == [0.0] * len(BAD)
    assert figures["rotation and warm-up alone", "position_rms"] > 1.0


def test_a_calibration_that_fails_counts_as_infinitely_wrong() -> None:
    scores = magnetometer_calibration.Scores(np.ones(2), np.array([0.01, np.inf]), np.full(4, np.inf), np.full(4, np.inf), np.zeros(4))
    rows = {row.metric: row.value for row in magnetometer_calibration._rows("case", scores, 0, 2)}
    assert rows["field_error_ratio"] == np.inf and rows["position_rms"] == np.inf and rows["coverage_95"] == 0.0


@pytest.mark.parametrize("name", ["magnetometer_calibration", "magnet_localisation"])
def test_the_limits_are_those_of_the_issue(name: str) -> None:
    entries = load_protocol(PROTOCOLS / f"{name}.yaml")["thresholds"]
    limits = {(t["metric"], t.get("case", "")): t.get("max", t.get("min")) for t in entries}
    main, split = magnetometer_calibration.MAIN, "data1 -> data2"
    expected = {
        "magnetometer_calibration": {("field_error_ratio", main): 0.05, ("position_rms", main): 0.1},
        "magnet_localisation": {("position_median", split): 0.2, ("position_p95", split): 0.45},
    }
    assert expected[name].items() <= limits.items()
