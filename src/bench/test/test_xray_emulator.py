"""The emulated C-arm's files and requests, and the depth knob of the emulated ultrasound machine."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pydicom
import pytest

from lodestone_bench.c_arm.config import CArmConfig
from lodestone_bench.emulators.ultrasound import UltrasoundEmulator
from lodestone_bench.emulators.video_server import VideoServer
from lodestone_bench.emulators.xray import XrayEmulator
from lodestone_bench.emulators.xray_folder import XrayFolder
from lodestone_bench.patient import Patient, PatientConfig
from lodestone_bench.ultrasound.video import UltrasoundScreen
from lodestone_core.errors import InputError

CONFIG = CArmConfig(size_px=(64, 48), primary_deg=(0.0, 25.0), secondary_deg=(0.0, -5.0), dwell_s=10.0)


class Flat:
    """A C-arm whose pictures tell their number."""

    config = CONFIG
    width, height = CONFIG.size_px

    def grey(self, number: int, world_s: float) -> Any:
        return np.full((48, 64), 100 + number, np.uint16)


@pytest.fixture
def folder(tmp_path: Path) -> Any:
    def make(frames: int = 1, keep: int = 0) -> XrayFolder:
        return XrayFolder(Flat(), tmp_path, 2.0, frames, keep)  # type: ignore[arg-type]

    return make


def written(path: Path) -> list[Any]:
    return [pydicom.dcmread(file) for file in sorted(path.glob("*.dcm"))]


def test_each_picture_is_a_file_with_the_tags_of_the_view(folder: Any, tmp_path: Path) -> None:
    files = folder()
    for at in (0.0, 0.2, 0.5, 12.0):
        files.turn(at)
    first, second, turned = written(tmp_path)
    assert not list(tmp_path.glob(".*"))
    assert [int(data.pixel_array[0, 0]) for data in (first, second, turned)] == [100, 101, 124]
    assert (first.DistanceSourceToDetector, first.DistanceSourceToPatient, list(first.ImagerPixelSpacing)) == (1200.0, 750.0, [0.6, 0.6])
    assert [(data.PositionerPrimaryAngle, data.PositionerSecondaryAngle) for data in (first, turned)] == [(0.0, 0.0), (25.0, -5.0)]
    assert first.SOPInstanceUID != second.SOPInstanceUID and first.BitsStored == 12


def test_a_run_of_pictures_is_one_file(folder: Any, tmp_path: Path) -> None:
    files = folder(frames=3)
    for number in range(6):
        files.turn(number * 0.5)
    one, _ = written(tmp_path)
    assert one.NumberOfFrames == 3 and one.pixel_array.shape == (3, 48, 64)


def test_each_fault_falls_on_as_many_files_as_asked_for(folder: Any, tmp_path: Path) -> None:
    files = folder()
    files.request("wrong_sid", {"mm": 150.0}, 0.0)
    files.request("wrong_angle", {"deg": 12.0, "count": 2}, 0.0)
    files.request("missing_tags", {}, 0.0)
    for number in range(3):
        files.turn(number * 0.5)
    first, second, third = written(tmp_path)
    assert "DistanceSourceToDetector" not in first and second.DistanceSourceToDetector == 1200.0
    assert second.PositionerPrimaryAngle == 12.0 and third.PositionerPrimaryAngle == 0.0
    files.request("wrong_sid", {"mm": 150.0}, 0.0)
    files.request("file_size", {"pixels": 32}, 0.0)
    files.turn(2.0)
    last = written(tmp_path)[-1]
    assert last.DistanceSourceToDetector == 1350.0 and last.pixel_array.shape == (32, 32)


def test_a_half_written_file_gets_its_rest_when_asked_for(folder: Any, tmp_path: Path) -> None:
    files = folder()
    files.turn(0.0)
    whole = next(tmp_path.glob("*.dcm")).stat().st_size
    files.request("half_written", {"finish_after_s": 0.3}, 0.0)
    files.turn(0.5)
    half = sorted(tmp_path.glob("*.dcm"))[-1]
    assert half.stat().st_size == whole // 2
    files.turn(0.9)
    assert half.stat().st_size == whole and int(pydicom.dcmread(half).pixel_array[0, 0]) == 101


def test_a_stall_passes_and_only_the_newest_files_stay(folder: Any, tmp_path: Path) -> None:
    files = folder(keep=2)
    files.turn(0.0)
    files.request("file_stall", {"for_s": 2.0}, 0.0)
    for number in range(12):
        files.turn(number * 0.5)
    assert files.counts["files"] == 9 and len(written(tmp_path)) == 2


def emulator(tmp_path: Path, source: Any, kind: Any, **more: Any) -> Any:
    server = VideoServer(source, f"unix:{tmp_path}/video")
    return kind({"one": server}, lambda: 0.0, None, None, **more)


def test_requests_for_files_need_files_and_others_go_to_the_video(tmp_path: Path) -> None:
    bare = emulator(tmp_path, SimpleNamespace(width=8, height=8), XrayEmulator, folder=None, rate_hz=1.0, frames=1, keep=0)
    with pytest.raises(InputError, match="--dicom"):
        bare.request({"do": "wrong_sid"})
    with pytest.raises(InputError, match="one of"):
        bare.request({"do": "nonsense"})
    assert "files" not in bare.request({"do": "statistics"})


def test_the_depth_knob_changes_the_picture_and_its_letters(tmp_path: Path) -> None:
    patient = Patient(PatientConfig(liver_grid_mm=4.0))
    screen = UltrasoundScreen(patient, lambda _: patient.T_bench_patient)
    machine = emulator(tmp_path, screen, UltrasoundEmulator)
    before = screen.frame(0, 1.0).copy()
    assert machine.request({"do": "depth", "mm": 100.0}) == {"depth_mm": 100.0}
    after = screen.frame(0, 1.0)
    assert screen.machine.fan.depth_mm == 100.0 and not np.array_equal(before[:20, 328:], after[:20, 328:])
    for wrong in ({"mm": 123.0}, {}, {"cm": 10.0}):
        with pytest.raises(InputError):
            machine.request({"do": "depth", **wrong})
