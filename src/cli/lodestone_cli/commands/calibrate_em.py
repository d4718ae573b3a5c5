"""`lodestone calibrate em`: a walk through the volume, live, in simulation or from a bag, to a registration file."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from rich.live import Live

from em_registration.calibration.assess import Verdict
from em_registration.calibration.config import CalibrationConfig
from em_registration.calibration.guide import Guide, PairsGuide, PointsGuide
from em_registration.config import RegistrationConfig
from em_registration.paired_poses import Provenance
from em_registration.registration import Registration
from lodestone_cli.calibration.inputs import read_points, read_tool, read_volume
from lodestone_cli.calibration.view import figures, picture
from lodestone_cli.commands.demo import isolated_environment
from lodestone_cli.console import DISCLAIMER, console
from lodestone_cli.demo.processes import running
from lodestone_cli.launch_file.arguments import parse_arguments
from lodestone_core.bags import open_bag
from lodestone_core.config import load_config
from lodestone_core.errors import InputError
from lodestone_core.messages import frame_from_msg, pose_from_msg, stamp_from_msg
from lodestone_core.results.provenance import sha256_of
from lodestone_core.version import package_version

TOOLS, REFERENCE = "/aurora/tools", "/reference/measured_cp"
LOOK_S = 2.0
DRAW_S = 0.25


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says."""

    words: tuple[str, ...]
    bag: Path | None
    out: Path
    points: Path | None
    tool: str
    tip: Path | None
    volume: str
    config: Path | None
    duration_s: float


def run(options: Options) -> int:
    """Collect, write `out`, which must not exist yet, and say how good it is."""
    if options.out.exists():
        raise InputError(str(options.out), expected="a new file", got="one that exists", remedy="give another name with --out")
    sim = _is_simulated(options)
    config = load_config(CalibrationConfig, options.config)
    guide = make_guide(options, config)
    say = console().print
    say(DISCLAIMER)
    if options.bag is not None:
        walk_through_bag(options.bag, guide)
    else:
        with simulated() if sim else _nothing():
            walk_live(guide, config, options.duration_s)
    inputs = {path.name: sha256_of(path) for path in (options.points, options.tip) if path is not None}
    created = datetime.now(UTC).isoformat(timespec="seconds")
    model = guide.result(Provenance(created, package_version("em_registration"), inputs))
    model.save(options.out)
    say(figures(guide, config))
    say(in_words(model))
    say(f"written to {options.out}; use it with registration_file:={options.out}, or load it into the running bench (~/load)")
    return 0


def make_guide(options: Options, config: CalibrationConfig) -> Guide:
    """The guide for known points, or for a reference tracker."""
    if options.points is None:
        return PairsGuide(config, RegistrationConfig(), options.tool, read_volume(options.volume))
    points = read_points(options.points)
    return PointsGuide(config, RegistrationConfig(), points, read_tool(options.tool or "0", options.tip))


def walk_through_bag(path: Path, guide: Guide) -> None:
    """A recorded walk, as it happened. Raises InputError when the bag lacks the tracker's frames."""
    began_ns, looked_ns, enough = 0, 0, ""
    with open_bag(path) as bag:
        if TOOLS not in bag.topics:
            raise InputError(str(path), expected=f"frames of the tracker on {TOOLS}", got="none", remedy="record that topic")
        for message in bag.messages([TOOLS, REFERENCE], missing_ok=True):
            stamp_ns = stamp_from_msg(message.message.header.stamp)
            if message.topic == TOOLS:
                guide.add_frame(frame_from_msg(message.message))
            else:
                guide.add_reference(stamp_ns, pose_from_msg(message.message.pose))
            began_ns = began_ns or stamp_ns
            if stamp_ns - looked_ns < LOOK_S * 1e9:
                continue
            looked_ns = stamp_ns
            if guide.look() is not Verdict.COLLECT and not enough:
                enough = f"after {(stamp_ns - began_ns) / 1e9:.0f} s: {guide.walk.verdict.value}"
    guide.look()
    console().print(guide.status)
    console().print(enough or f"the walk was not finished: {guide.asked()}")


def walk_live(guide: Guide, config: CalibrationConfig, duration_s: float) -> None:
    """Listen until there is enough, Ctrl-C, or the time is over."""
    from lodestone_cli.ros.calibration_probe import calibration_probe

    began = looked = time.monotonic()
    with calibration_probe(guide.add_frame, guide.add_reference) as spin, _drawing(guide, config) as draw:
        try:
            while time.monotonic() - began < duration_s:
                spin(DRAW_S)
                if time.monotonic() - looked >= LOOK_S:
                    verdict = guide.look()
                    looked = time.monotonic()
                    if verdict is not Verdict.COLLECT:
                        break
                draw()
        except KeyboardInterrupt:
            console().print("ended by hand")
    guide.look()


@contextmanager
def _drawing(guide: Guide, config: CalibrationConfig) -> Iterator[Callable[[], None]]:
    """A picture that is redrawn in place, or a line at each change where there is no terminal."""
    if console().is_terminal:
        with Live(picture(guide, config), console=console(), auto_refresh=False) as live:
            yield lambda: live.update(picture(guide, config), refresh=True)
        return
    said = ""

    def line() -> None:
        nonlocal said
        now = f"{guide.status}; {figures(guide, config)}"
        if now != said:
            said = now
            console().print(f"{now}; next: {guide.asked()}")

    yield line


def in_words(model: Registration) -> str:
    """How good a registration is, and what it corrects."""
    fields = [
        f"tool {name}: {len(field.data)} correspondences, leave-one-out RMS {np.sqrt(np.mean(field.leave_one_out_mm**2)):.2f} mm, "
        f"probability of a distortion {field.evidence_non_rigid:.0%}"
        for name, field in model.fields.items()
    ]
    return "\n".join([f"{model.method}: rigid residual {model.fre_mm:.2f} mm over {model.n}", *fields])


@contextmanager
def simulated() -> Iterator[None]:
    """The scripted bench with its reference tracker, in a DDS domain of its own that this process joins."""
    from lodestone_cli.launch_file.environment import with_middleware

    os.environ.update(with_middleware(isolated_environment()))
    with tempfile.TemporaryDirectory(prefix="lodestone_walk_") as folder:
        words = [f"port_link:={folder}/aurora"]
        with running("bench", ["up", "demo.launch.yaml", *words], dict(os.environ), Path(folder, "bench.log")):
            yield


@contextmanager
def _nothing() -> Iterator[None]:
    yield


def _is_simulated(options: Options) -> bool:
    given = parse_arguments(options.words)
    unknown = sorted(set(given) - {"sim"})
    if unknown or given.get("sim", "false") not in ("true", "false"):
        raise InputError("calibrate em", expected="sim:=true or nothing", got=" ".join(options.words), remedy="see --help")
    if given.get("sim") == "true" and (options.bag or options.points):
        raise InputError("calibrate em sim:=true", expected="neither --bag nor --points", got="one of them", remedy="leave it out")
    return given.get("sim") == "true"
