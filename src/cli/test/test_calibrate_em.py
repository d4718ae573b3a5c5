"""`lodestone calibrate em`: its files, its picture, and what it refuses; the walk itself is tested in em_registration."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from em_registration.calibration.config import CalibrationConfig
from em_registration.calibration.guide import PointsGuide, ToolAndTip
from em_registration.config import RegistrationConfig, SessionConfig
from em_registration.session import Session
from em_registration.types import Fiducial
from lodestone_cli.calibration.inputs import read_points, read_tool, read_volume
from lodestone_cli.calibration.view import picture
from lodestone_cli.commands.calibrate_em import Options, run
from lodestone_core import se3
from lodestone_core.errors import InputError
from lodestone_core.types import ToolSample, ToolStatus, TrackedFrame

POINTS = {f"p{i}": point for i, point in enumerate(np.random.default_rng(1).uniform(-80.0, 80.0, (12, 3)))}


def options(folder: Path, *words: str, **changes: object) -> Options:
    given = {"bag": None, "points": None, "tool": "", "tip": None, "volume": "", "config": None, "duration_s": 1.0, **changes}
    return Options(words, out=folder / "registration.yaml", **given)  # type: ignore[arg-type]


def test_the_picture_shows_the_next_place_the_covered_cells_and_the_predicted_error() -> None:
    guide = PointsGuide(CalibrationConfig(), RegistrationConfig(session=SessionConfig(samples=4)), POINTS, ToolAndTip("0"))
    before = shown(guide)
    assert "not known yet" in before
    assert "rest the tip on p" in before
    number = 0
    for i, point in enumerate(POINTS.values()):
        guide._touched.expected = f"p{i}"
        for T in [se3.make(np.eye(3), point + 30.0), *[se3.make(np.eye(3), point)] * 8]:
            number += 1
            guide.add_frame(TrackedFrame(number * 25_000_000, 0, number, (ToolSample("0", ToolStatus.VALID, T, 0.1, 6),)))
    guide.look()
    text = shown(guide)
    assert "12 correspondences" in text
    assert "predicted error (95 %)" in text
    assert "◎" in text and "●" in text


def shown(guide: PointsGuide) -> str:
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(picture(guide, CalibrationConfig()))
    return console.export_text()


def test_points_come_from_a_list_or_from_a_session(tmp_path: Path) -> None:
    (tmp_path / "points.yaml").write_text("points: {a: [1, 2, 3], b: [4, 5, 6], c: [7, 8, 10], d: [0, 0, 1]}\n")
    assert read_points(tmp_path / "points.yaml")["c"].tolist() == [7.0, 8.0, 10.0]
    session = Session.start("head", tmp_path, [Fiducial(name, (x, 0.0, 0.0)) for x, name in enumerate("wxyz")])
    assert list(read_points(session.path)) == list("wxyz")
    (tmp_path / "few.yaml").write_text("points: {a: [1, 2, 3]}\n")
    with pytest.raises(InputError, match="at least 4"):
        read_points(tmp_path / "few.yaml")
    (tmp_path / "other.yaml").write_text("tools: {}\n")
    with pytest.raises(InputError, match=r"points: \{name"):
        read_points(tmp_path / "other.yaml")


def test_a_tip_comes_from_a_pivot_calibration_only(tmp_path: Path) -> None:
    (tmp_path / "pivot.yaml").write_text("kind: pivot_calibration\ntip_tool_mm: [1.0, 2.0, 3.0]\nrms_mm: 0.3\ninliers: 50\n")
    tool = read_tool("pointer", tmp_path / "pivot.yaml")
    assert tool.tip_tool_mm.tolist() == [1.0, 2.0, 3.0]
    assert tool.calibration is not None and tool.calibration.n == 50
    assert read_tool("pointer", None).calibration is None
    (tmp_path / "wrong.yaml").write_text("kind: registration\n")
    with pytest.raises(InputError, match="calibrate pivot"):
        read_tool("pointer", tmp_path / "wrong.yaml")


def test_a_volume_is_two_corners_in_any_order() -> None:
    volume = read_volume("10,0,0,-10,50,60")
    assert volume is not None
    assert [corner.tolist() for corner in volume] == [[-10.0, 0.0, 0.0], [10.0, 50.0, 60.0]]
    assert read_volume("") is None
    with pytest.raises(InputError, match="x0,y0,z0,x1,y1,z1"):
        read_volume("1,2,3")


def test_bad_requests_are_refused_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="sim:=true or nothing"):
        run(options(tmp_path, "simm:=true"))
    with pytest.raises(InputError, match="neither --bag nor --points"):
        run(options(tmp_path, "sim:=true", points=tmp_path / "points.yaml"))
    (tmp_path / "registration.yaml").write_text("in use")
    with pytest.raises(InputError, match="one that exists"):
        run(options(tmp_path))
    assert (tmp_path / "registration.yaml").read_text() == "in use"
