"""Latencies of a rig's streams, in a calibration file of kind `time`, and how a driver takes its own.

    values:
      reference: aurora/tools        # the stream that all others were measured against
      reference_latency_s: 0.01      # its own, which no comparison can tell: known from elsewhere, or so large that none is negative
      streams:
        aurora/tools: {latency_s: 0.01, sigma_s: 0.0}
        us_arm/encoders: {latency_s: 0.004, sigma_s: 0.0003}

`latency_s` is acquisition to arrival, as a driver's configuration has it. Names are topics without the leading slash.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from lodestone_core.calibration_file import CalibrationFile, parse_calibration
from lodestone_core.clock import ClockConfig
from lodestone_core.config_value import unknown_key
from lodestone_core.errors import InputError

KIND = "time"


@dataclass(frozen=True, slots=True)
class StreamLatency:
    """Acquisition to arrival in s, and the standard deviation of its difference from the reference's."""

    latency_s: float
    sigma_s: float


@dataclass(frozen=True, slots=True)
class TimeCalibration:
    """Latencies by stream. `reference` is one of them."""

    reference: str
    streams: Mapping[str, StreamLatency]

    def latency_s(self, stream: str, where: str = "time calibration") -> float:
        """Of one stream. Raises InputError for one that was not calibrated."""
        found = self.streams.get(stream)
        if found is None:
            raise unknown_key(stream, list(self.streams), "", where)
        return found.latency_s


def values_of(calibration: TimeCalibration) -> dict[str, object]:
    """The `values` of the calibration file."""
    return {
        "reference": calibration.reference,
        "reference_latency_s": calibration.streams[calibration.reference].latency_s,
        "streams": {name: {"latency_s": s.latency_s, "sigma_s": s.sigma_s} for name, s in calibration.streams.items()},
    }


def time_calibration_of(file: CalibrationFile, where: str) -> TimeCalibration:
    """The latencies of a calibration file. Raises InputError for values that are none."""
    streams = file.values.get("streams")
    if not isinstance(streams, Mapping) or not streams:
        raise _wrong(f"{where}, values: streams", "a mapping of streams to latencies", streams)
    found = {str(name): _stream(f"{where}, {name}", entry) for name, entry in streams.items()}
    reference = file.values.get("reference")
    if not isinstance(reference, str) or reference not in found:
        raise _wrong(f"{where}, values: reference", "one of " + ", ".join(found), reference)
    return TimeCalibration(reference, found)


def stream_latency_s(path: str, stream: str, configured_s: float, read: Callable[[str], bytes], rig: str = "") -> float:
    """What a driver subtracts: `configured_s` without a file (empty path), else the file's latency of `stream`.

    `read` gives the file's bytes: a node passes its `read_file`, so that the hash is published. Raises InputError for a file of another
    kind or rig, a stream that it does not hold, or a latency that is configured as well.
    """
    if not path:
        return configured_s
    if configured_s != 0.0:
        remedy = "leave time_calibration empty, or set latency_s to 0"
        raise InputError(f"latency of {stream}", expected="one source", got=f"{path} and latency_s = {configured_s:g}", remedy=remedy)
    try:
        text = read(path).decode()
    except UnicodeDecodeError as error:
        raise _wrong(path, "a calibration file (time)", error) from error
    return time_calibration_of(parse_calibration(text, path, KIND, rig), path).latency_s(stream, f"{path}, streams")


def calibrated_clock(clock: ClockConfig, path: str, stream: str, read: Callable[[str], bytes], rig: str = "") -> ClockConfig:
    """`clock` with the latency of the rig's file; see stream_latency_s."""
    return replace(clock, latency_s=stream_latency_s(path, stream, clock.latency_s, read, rig))


def _stream(where: str, entry: object) -> StreamLatency:
    if not isinstance(entry, Mapping) or set(entry) != {"latency_s", "sigma_s"}:
        raise _wrong(where, "latency_s and sigma_s", entry)
    numbers = [entry["latency_s"], entry["sigma_s"]]
    if not all(isinstance(x, (int, float)) and not isinstance(x, bool) and math.isfinite(x) and x >= 0.0 for x in numbers):
        raise _wrong(where, "two numbers of at least 0, in s", numbers)
    return StreamLatency(float(numbers[0]), float(numbers[1]))


def _wrong(where: str, expected: str, got: object) -> InputError:
    return InputError(where, expected=expected, got=str(got), remedy="make the file again with `lodestone calibrate time`")
