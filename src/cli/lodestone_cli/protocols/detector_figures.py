"""From watched runs to figures: alarms, detection, delay, false alarms."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import beta, chi2

from em_registration.detection.config import DetectorConfig
from em_registration.detection.latch import Latch
from lodestone_cli.protocols.detector_runs import Watched
from lodestone_core.results import Row
from lodestone_core.types import Array

NEVER = float("inf")
PERCENT = "%"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an intrusion: whether an alarm was on already before the metal moved, and the alarm's delay after the error."""

    early: bool
    delay_s: float

    @property
    def found(self) -> bool:
        """Whether the alarm came because of the metal."""
        return self.found_within(float(np.finfo(float).max))

    def found_within(self, delay_s: float) -> bool:
        """Whether it came no later."""
        return not self.early and bool(self.delay_s <= delay_s)


def peak(run: Watched, feature: int) -> float:
    """The highest statistic while the field was watched."""
    return float(run.statistic[run.watched :, feature].max(initial=-np.inf))


def limit_at(runs: Sequence[Watched], feature: int, share: float) -> float:
    """The statistic that so small a share of the clean runs exceeds: the next higher peak that was seen."""
    peaks = np.sort([peak(run, feature) for run in runs])
    return float(peaks[min(len(peaks) - 1, int(np.ceil((1.0 - share) * len(peaks))))])


def outcome(run: Watched, feature: int, limit: float, error_mm: float) -> Outcome:
    """Of an intrusion that moves a pose by more than `error_mm`; the delay counts from when it first does, negative when found before."""
    above = run.statistic[:, feature] > limit
    alarms = np.flatnonzero(above[run.moves :])
    exceeded = int(np.argmax(run.error_mm > error_mm))
    delay = float(run.times_s[run.moves + alarms[0]] - run.times_s[exceeded]) if len(alarms) else NEVER
    return Outcome(bool(above[run.watched : run.moves].any()), delay)


def harmful(runs: Iterable[Watched], error_mm: float) -> list[Watched]:
    """Those in which a pose moves by more."""
    return [run for run in runs if run.error_mm.max() > error_mm]


def detection_rows(method: str, case: str, outcomes: Sequence[Outcome], in_time_s: float) -> list[Row]:
    """Share found, share found in time, and percentiles of the delay; a missed one is infinitely late."""
    n = len(outcomes)
    found = sum(each.found for each in outcomes)
    delays = np.sort([each.delay_s if each.found else NEVER for each in outcomes])
    in_time = int((delays <= in_time_s).sum())
    rows = [
        Row(method, case, "detected", 100.0 * found / n, PERCENT, n, _share_interval(found, n)),
        Row(method, case, f"detected_within_{in_time_s:g}_s", 100.0 * in_time / n, PERCENT, n, _share_interval(in_time, n)),
    ]
    return rows + [Row(method, case, f"delay_p{q}", float(np.percentile(delays, q, method="higher")), "s", n) for q in (50, 95, 100)]


def false_alarm_rows(method: str, runs: Sequence[Watched], feature: int, limit: float, config: DetectorConfig) -> list[Row]:
    """Share of clean runs with an alarm, and alarms an hour, each with its exact 95 % interval."""
    alarms = np.array([onsets(run, feature, limit, config) for run in runs])
    hours = sum(len(run.times_s) - run.watched for run in runs) * _period_s(runs) / 3600.0
    n, hit, total = len(runs), int((alarms > 0).sum()), int(alarms.sum())
    low = chi2.ppf(0.025, 2 * total) / 2.0 if total else 0.0
    hourly = (float(low / hours), float(chi2.ppf(0.975, 2 * total + 2) / 2.0 / hours))
    watched_s = 3600.0 * hours / n
    case = f"clean runs of {watched_s:.0f} s"
    return [
        Row(method, case, "false_alarm_runs", 100.0 * hit / n, PERCENT, n, _share_interval(hit, n)),
        Row(method, f"{hours:.1f} h clean", "false_alarms_an_hour", total / hours, "1/h", total, hourly),
    ]


def onsets(run: Watched, feature: int, limit: float, config: DetectorConfig) -> int:
    """How often an alarm went on, with the detector's hysteresis."""
    if peak(run, feature) <= limit:
        return 0
    latch, was, count = Latch(1, config.release, config.release_s), False, 0
    for k in range(run.watched, len(run.times_s)):
        on = bool(latch.update(float(run.times_s[k]), run.statistic[k, feature : feature + 1], limit)[0])
        count += on and not was
        was = on
    return count


def roc(clean: Sequence[Watched], dirty: Sequence[Watched], feature: int, error_mm: float, in_time_s: float) -> tuple[Array, Array]:
    """Shares (M,) of clean runs with an alarm and of intrusions found in time, over all limits that the clean runs tell apart."""
    limits = np.sort([peak(run, feature) for run in clean])[::-1]
    false_share = np.arange(len(limits)) / len(limits)
    found = [np.mean([outcome(run, feature, limit, error_mm).found_within(in_time_s) for run in dirty]) for limit in limits]
    return false_share, np.array(found)


def _period_s(runs: Sequence[Watched]) -> float:
    return float(np.diff(runs[0].times_s).mean())


def _share_interval(hit: int, n: int) -> tuple[float, float]:
    """Clopper and Pearson's interval, in percent."""
    low = beta.ppf(0.025, hit, n - hit + 1) if hit else 0.0
    high = beta.ppf(0.975, hit + 1, n - hit) if hit < n else 1.0
    return (100.0 * float(low), 100.0 * float(high))
