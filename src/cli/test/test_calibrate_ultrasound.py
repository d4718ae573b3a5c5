"""`lodestone calibrate ultrasound` on recordings of a fan that is known."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from lodestone_cli.main import app
from us_motion.frame_geometry import Fan, FanConfig
from us_motion.ultrasound_calibration import UltrasoundCalibration, parse_ultrasound_calibration

TRUE = {name: FanConfig(depth, (spacing,) * 2, (199.5, 4.0 - 38.97 / spacing), 45.0, -math.pi / 6, math.pi / 6)
        for name, depth, spacing in (("d150", 150.0, 0.5), ("d100", 100.0, 0.37))}  # fmt: skip


@pytest.fixture
def recordings(tmp_path: Path) -> dict[str, Path]:
    """A folder of pictures for each depth, in a video of 640 x 480 with letters beside the image."""
    rng = np.random.default_rng(0)
    for name, config in TRUE.items():
        (tmp_path / name).mkdir()
        mask = Fan(config, (400, 320)).mask
        for number in range(12):
            image = np.zeros((480, 640), np.uint8)
            image[60:380, 100:500][mask] = np.clip(rng.rayleigh(60.0, int(mask.sum())), 0, 255)
            cv2.putText(image, name, (520, 40), cv2.FONT_HERSHEY_SIMPLEX, 0.7, 220, 2)
            cv2.imwrite(str(tmp_path / name / f"{number:03d}.png"), image)
    return {name: tmp_path / name for name in TRUE}


def called(*words: Any) -> Any:
    return CliRunner().invoke(app, ["calibrate", "ultrasound", *map(str, words)])


def read(path: Path) -> UltrasoundCalibration:
    return parse_ultrasound_calibration(path.read_text(), str(path), "bench_1")[0]


def test_two_depths_end_in_one_file_and_are_those_that_were_drawn(recordings: dict[str, Path], tmp_path: Path) -> None:
    first, both = tmp_path / "first.yaml", tmp_path / "both.yaml"
    given = ("--rig", "bench_1", "--face-radius", 45.0)
    # 200 px apart are 100 mm at this depth.
    result = called(recordings["d150"], *given, "--depth", 150, "--preset", "d150", "--crop", "100,60,400,320", "-o", first,
                    "--target", "100,100,300,100=100")  # fmt: skip
    assert result.exit_code == 0, result.output
    result = called(recordings["d100"], *given, "--depth", 100, "--preset", "d100", "--add-to", first, "-o", both)
    assert result.exit_code == 0, result.output
    found = read(both)
    assert found.frame_px == (640, 480) and found.crop_px == (100, 60, 400, 320) and set(found.presets) == set(TRUE)
    for name, config in TRUE.items():
        assert found.presets[name].spacing_mm == pytest.approx(config.spacing_mm, rel=0.006)
        assert found.presets[name].apex_px == pytest.approx(config.apex_px, abs=2.0)
    assert len(parse_ultrasound_calibration(both.read_text(), "both", "bench_1")[1].inputs) == 2


def test_targets_alone_give_the_size_of_a_pixel_and_with_it_the_depth(recordings: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "out.yaml"
    given = ("--rig", "bench_1", "--preset", "d150", "--face-radius", 45.0, "--crop", "100,60,400,320", "-o", out)
    assert "or --target" in " ".join(called(recordings["d150"], *given).output.split())
    result = called(recordings["d150"], *given, "--target", "100,100,300,100=100", "--target", "150,80,150,280=100.4")
    assert result.exit_code == 0, result.output
    found = read(out).presets["d150"]
    assert found.spacing_mm == pytest.approx((0.501, 0.501)) and found.depth_mm == pytest.approx(150.0, abs=1.5)


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (("--target", "100,100,300,100=60"), "size of a pixel"),
        (("--target", "100,100=60"), "--target"),
        (("--crop", "500,60,400,320"), "--crop"),
        (("--crop", "1,2"), "--crop"),
    ],
)
def test_what_contradicts_is_named_and_nothing_is_written(recordings: dict[str, Path], tmp_path: Path, words: Any, names: str) -> None:
    out = tmp_path / "out.yaml"
    crop = () if "--crop" in words else ("--crop", "100,60,400,320")
    given = ("--rig", "bench_1", "--depth", 150, "--preset", "d150", "--face-radius", 45.0, "-o", out, *crop)
    result = called(recordings["d150"], *given, *words)
    assert result.exit_code != 0 and names in " ".join((result.output + str(result.exception)).split()) and not out.exists()


def test_a_file_of_another_bench_or_an_empty_recording_is_refused(recordings: dict[str, Path], tmp_path: Path) -> None:
    first = tmp_path / "first.yaml"
    given = ("--face-radius", 45.0, "--depth", 150)
    assert called(recordings["d150"], *given, "--rig", "bench_2", "--preset", "a", "--crop", "100,60,400,320", "-o", first).exit_code == 0
    refused = called(recordings["d150"], *given, "--rig", "bench_1", "--preset", "b", "--add-to", first, "-o", tmp_path / "x.yaml")
    assert refused.exit_code != 0 and "bench_2" in refused.output + str(refused.exception)
    (tmp_path / "none").mkdir()
    assert called(tmp_path / "none", *given, "--rig", "bench_1", "--preset", "b", "-o", tmp_path / "x.yaml").exit_code != 0
