"""Calibration files of a rig: one YAML layout for every device, with where the numbers come from.

format: 1
kind: magnetometers            # what it calibrates; a reader asks for its own kind
rig: my_bench                  # the bench it belongs to; another bench's file is refused
devices: [array 1, 16 sensors] # what it was measured on, as the devices say it themselves
created: '2026-01-01T00:00:00+00:00'
method: ellipsoid fit, dipole of known moment
version: 0.1.0
inputs: {rotation.mcap: <sha256>}
figures: {field_rms: {value: 1.0e-08, unit: T}}
values: {...}                  # what the kind's own module reads
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lodestone_core.errors import InputError
from lodestone_core.files import write_atomically
from lodestone_core.yaml_file import dump_yaml, parse_yaml

FORMAT = 1
_KEYS = ("format", "kind", "rig", "devices", "created", "method", "version", "inputs", "figures", "values")


@dataclass(frozen=True, slots=True)
class CalibrationFile:
    """One calibration with its provenance. `values` are plain YAML values in the units that their keys name."""

    kind: str
    rig: str
    devices: tuple[str, ...]
    created: str
    method: str
    version: str
    values: Mapping[str, Any]
    inputs: Mapping[str, str] = field(default_factory=dict)
    figures: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def to_yaml(self) -> str:
        """Text of the file."""
        return dump_yaml({"format": FORMAT, **{key: _plain(getattr(self, key)) for key in _KEYS[1:]}})

    @property
    def sha256(self) -> str:
        """Hash of the file's text, hexadecimal."""
        return hashlib.sha256(self.to_yaml().encode()).hexdigest()

    def save(self, path: Path) -> None:
        """Write the file atomically. Raises InputError when the folder cannot be written."""
        write_atomically(path, self.to_yaml())


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(entry) for key, entry in value.items()}
    return list(value) if isinstance(value, tuple) else value


def now_text() -> str:
    """The present time for `created`."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def load_calibration(path: Path, kind: str, rig: str = "") -> CalibrationFile:
    """Read a calibration file of that kind. Raises InputError for another kind, or another rig where `rig` is given."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        remedy = f"correct the path, or make one with `lodestone calibrate {kind}`"
        raise InputError(str(path), expected=f"a calibration file ({kind})", got=str(error), remedy=remedy) from error
    return parse_calibration(text, str(path), kind, rig)


def parse_calibration(text: str, where: str, kind: str, rig: str = "") -> CalibrationFile:
    """As load_calibration, from the text of the file; `where` names it in errors."""
    tree = parse_yaml(text, where)
    remedy = f"make it again with `lodestone calibrate {kind}`"
    if not isinstance(tree, dict) or set(tree) != set(_KEYS):
        got = ", ".join(map(str, tree)) if isinstance(tree, dict) else type(tree).__name__
        raise InputError(where, expected="the keys " + ", ".join(_KEYS), got=got, remedy=remedy)
    if tree["format"] != FORMAT:
        raise InputError(f"{where}, format", expected=FORMAT, got=tree["format"], remedy=remedy)
    if tree["kind"] != kind:
        raise InputError(f"{where}, kind", expected=kind, got=tree["kind"], remedy="give the file that was made for this device")
    if rig and tree["rig"] != rig:
        remedy = f"give the calibration of {rig}, or correct the name of the rig: positions and gains of another bench do not hold here"
        raise InputError(f"{where}, rig", expected=rig, got=tree["rig"], remedy=remedy)
    for key, shape in (("values", dict), ("inputs", dict), ("figures", dict), ("devices", list)):
        if not isinstance(tree[key], shape):
            raise InputError(f"{where}, {key}", expected=shape.__name__, got=type(tree[key]).__name__, remedy=remedy)
    return CalibrationFile(
        kind=str(tree["kind"]),
        rig=str(tree["rig"]),
        devices=tuple(map(str, tree["devices"])),
        created=str(tree["created"]),
        method=str(tree["method"]),
        version=str(tree["version"]),
        values=tree["values"],
        inputs=tree["inputs"],
        figures=tree["figures"],
    )
