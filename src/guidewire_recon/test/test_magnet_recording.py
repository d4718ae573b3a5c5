"""The reader of MATLAB tables: a made-up file, damaged ones, and the real recordings where they are; gains from known poses."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from random import Random

import numpy as np
import pytest
from scipy.io import savemat

from guidewire_recon.calibration.magnet_gains import GainsConfig, fit_gains, residual_of
from guidewire_recon.formats.magnet_recording import read_magnet_recording
from guidewire_recon.formats.matlab_table import read_matlab_table
from guidewire_recon.magnet_field import Magnet, magnet_field
from lodestone_core.errors import InputError
from lodestone_core.types import Array

NAMES = (
    ["id", "Bx", "By", "Bz"]
    + [f"sensor_{a}" for a in ("x", "y", "z", "ox", "oy", "oz")]
    + [f"m_{a}" for a in ("x", "y", "z", "ox", "oy", "oz")]
)
RNG = np.random.default_rng(0)


def columns(count: int = 4, poses: int = 3) -> dict[str, Array]:
    made = {name: RNG.normal(size=count * poses) for name in NAMES}
    made["id"] = np.tile(np.arange(1.0, count + 1), poses)
    return made


def mat_file(path: Path, table: dict[str, Array], background: Array) -> Path:
    """As MATLAB writes a table: its parts in the hidden workspace, a nameless variable of bytes at the end of the file."""

    def cell(values: list[object]) -> Array:
        out = np.empty((1, len(values)), dtype=object)
        for i, value in enumerate(values):
            out[0, i] = value
        return out

    objects = cell(
        [np.zeros((4, 1), np.uint8), cell([v[:, None] for v in table.values()]), cell([*table]), np.array([[float(len(table))]])]
    )
    savemat(path.with_suffix(".inner"), {"x": {"MCOS": {"arr": objects}}})
    inner = bytearray(path.with_suffix(".inner").read_bytes())
    # The workspace's variable has no name: its short name element (type 1, 1 byte) becomes an empty one of the same size.
    at = inner.index(struct.pack("<HH", 1, 1) + b"x", 128)
    inner[at : at + 8] = struct.pack("<II", 1, 0)
    hidden = b"\x00\x01IM\x00\x00\x00\x00" + bytes(inner[128:])
    savemat(path, {"G_reshape_lisa": background})
    pad = -len(hidden) % 8
    body = struct.pack("<IIII", 6, 8, 9, 0) + struct.pack("<IIII", 5, 8, 1, len(hidden)) + struct.pack("<II", 1, 0)
    body += struct.pack("<II", 2, len(hidden)) + hidden + b"\x00" * pad
    with path.open("ab") as file:
        file.write(struct.pack("<II", 14, len(body)) + body)
    return path


def test_a_table_is_read_by_its_names(tmp_path: Path) -> None:
    table = columns()
    plain, found = read_matlab_table(mat_file(tmp_path / "a.mat", table, np.ones((3, 4))))
    assert plain["G_reshape_lisa"] == pytest.approx(np.ones((3, 4)))
    assert set(found) == set(table)
    for name, values in table.items():
        assert np.array_equal(found[name], values)


def test_a_recording_has_a_pose_for_each_sensor(tmp_path: Path) -> None:
    table = columns()
    found = read_magnet_recording(mat_file(tmp_path / "a.mat", table, RNG.normal(size=(3, 4))))
    assert found.T_outer_sensor.shape == (3, 4, 4, 4) and found.T_outer_magnet.shape == (3, 4, 4)
    assert found.field[1, 2] == pytest.approx([table[n][6] for n in ("Bx", "By", "Bz")])
    assert found.T_outer_sensor[2, 1, :3, 3] == pytest.approx([table[f"sensor_{a}"][9] for a in "xyz"])


def test_what_is_missing_or_out_of_order_is_named(tmp_path: Path) -> None:
    table = columns()
    table["id"][0] = 3.0
    with pytest.raises(InputError, match="id"):
        read_magnet_recording(mat_file(tmp_path / "a.mat", table, np.ones((3, 4))))
    lacking = {n: v for n, v in columns().items() if n != "By"}
    with pytest.raises(InputError, match="no By"):
        read_magnet_recording(mat_file(tmp_path / "b.mat", lacking, np.ones((3, 4))))
    with pytest.raises(InputError, match="3 x 4"):
        read_magnet_recording(mat_file(tmp_path / "c.mat", columns(), np.ones((3, 5))))
    savemat(tmp_path / "d.mat", {"x": np.ones((2, 2))})
    with pytest.raises(InputError, match="table"):
        read_magnet_recording(tmp_path / "d.mat")
    with pytest.raises(InputError, match="MATLAB file"):
        read_matlab_table(tmp_path / "none.mat")


@pytest.mark.parametrize("seed", [22, 3008, 6159, *range(6)])
def test_a_damaged_file_is_read_or_refused_and_nothing_else(tmp_path: Path, seed: int) -> None:
    # The first three break scipy's reader: two of them its whole process.
    made = np.random.default_rng(0)
    table = {name: made.normal(size=12) for name in NAMES}
    table["id"] = np.tile(np.arange(1.0, 5.0), 3)
    content = bytearray(mat_file(tmp_path / "a.mat", table, np.ones((3, 4))).read_bytes())
    random = Random(seed)
    for _ in range(random.randint(1, 5)):
        content[random.randrange(len(content))] = random.randrange(128)
    (tmp_path / "b.mat").write_bytes(content[: random.randint(len(content) // 2, len(content))])
    try:
        plain, found = read_matlab_table(tmp_path / "b.mat")
        assert isinstance(plain, dict) and found
    except InputError as error:
        assert "save it again" in str(error) or "save the recording" in str(error)


def simulated(noise: float = 0.0) -> tuple[Array, Array, Array, Array]:
    """Sensor poses, magnet poses, fields in counts, true gains of a magnet with an octupole and an offset."""
    rng = np.random.default_rng(8)
    grid = np.array([(x, y, 0.0) for x in range(0, 60, 15) for y in range(0, 60, 15)])
    T_sensor = np.tile(np.eye(4), (40, 16, 1, 1))
    T_sensor[:, :, :3, 3] = grid
    T_magnet = np.tile(np.eye(4), (40, 1, 1))
    T_magnet[:, :3, 3] = np.column_stack([rng.uniform(0, 45, (40, 2)), rng.uniform(20, 40, 40)])
    axis = rng.standard_normal((40, 3))
    axis /= np.linalg.norm(axis, axis=1, keepdims=True)
    for T, z in zip(T_magnet, axis, strict=True):
        x = np.cross(z, [0.3, 0.5, 0.8])
        x /= np.linalg.norm(x)
        T[:3, :3] = np.column_stack([x, np.cross(z, x), z])
    gains = 1.0 + 0.05 * rng.standard_normal(16)
    gains /= gains.mean()
    r = grid - T_magnet[:, None, :3, 3] - 0.3 * axis[:, None]
    raw = gains[:, None] * magnet_field(r, np.broadcast_to(axis[:, None], r.shape), Magnet(5e8, 6.0))
    return T_sensor, T_magnet, raw + noise * rng.standard_normal(raw.shape), gains


def test_gains_strength_size_and_offset_are_found() -> None:
    T_sensor, T_magnet, raw, gains = simulated()
    found = fit_gains(T_sensor, T_magnet, raw)
    assert found.matrix[:, 0, 0] == pytest.approx(gains, abs=1e-5)
    assert found.magnet.strength == pytest.approx(5e8, rel=1e-5)
    assert found.magnet.octupole_mm2 == pytest.approx(6.0, abs=1e-2)
    assert found.offset_mm == pytest.approx(0.3, abs=1e-3)
    assert np.abs(residual_of(found, T_sensor, T_magnet, raw)).max() < 1e-3 * np.abs(raw).max()


def test_a_dipole_alone_leaves_more_and_the_noise_is_found() -> None:
    T_sensor, T_magnet, raw, _ = simulated(noise=20.0)
    assert fit_gains(T_sensor, T_magnet, raw).sigma == pytest.approx(20.0, rel=0.1)
    assert fit_gains(T_sensor, T_magnet, raw, GainsConfig(finite=False)).sigma > 25.0
    assert fit_gains(T_sensor, T_magnet, raw, GainsConfig(gains=False)).sigma > 25.0


def test_a_reversed_magnet_has_a_negative_strength() -> None:
    T_sensor, T_magnet, raw, gains = simulated()
    found = fit_gains(T_sensor, T_magnet, -raw)
    assert found.magnet.strength == pytest.approx(-5e8, rel=1e-4)
    assert found.matrix[:, 1, 1] == pytest.approx(gains, abs=1e-4)


DATA = Path(os.environ.get("LODESTONE_DATA", "data")) / "magnet_array"


@pytest.mark.skipif(not (DATA / "data1.mat").exists(), reason="the recordings are not here (lodestone data --fetch magnet_array)")
def test_the_real_recordings_hold_what_is_expected_of_them() -> None:
    for name in ("data1", "data2"):
        found = read_magnet_recording(DATA / f"{name}.mat")
        assert found.field.shape == (63, 16, 3)
        pitch = np.linalg.norm(found.T_outer_sensor[0, 1, :3, 3] - found.T_outer_sensor[0, 0, :3, 3])
        assert pitch == pytest.approx(12.0, abs=0.01)
        assert 20.0 < np.linalg.norm(found.T_outer_magnet[0, :3, 3] - found.T_outer_sensor[0, 0, :3, 3]) < 40.0
