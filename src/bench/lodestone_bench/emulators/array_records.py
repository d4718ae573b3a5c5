"""The frames of the emulated magnetometer array, and what can go wrong with each sensor."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import numpy as np

from lodestone_bench.emulators.array_config import DRIVES
from lodestone_bench.emulators.array_truth import ArrayTruth
from lodestone_bench.emulators.stream_requests import Requests
from lodestone_core.config import REQUIRED, option
from lodestone_core.errors import InputError
from lodestone_core.types import Array

_FOREVER_S = float("inf")
_T_PER_COUNT = 1e-8
_HIGHEST, _LOWEST = 131071, -131072
_READY, _OVERRUN, _INVALID, _RANGE, _BUS = 1, 2, 4, 8, 16
_NOISE_SEED = 0x3A12


class FieldSource(Protocol):
    """The field at points (n, 3) in mm in bench at a time of the world: (n, 3) in T."""

    def field_T(self, points_mm: Array, world_s: float) -> Array:
        """The field."""


@dataclass(frozen=True, slots=True)
class OfSensor:
    """A request about one sensor."""

    sensor: int = option(REQUIRED, doc="index of the sensor", minimum=0)
    for_s: float = option(_FOREVER_S, unit="s", doc="for how long", minimum=0.0)


@dataclass(frozen=True, slots=True)
class Axes(OfSensor):
    """The sensor is mounted otherwise than it should be: axes exchanged or pointing backward."""

    axes: str = option("yxz", doc="which of its axes is shown as x, y and z; a capital letter is shown backward")


@dataclass(frozen=True, slots=True)
class Spikes(OfSensor):
    """Single samples are far off."""

    T: float = option(300e-6, unit="T", doc="by how much, in a random direction", minimum=0.0)
    probability: float = option(0.05, doc="share of the samples", minimum=0.0, maximum=1.0)


@dataclass(frozen=True, slots=True)
class Warm(OfSensor):
    """The sensor is at another temperature than the array."""

    K: float = option(10.0, unit="K", doc="by how much it is warmer")


@dataclass(slots=True)
class _Sensor:
    """Faults in force of one sensor: until when, with their fields."""

    until_s: dict[str, float] = field(default_factory=dict)
    fields: dict[str, Any] = field(default_factory=dict)
    frozen: Array | None = None


class ArrayRecords:
    """Measurement and hello bodies; see docs/magnetometer_stream.md. `clock` gives world seconds."""

    def __init__(self, truth: ArrayTruth, source: FieldSource, clock: Callable[[], float], seed: int = 0) -> None:
        self.truth = truth
        self._source = source
        self._clock = clock
        self._random = np.random.default_rng([_NOISE_SEED, seed])
        self._sensors = [_Sensor() for _ in range(truth.count)]
        self._last = np.zeros((truth.count, 3))

    def record(self, sequence: int, device_us: int, world_s: float) -> bytes:
        """The body of one measurement."""
        config, n = self.truth.config, self.truth.count
        temperature = self.truth.temperature_degc(world_s)
        shown = self.truth.shown_T(self._source.field_T(self.truth.points_mm, world_s), temperature)
        counts = np.round((shown + config.noise_T * self._random.standard_normal((n, 3))) / _T_PER_COUNT)
        warmth = np.full(n, temperature)
        status = np.full(n, _READY, np.uint8)
        for index, sensor in enumerate(self._sensors):
            if sensor.until_s:
                self._spoil(index, sensor, counts, warmth, status)
        self._last = counts
        counts = np.clip(counts, _LOWEST, _HIGHEST)
        status[((counts == _HIGHEST) | (counts == _LOWEST)).any(axis=1) & (status & _BUS == 0)] |= _RANGE
        tmps = np.clip(np.round((30.0 - warmth) * 1.7), -128, 127).astype(np.int8)
        silent = (status & _BUS) != 0
        counts[silent], tmps[silent] = 0, 0
        table = np.empty((n, 11), np.uint8)
        table[:, :9] = counts.astype("<i4").view(np.uint8).reshape(n, 3, 4)[:, :, :3].reshape(n, 9)
        table[:, 9], table[:, 10] = tmps.view(np.uint8), status
        return struct.pack("<BBHIQB", 1, config.array_id, 1, sequence, device_us, n) + table.tobytes()

    def hello(self, device_us: int) -> bytes:
        """What the array says of itself."""
        config, n = self.truth.config, self.truth.count
        if not config.hello:
            return b""
        milli_hz = round(config.device.rate_hz * 1e3)
        head = struct.pack("<BBHQBBI", 0x11, config.array_id, 1, device_us, n, DRIVES.index(config.drive), milli_hz)
        sensors = b"".join(bytes([0, 0, 0] if "bus_error" in sensor.until_s else [0x48, 0xA3, 1]) for sensor in self._sensors)
        text = config.firmware.encode("ascii")
        return head + sensors + bytes([len(text)]) + text

    def power_on(self) -> None:
        """Sensors hold nothing: each measurement is whole by itself."""

    def own_requests(self) -> Requests:
        """What can be done to one sensor."""
        plain = dict.fromkeys(("stuck", "dead", "bus_error", "overrun", "invalid", "overflow"), OfSensor)
        kinds = {**plain, "axes": Axes, "spikes": Spikes, "warm": Warm}
        return {name: (kind, partial(_put, name=name)) for name, kind in kinds.items()}

    def clear(self) -> None:
        """Take all back."""
        self._sensors = [_Sensor() for _ in self._sensors]

    def own_statistics(self) -> dict[str, Any]:
        """Faults in force."""
        return {"sensors": {index: sorted(sensor.until_s) for index, sensor in enumerate(self._sensors) if sensor.until_s}}

    def put(self, name: str, fields: OfSensor) -> None:
        """Put a fault of one sensor in force."""
        if fields.sensor >= len(self._sensors):
            expected = f"0 to {len(self._sensors) - 1}"
            raise InputError("request: sensor", expected=expected, got=fields.sensor, remedy="name a sensor of the array")
        if isinstance(fields, Axes) and sorted(fields.axes.lower()) != ["x", "y", "z"]:
            raise InputError("request: axes", expected="x, y and z, each once", got=fields.axes, remedy="as yxz or xYZ")
        sensor = self._sensors[fields.sensor]
        sensor.until_s[name] = self._clock() + fields.for_s
        sensor.fields[name] = fields
        sensor.frozen = self._last[fields.sensor].copy() if name == "stuck" else sensor.frozen

    def _spoil(self, index: int, sensor: _Sensor, counts: Array, warmth: Array, status: Any) -> None:
        """Apply the faults of a sensor to its counts, temperature and status."""
        now_s = self._clock()
        sensor.until_s = {name: until_s for name, until_s in sensor.until_s.items() if now_s < until_s}
        for name in sensor.until_s:
            fields = sensor.fields[name]
            if name == "stuck" and sensor.frozen is not None:
                counts[index] = sensor.frozen
            elif name == "overflow":
                counts[index] = _HIGHEST + 1
            elif name == "axes":
                signs = np.array([-1.0 if letter.isupper() else 1.0 for letter in fields.axes])
                counts[index] = counts[index][["xyz".index(letter) for letter in fields.axes.lower()]] * signs
            elif name == "spikes" and self._random.random() < fields.probability:
                direction = self._random.standard_normal(3)
                counts[index] += np.round(direction / np.linalg.norm(direction) * fields.T / _T_PER_COUNT)
            elif name == "warm":
                warmth[index] += fields.K
                counts[index] += np.round(self.truth.slope_T_per_K[index] * fields.K / _T_PER_COUNT)
            else:
                status[index] = _with_flag(name, int(status[index]))


def _with_flag(name: str, status: int) -> int:
    if name == "dead":
        return status & ~_READY
    if name == "bus_error":
        return _BUS
    return status | {"overrun": _OVERRUN, "invalid": _INVALID}.get(name, 0)


def _put(records: ArrayRecords, fields: OfSensor, *, name: str) -> None:
    records.put(name, fields)
