"""Protocol `bench_fuzz`: does a damaged Aurora reply ever become a pose, escape as an exception, or cost the reply after it?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lodestone_cli.benchmarks.reply_fuzz import fuzz_replies, parse_times_us
from lodestone_core.config import option
from lodestone_core.results import Result, Row, conclude, settings_of, tell
from lodestone_core.results.protocol import Progress


@dataclass(frozen=True, slots=True)
class FuzzConfig:
    """How many replies."""

    count: int = option(1_000_000, doc="damaged replies, each followed by a good one", minimum=1)


def run(protocol: Mapping[str, Any], inputs: Mapping[str, Path], out: Path, progress: Progress | None = None) -> Result:
    """Feed the parser."""
    count = settings_of(protocol, FuzzConfig).count
    report = fuzz_replies(count, protocol["seed"], lambda done: tell(progress, done / count, f"{done} replies"))
    names = ("accepted_with_bad_crc", "exceptions", "not_resynchronised", "crc_collisions", "refused")
    rows = [Row("parser", "damaged replies", name, float(getattr(report, name)), "", count) for name in names]
    rows.append(Row("parser", "two replies a trial", "time_per_trial", report.seconds / count * 1e6, "us", count))
    rows += [Row("parser", "good replies", name, value, "us", 2000) for name, value in parse_times_us().items()]
    return conclude(protocol, inputs, rows, notes=report.failures)
