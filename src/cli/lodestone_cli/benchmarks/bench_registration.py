"""Protocol `bench_registration`: how long the registration's pipeline takes for a pose, and what fitting it again costs the stream."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lodestone_cli.benchmarks.bench_stream import wait_for_poses
from lodestone_cli.benchmarks.em_rig import em_rig
from lodestone_cli.benchmarks.field_registration import field_registration
from lodestone_cli.benchmarks.process_memory import idle_load_percent
from lodestone_cli.ros.registration_probe import RegistrationProbe
from lodestone_cli.ros.stream_probe import StreamProbe, stream_probe
from lodestone_core.config import option
from lodestone_core.results import Result, Row, Table, conclude, settings_of
from lodestone_core.results.protocol import Progress

AFTERWARDS_S = 0.5
"""After the answer the new registration is adopted: frames lost to that count too."""


@dataclass(frozen=True, slots=True)
class BenchRegistrationConfig:
    """Load and length."""

    tools: int = option(8, doc="tools of the emulated Aurora", minimum=1, maximum=12)
    rate_hz: float = option(40.0, unit="Hz", doc="its frame rate", minimum=1.0)
    duration_s: float = option(60.0, unit="s", doc="length of the measurement; the node's figures are of the last minute", minimum=5.0)
    points: int = option(200, doc="touches that the field is fitted to", minimum=12)
    refits: int = option(5, doc="how often it is fitted again meanwhile", minimum=1)


@dataclass(frozen=True, slots=True)
class Refit:
    """One fit while frames went on: seconds from request to answer, frames that came, and frames without a broadcast."""

    seconds: float
    frames: int
    lost: int


def run(protocol: Mapping[str, Any], inputs: Mapping[str, Path], out: Path, progress: Progress | None = None) -> Result:
    """Measure. Raises InputError when the chain does not come up or a fit fails."""
    config = settings_of(protocol, BenchRegistrationConfig)
    load = idle_load_percent()
    model = field_registration(config.tools, config.points, protocol["seed"])
    refits: list[Refit] = []
    with em_rig(out, config.tools, config.rate_hz, model) as rig, stream_probe() as stream:
        wait_for_poses(rig, stream)
        registration = RegistrationProbe(stream)
        registration.go_on_from(out / "registration.yaml")
        for number in range(config.refits):
            stream.spin(config.duration_s / config.refits)
            refits.append(refit(stream, registration))
            if progress:
                progress((number + 1) / config.refits, f"fitted again in {refits[-1].seconds:.2f} s")
        stream.spin(1.5)  # the diagnostics of the last second
        figures = registration.pipeline()
    case = f"{config.tools} tools at {config.rate_hz:g} Hz, a field of {config.points} points"
    table = Table("refits", "Every fit", ("time (s)", "frames meanwhile", "lost"), tuple((r.seconds, r.frames, r.lost) for r in refits))
    return conclude(protocol, inputs, rows_of(figures, refits, load, case), [table])


def refit(stream: StreamProbe, registration: RegistrationProbe) -> Refit:
    """Fit once and count what the stream lost."""
    stream.restart_counts()
    seconds = registration.compute()
    stream.spin(AFTERWARDS_S)
    stream.digest()
    # The last frame may still be on its way from one topic to the other.
    never_broadcast = max(0, stream.frames - len(stream.latencies_ms) - 1)
    return Refit(seconds, stream.frames, stream.skipped + never_broadcast)


def rows_of(figures: Mapping[str, float], refits: list[Refit], load: float, case: str) -> list[Row]:
    """The figures; a pipeline that said nothing has times without a number, which miss every limit."""
    frames, node = (
        int(figures.get("frames", 0)),
        {name: figures.get(f"ms_per_pose_{name}", float("inf")) for name in ("mean", "p99", "max")},
    )
    times, lost, meanwhile = [one.seconds for one in refits], sum(one.lost for one in refits), sum(one.frames for one in refits)
    return [
        *(Row("live", case, f"pipeline_{name}", value, "ms", frames) for name, value in node.items()),
        Row("live", case, "refit_mean", sum(times) / len(times), "s", len(refits)),
        Row("live", case, "refit_slowest", max(times), "s", len(refits)),
        Row("live", case, "frames_lost_during_refits", float(lost), "", meanwhile),
        Row("live", case, "idle_load", load, "%", 1),
    ]
