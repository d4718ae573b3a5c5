"""What a second of samples says of each sensor: how often it was usable, why not, its mean, its noise. For diagnostics."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from guidewire_recon.drivers.ak09940a import T_PER_COUNT
from guidewire_recon.types import ArraySample, SensorStatus, Words, usable
from lodestone_core.types import Array

REASONS = {
    SensorStatus.OVERFLOW: "the field is beyond its range",
    SensorStatus.NOT_READY: "no new measurement",
    SensorStatus.SKIPPED: "it measures faster than it is read",
    SensorStatus.INVALID: "it marks its data as invalid",
    SensorStatus.BUS_ERROR: "it does not answer on its bus",
    SensorStatus.STUCK: "it shows bit for bit the same for longer than noise allows",
    SensorStatus.DEAD: "nothing usable for long",
    SensorStatus.UNCALIBRATED: "it has no calibration",
}


_MOST = 4000


def reasons(status: int) -> str:
    """The status in words."""
    return "; ".join(text for bit, text in REASONS.items() if status & bit)


@dataclass(frozen=True, slots=True, eq=False)
class Health:
    """n sensors over `samples` samples: `usable` (n,) of them; `seen` (n,) all status bits that came up; `latest` (n,) those of the last
    sample; `mean_counts` (n, 3) and `noise_T` (n,) of the usable ones, NaN without; `temperature_degc` (n,) of the last sample.

    The noise is that of one axis, from differences of successive samples, so that slow fields do not count.
    """

    samples: int
    usable: npt.NDArray[np.int64]
    seen: Words
    latest: Words
    mean_counts: Array
    noise_T: Array
    temperature_degc: Array


class HealthMeter:
    """Filled on the driver's thread, emptied on another."""

    def __init__(self) -> None:
        self._samples: deque[ArraySample] = deque(maxlen=_MOST)

    def add(self, sample: ArraySample) -> None:
        """Count a sample in."""
        self._samples.append(sample)

    def take(self) -> Health | None:
        """What was counted since the last call; None for nothing."""
        taken = []
        while self._samples:
            taken.append(self._samples.popleft())
        # Another array may have been plugged in meanwhile: what counts is the one that is there now.
        return health_of([sample for sample in taken if len(sample.raw) == len(taken[-1].raw)]) if taken else None


def health_of(samples: list[ArraySample]) -> Health:
    """Health over at least one sample, all of one array."""
    status = np.stack([sample.status for sample in samples])
    raw = np.stack([sample.raw for sample in samples]).astype(np.float64)
    valid = usable(status)
    both = valid[1:] & valid[:-1]
    squares = (np.diff(raw, axis=0) ** 2).mean(axis=2)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(valid[:, :, None], raw, 0.0).sum(axis=0) / valid.sum(axis=0)[:, None]
        variance = np.where(both, squares, 0.0).sum(axis=0) / (2.0 * both.sum(axis=0))
    return Health(
        samples=len(samples),
        usable=valid.sum(axis=0),
        seen=np.bitwise_or.reduce(status, axis=0),
        latest=status[-1],
        mean_counts=mean,
        noise_T=T_PER_COUNT * np.sqrt(variance),
        temperature_degc=samples[-1].temperature_degc,
    )
