"""A recording of one magnet in front of an array whose poses are known: a MATLAB table with a row for each sensor of each pose.

Columns: `id` (1 first; all sensors of a pose follow one another), `Bx By Bz` (field along the sensor's own axes, in any one unit),
`sensor_x y z`, `sensor_ox oy oz` (place in mm and rotation vector in rad), `m_x y z`, `m_ox oy oz` (the same of the magnet, whose moment
is along its z axis); all in one outer frame. The variable `G_reshape_lisa` (3 x sensors) is the field without the magnet.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from guidewire_recon.formats.matlab_table import read_matlab_table
from lodestone_core.errors import InputError
from lodestone_core.types import Array

_BACKGROUND = "G_reshape_lisa"
_FIELD = ("Bx", "By", "Bz")
_SENSOR = ("sensor_x", "sensor_y", "sensor_z", "sensor_ox", "sensor_oy", "sensor_oz")
_MAGNET = ("m_x", "m_y", "m_z", "m_ox", "m_oy", "m_oz")


@dataclass(frozen=True, slots=True, eq=False)
class MagnetRecording:
    """N poses of a magnet, S sensors.

    `T_outer_sensor` (N, S, 4, 4) and `T_outer_magnet` (N, 4, 4) in mm; `field` (N, S, 3), `background` (S, 3) along the sensors' axes.
    """

    T_outer_sensor: Array
    T_outer_magnet: Array
    field: Array
    background: Array


def read_magnet_recording(path: Path) -> MagnetRecording:
    """Raises InputError for a file that is none, misses a column, or whose sensors do not come in order."""
    plain, table = read_matlab_table(path)
    missing = [name for name in ("id", *_FIELD, *_SENSOR, *_MAGNET) if name not in table]
    if missing or _BACKGROUND not in plain:
        got = "no " + ", ".join([*missing, *([] if _BACKGROUND in plain else [_BACKGROUND])])
        raise InputError(str(path), expected="the columns of a magnet recording", got=got, remedy="see the docs of guidewire_recon")
    ids = table["id"]
    count = int(ids.max()) if np.isfinite(ids).all() else 0
    if not 1 <= count <= 256 or len(ids) % count or not np.array_equal(ids, np.tile(np.arange(1, count + 1), len(ids) // count)):
        expected = "1, 2, ... of all sensors again and again"
        raise InputError(f"{path}, id", expected=expected, got=ids[:20].tolist(), remedy="sort the rows")
    sensors, magnets, field = (_block(table, names, count) for names in (_SENSOR, _MAGNET, _FIELD))
    background = plain[_BACKGROUND]
    if background.shape != (3, count) or not all(np.isfinite(x).all() for x in (sensors, magnets, field, background)):
        raise InputError(
            str(path), expected=f"finite values, a background of 3 x {count}", got=str(background.shape), remedy="record again"
        )
    return MagnetRecording(_poses(sensors), _poses(magnets[:, 0]), field, background.T.copy())


def _block(table: dict[str, Array], names: tuple[str, ...], count: int) -> Array:
    return np.stack([table[name] for name in names], axis=-1).reshape(-1, count, len(names))


def _poses(values: Array) -> Array:
    T = np.zeros((*values.shape[:-1], 4, 4))
    T[..., :3, :3] = Rotation.from_rotvec(values[..., 3:].reshape(-1, 3)).as_matrix().reshape(*values.shape[:-1], 3, 3)
    T[..., :3, 3] = values[..., :3]
    T[..., 3, 3] = 1.0
    return T
