"""`lodestone calibrate time`: latency of a rig's streams against a reference, from a bag in which all of them saw one motion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.progress import Progress
from rich.table import Table

from lodestone_cli.console import DISCLAIMER, console
from lodestone_core.bags import Bag, open_bag
from lodestone_core.calibration_file import CalibrationFile, load_calibration, now_text
from lodestone_core.config import load_config
from lodestone_core.errors import InputError
from lodestone_core.latency import Latency, LatencyConfig, estimate_latency
from lodestone_core.latency.recorded import READERS, read_motion
from lodestone_core.results.provenance import sha256_of
from lodestone_core.time_calibration import KIND, StreamLatency, TimeCalibration, time_calibration_of, values_of
from lodestone_core.version import package_version

METHOD = "best prediction of one stream's motion from another's, over their offset"


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says. `reference_latency_s` None: the least with which no stream has a negative one."""

    bag: Path
    reference: str
    streams: tuple[str, ...]
    rig: str
    out: Path
    tool: str
    previous: Path | None
    reference_latency_s: float | None
    max_offset_s: float | None
    config: Path | None


def run(options: Options) -> int:
    """Estimate, show, write `out`, which must not exist yet."""
    if options.out.exists():
        raise InputError(str(options.out), expected="a new file", got="one that exists", remedy="give another name with --out")
    config = _config(options)
    previous = _previous(options)
    with open_bag(options.bag) as bag:
        reference, *others = _topics(bag, options)
        _check_previous(bag, options)
        found = _estimate(bag, reference, others, options.tool, config)
    calibration = combined(reference, found, previous, options.reference_latency_s)
    _write(options, calibration, found)
    say = console().print
    say(DISCLAIMER)
    say(_table(reference, found, calibration))
    say(f"written to {options.out}; give it to the drivers with time_calibration:={options.out}")
    return 0


def combined(
    reference: str, found: dict[str, Latency], previous: TimeCalibration | None, reference_latency_s: float | None
) -> TimeCalibration:
    """Latencies that drivers subtract: the measured differences on top of what was subtracted while recording.

    Raises InputError where a stream would arrive before its acquisition.
    """
    before = {stream: previous.latency_s(stream, "--previous") if previous else 0.0 for stream in (reference, *found)}
    ahead = {stream: latency.seconds + before[stream] - before[reference] for stream, latency in found.items()}
    own = max(0.0, -min(ahead.values())) if reference_latency_s is None else reference_latency_s
    for stream, difference_s in ahead.items():
        if own + difference_s < 0.0:
            got, remedy = f"{1e3 * (own + difference_s):.2f} ms", f"give --reference-latency of at least {-difference_s:.4f}"
            raise InputError(f"latency of {stream}", expected="at least 0", got=got, remedy=remedy)
    streams = {reference: StreamLatency(own, 0.0)}
    return TimeCalibration(reference, streams | {s: StreamLatency(own + d, found[s].sigma_s) for s, d in ahead.items()})


def _estimate(bag: Bag, reference: str, others: Sequence[str], tool: str, config: LatencyConfig) -> dict[str, Latency]:
    found = {}
    with Progress(console=console(), transient=True) as progress:
        task = progress.add_task("reading", total=1.0 + len(others))
        first = read_motion(bag, f"/{reference}", tool)
        for stream in others:
            progress.update(task, advance=1.0, description=stream)
            found[stream] = estimate_latency(first, read_motion(bag, f"/{stream}", tool), config)
    return found


def _topics(bag: Bag, options: Options) -> list[str]:
    """The reference and the others, without the leading slash; all that the bag holds where none is named."""
    known = [topic for topic, info in bag.topics.items() if info.msgtype in READERS and info.count]
    named = options.streams or [topic for topic in known if _is_device(topic)]
    reference = options.reference.strip("/")
    others = list(dict.fromkeys(name.strip("/") for name in named if name.strip("/") != reference))
    if not others:
        remedy = "name it with --stream; the bag holds " + (", ".join(known) or "none")
        raise InputError("streams", expected=f"another stream than {reference}", got="none", remedy=remedy)
    return [reference, *others]


def _is_device(topic: str) -> bool:
    """Whether a driver stamps it: what is derived from another topic has its latency."""
    return topic.strip("/") in DEVICE_TOPICS


DEVICE_TOPICS = (
    "aurora/tools",
    "magnetometers/array_raw",
    "stereo/left/image_raw",
    "stereo/right/image_raw",
    "us_arm/encoders",
    "ultrasound/image_raw",
    "xray/image_raw",
)
"""Taken when no stream is named. The raw array: the calibrated one has the same stamps."""


def _config(options: Options) -> LatencyConfig:
    config = load_config(LatencyConfig, options.config)
    if options.max_offset_s is None:
        return config
    return load_config(LatencyConfig, {**_plain(config), "max_offset_s": options.max_offset_s}, "--max-offset")


def _plain(config: LatencyConfig) -> dict[str, object]:
    return {name: getattr(config, name) for name in LatencyConfig.__dataclass_fields__}


def _previous(options: Options) -> TimeCalibration | None:
    if options.previous is None:
        return None
    return time_calibration_of(load_calibration(options.previous, KIND, options.rig), str(options.previous))


def _check_previous(bag: Bag, options: Options) -> None:
    """What the drivers subtracted while recording must be known, or the sum would be wrong by it."""
    configs = [topic for topic, info in bag.topics.items() if info.msgtype == "lodestone_msgs/msg/Config"]
    parameters = [message.message.parameters for message in bag.messages(configs)] if configs else []
    used = [text for text in parameters if "time_calibration: " in text and "time_calibration: ''" not in text]
    if used and options.previous is None:
        remedy = "give that file with --previous, or record with time_calibration:=''"
        raise InputError(str(options.bag), expected="uncorrected stamps", got="drivers with a time calibration", remedy=remedy)


def _write(options: Options, calibration: TimeCalibration, found: dict[str, Latency]) -> None:
    CalibrationFile(
        kind=KIND,
        rig=options.rig,
        devices=tuple(calibration.streams),
        created=now_text(),
        method=METHOD,
        version=package_version("lodestone_core"),
        values=values_of(calibration),
        inputs={path.name: sha256_of(path) for path in (options.bag, options.previous) if path is not None},
        figures={f"predicted_share_{stream}": {"value": latency.share, "unit": ""} for stream, latency in found.items()},
    ).save(options.out)


def _table(reference: str, found: dict[str, Latency], calibration: TimeCalibration) -> Table:
    table = Table("stream", f"against {reference} (ms)", "sigma (ms)", "motion predicted", "by", "latency (ms)")
    for stream, latency in found.items():
        own = 1e3 * calibration.streams[stream].latency_s
        share, against, sigma = f"{latency.share:.2%}", f"{1e3 * latency.seconds:+.2f}", f"{1e3 * latency.sigma_s:.2f}"
        table.add_row(stream, against, sigma, share, latency.model, f"{own:.2f}")
    table.add_row(reference, "0", "", "", "", f"{1e3 * calibration.streams[reference].latency_s:.2f}")
    return table
