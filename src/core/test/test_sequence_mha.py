"""PLUS sequences: transforms, status, stamps and pixels out of one file, and what a damaged one says."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest

from lodestone_core.errors import InputError
from lodestone_core.formats.sequence_mha import read_sequence

IMAGES = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
POSE = "0 -1 0 10 1 0 0 20 0 0 1 30 0 0 0 1"


def header(size: str = "4 3 2", kind: str = "MET_UCHAR", extra: str = "") -> list[str]:
    return ["ObjectType = Image", "NDims = 3", f"DimSize = {size}   ", f"ElementType = {kind}", *filter(None, extra.split("\n"))]


def frame(index: int, pose: str = POSE, status: str = "OK", stamp: str = "1.5") -> list[str]:
    key = f"Seq_Frame{index:04d}_"
    return [
        f"{key}ProbeToTrackerTransform = {pose} ",
        f"{key}ProbeToTrackerTransformStatus = {status}",
        f"{key}Timestamp = {stamp}",
    ]


def write(path: Path, lines: list[str], pixels: bytes = b"", end: str = "ElementDataFile = LOCAL") -> Path:
    path.write_bytes("\n".join([*lines, *([end] if end else [])]).encode() + b"\n" + pixels)
    return path


def test_poses_stamps_and_pixels_come_out_as_they_went_in(tmp_path: Path) -> None:
    path = write(tmp_path / "a.igs.mha", header() + frame(0) + frame(1, stamp="2.25"), IMAGES.tobytes())
    sequence = read_sequence(path)
    assert sequence.stamps_ns.tolist() == [1_500_000_000, 2_250_000_000]
    poses = sequence.poses("Tracker", "Probe")
    np.testing.assert_allclose(poses.T_target_source[1] @ [1.0, 0.0, 0.0, 1.0], [10.0, 21.0, 30.0, 1.0])
    np.testing.assert_array_equal(sequence.pixels(), IMAGES)
    assert sequence.fields[1]["Timestamp"] == "2.25"


def test_compressed_and_big_endian_pixels_are_read_too(tmp_path: Path) -> None:
    packed = zlib.compress(IMAGES.astype(">u2").tobytes())
    lines = header(size="4 3 1 2", kind="MET_USHORT", extra="CompressedData = True\nBinaryDataByteOrderMSB = True")
    sequence = read_sequence(write(tmp_path / "a.mha", lines + frame(0) + frame(1), packed))
    np.testing.assert_array_equal(sequence.pixels(), IMAGES)


def test_a_transform_that_is_not_ok_or_not_there_is_a_missing_sample(tmp_path: Path) -> None:
    lines = header(size="0 0 3", kind="MET_OTHER") + frame(0) + frame(1, status="INVALID") + frame(2)[2:]
    poses = read_sequence(write(tmp_path / "a.mha", lines)).poses("Tracker", "Probe")
    assert poses.valid.tolist() == [True, False, False]
    assert np.isnan(poses.T_target_source[1:]).all()


def test_six_printed_digits_still_give_an_orthonormal_rotation(tmp_path: Path) -> None:
    printed = "0.231245 0.951424 -0.203269 172.641 -0.127436 -0.17751 -0.975833 -98.0022 -0.964513 0.25156 0.0801977 -22.0262 0 0 0 1"
    sequence = read_sequence(write(tmp_path / "a.mha", header("0 0 1", "MET_OTHER") + frame(0, printed)))
    R = sequence.poses("Tracker", "Probe").T_target_source[0, :3, :3]
    np.testing.assert_allclose(R @ R.T, np.eye(3), atol=1e-14)


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (header() + frame(0) + frame(1, "1 2 3"), r"a\.mha:8: expected sixteen numbers, got 3 fields"),
        (header() + frame(0, POSE.replace("10", "x")) + frame(1), r"a\.mha:5: .*'x'"),
        (header() + frame(0) + frame(1) + frame(2), r"a\.mha:11: expected a frame number below 2"),
        (header() + frame(0) + frame(0), r"a\.mha:8: expected each field once"),
        (header() + frame(0), "Seq_Frame0001_Timestamp"),
        (header() + frame(0, stamp="soon") + frame(1), r"a\.mha:7: expected a time in seconds, got 'soon'"),
        (["no key here"], r"a\.mha:1: expected a header line"),
        (header(size="4 3") + frame(0), r"a\.mha:3: expected DimSize"),
        (header(size="4 3 0"), "at least one frame"),
        (header(kind="MET_STRANGE") + frame(0) + frame(1), r"a\.mha:4: expected an ElementType"),
        (header(extra="CompressedData = yes") + frame(0) + frame(1), "True or False"),
    ],
)
def test_a_malformed_header_is_named_by_file_and_line(tmp_path: Path, lines: list[str], says: str) -> None:
    with pytest.raises(InputError, match=says):
        read_sequence(write(tmp_path / "a.mha", lines, IMAGES.tobytes()))


@pytest.mark.parametrize(
    ("pose", "says"),
    [
        ("2 0 0 0 0 2 0 0 0 0 2 0 0 0 0 1", "singular values 2 2 2"),
        ("1 0 0 0 0 1 0 0 0 0 -1 0 0 0 0 1", "reflection"),
        ("1 0 0 0 0 1 0 0 0 0 1 0 5 6 7 1", "last row"),
    ],
)
def test_a_scaled_or_mirrored_transform_may_be_stored_but_is_no_pose(tmp_path: Path, pose: str, says: str) -> None:
    sequence = read_sequence(write(tmp_path / "a.mha", header("0 0 1", "MET_OTHER") + frame(0, pose)))
    with pytest.raises(InputError, match=rf"a\.mha:5: .*{says}"):
        sequence.poses("Tracker", "Probe")


def test_what_is_not_there_is_said_with_what_is(tmp_path: Path) -> None:
    sequence = read_sequence(write(tmp_path / "a.mha", header("0 0 1", "MET_OTHER") + frame(0)))
    with pytest.raises(InputError, match=r"StylusToTrackerTransform .*got ProbeToTrackerTransform"):
        sequence.poses("Tracker", "Stylus")
    with pytest.raises(InputError, match="transforms only"):
        sequence.pixels()


def test_files_cut_short_are_refused(tmp_path: Path) -> None:
    lines = header() + frame(0) + frame(1)
    with pytest.raises(InputError, match="no ElementDataFile line"):
        read_sequence(write(tmp_path / "a.mha", lines, end=""))
    with pytest.raises(InputError, match="24 bytes of pixels, got 23"):
        read_sequence(write(tmp_path / "b.mha", lines, IMAGES.tobytes()[:-1])).pixels()
    packed = [*lines[:4], "CompressedData = True", *lines[4:]]
    with pytest.raises(InputError, match="zlib"):
        read_sequence(write(tmp_path / "c.mha", packed, b"not zlib")).pixels()
    with pytest.raises(InputError, match="bytes of pixels"):
        read_sequence(write(tmp_path / "d.mha", packed, zlib.compress(IMAGES.tobytes())[:-8])).pixels()
    with pytest.raises(InputError, match="no such file"):
        read_sequence(tmp_path / "absent.mha")
