"""`lodestone calibrate stereo`: two cameras from pictures of boards, live, from folders or from a bag, into the rig's folder."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from guidewire_recon.calibration.boards import BoardSpec, check_target, parse_board, read_target
from guidewire_recon.calibration.stereo import StereoCalibration, calibrate_stereo
from guidewire_recon.calibration.stereo_checks import check_nominal
from guidewire_recon.calibration.stereo_config import StereoConfig
from guidewire_recon.calibration.stereo_coverage import next_step
from guidewire_recon.calibration.stereo_file import bench_from_seat, frames_text, write_stereo
from guidewire_recon.calibration.stereo_picker import Picker
from guidewire_recon.calibration.stereo_quality import Figure, hold_out, summary
from guidewire_recon.calibration.stereo_types import SIDES
from lodestone_cli.calibration.stereo_inputs import Pairs, read_folders, read_stereo_bag
from lodestone_cli.console import DISCLAIMER, console
from lodestone_core import se3
from lodestone_core.checks import as_point, as_unit_quaternion
from lodestone_core.config import load_config
from lodestone_core.errors import InputError
from lodestone_core.results.provenance import sha256_of
from lodestone_core.types import Array
from lodestone_core.yaml_file import read_yaml

_LOOK_S = 0.5
_FRAMES = ("stereo_left_optical", "stereo_right_optical")


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says."""

    rig: Path
    board: str
    target: Path | None
    images: Path | None
    bag: Path | None
    topics: tuple[str, str]
    tolerance_ms: float
    seat: str
    seat_pose: str
    config: Path | None
    replace: bool
    duration_s: float


def run(options: Options) -> int:
    """Collect views, calibrate, say how good it is, write the rig's files."""
    config = load_config(StereoConfig, options.config)
    boards = boards_of(options)
    seat = _seat(options)
    picker = Picker(boards)
    say = console().print
    say(DISCLAIMER)
    collect(options, picker)
    if set(picker.sizes) != set(SIDES):
        raise InputError("calibrate stereo", expected="images of both cameras", got=picker.said, remedy="check paths, topics and cameras")
    found = calibrate_stereo(picker.views, picker.sizes, len(boards), config)
    T_bench_left = None if seat is None else bench_from_seat(found, options.seat, seat)
    notes = against_frames(options.rig, found, config, T_bench_left)
    figures = summary(hold_out(found, config), config)
    source = options.images or options.bag
    inputs = {} if source is None else {source.name: sha256_of(source)}
    say(views_table(found))
    say(figures_table(found, figures))
    say(*(f"{view} was dropped: {why}" for view, why in found.dropped.items()), *notes, sep="\n")
    say("A camera sees shapes, not lengths: all distances are as right as the size of the squares that was given. Measure them.")
    write_stereo(options.rig, found, boards, figures, inputs, T_bench_left, options.replace)
    say(f"written to {options.rig}: left.yaml, right.yaml, stereo.yaml")
    if T_bench_left is not None:
        say(f"for {options.rig / 'frames.yaml'}:\n{frames_text(T_bench_left, found.rig.T_right_left)}")
    return 0


def boards_of(options: Options) -> tuple[BoardSpec, ...]:
    """The target's boards. Raises InputError unless exactly one way to say them is used."""
    if bool(options.board) == (options.target is not None):
        got = "both" if options.board else "neither"
        raise InputError("calibrate stereo", expected="--board or --target", got=got, remedy="for example --board charuco:11x8:6:4.5")
    return read_target(options.target) if options.target is not None else check_target((parse_board(options.board),), "--board")


def collect(options: Options, picker: Picker) -> None:
    """Fill the picker with views from where the options say."""
    tell = console().print
    if options.images is not None and options.bag is not None:
        raise InputError("calibrate stereo", expected="--images or --bag, or neither for a live pair", got="both", remedy="leave one out")
    if options.images is not None:
        read_folders(options.images, picker, tell)
    elif options.bag is not None:
        read_stereo_bag(options.bag, options.topics, options.tolerance_ms, picker, tell)
    else:
        collect_live(options, picker)


def collect_live(options: Options, picker: Picker) -> None:
    """Listen to the running cameras until the views are enough, Ctrl-C, or the time is over; says what to do next."""
    from lodestone_cli.ros.stereo_probe import stereo_probe

    def take(left: object, right: object) -> None:
        picker.add(left, right)  # type: ignore[arg-type]

    pairs = Pairs(options.tolerance_ms, take)
    began, said = time.monotonic(), ""
    with stereo_probe(options.topics, pairs.add) as spin:
        try:
            while time.monotonic() - began < options.duration_s:
                spin(_LOOK_S)
                step = next_step(picker.views, picker.sizes) if set(picker.sizes) == set(SIDES) else "waiting for images of both cameras"
                now = f"{len(picker.views)} views; {picker.said}; next: {step or 'enough'}"
                if now != said:
                    console().print(now)
                said = now
                if not step:
                    return
        except KeyboardInterrupt:
            console().print("ended by hand")


def against_frames(rig: Path, found: StereoCalibration, config: StereoConfig, T_bench_left: Array | None) -> list[str]:
    """Warnings where the rig's frames.yaml says something else of the cameras; none where it does not name them. Raises InputError."""
    path = rig / "frames.yaml"
    tree = read_yaml(path) if path.exists() else None
    edges = tree.get("frames", []) if isinstance(tree, dict) else []
    poses: dict[str, Array] = {}
    for edge in edges:
        if isinstance(edge, dict) and edge.get("child") in _FRAMES and edge.get("parent") == "bench":
            where = f"{path}, {edge['child']}"
            q, t = as_unit_quaternion(where, edge.get("quaternion_xyzw", [])), as_point(where, edge.get("translation_mm", []))
            poses[edge["child"]] = se3.from_quaternion(q, t)
    if len(poses) < 2:
        return []
    return check_nominal(found.rig, (poses[_FRAMES[0]], poses[_FRAMES[1]]), config, T_bench_left)


def views_table(found: StereoCalibration) -> Table:
    """Residuals of each view."""
    table = Table("view", "left (px)", "right (px)", "corners", title="RMS of each view")
    for view in found.views:
        each = [found.bundle.view_rms_px(view, side) for side in SIDES]
        count = sum(len(s.pixels) for side in SIDES for s in view.of(side))
        table.add_row(view.name, *(f"{value:.3f}" if value == value else "" for value in each), str(count))
    return table


def figures_table(found: StereoCalibration, figures: Mapping[str, tuple[Figure, str]]) -> Table:
    """What was found, and how well it does on views that it did not see."""
    table = Table("figure", "value", "unit", "95 % interval", "views")
    sigma_mm = float(found.extrinsic_covariance[:3, :3].trace()) ** 0.5
    table.add_row(
        "distance of the cameras", f"{float((found.rig.T_right_left[:3, 3] ** 2).sum()) ** 0.5:.2f}", "mm", f"sigma {sigma_mm:.2f}", ""
    )
    for side in SIDES:
        K = found.rig.camera(side).K
        table.add_row(f"{side} focal length, principal point", f"{K[0, 0]:.1f} {K[1, 1]:.1f}, {K[0, 2]:.1f} {K[1, 2]:.1f}", "px", "", "")
    for name, (value, unit) in figures.items():
        if value.n:
            table.add_row(name.replace("_", " "), f"{value.value:.3g}", unit, f"{value.low:.3g} to {value.high:.3g}", str(value.n))
    return table


def _seat(options: Options) -> Array | None:
    """T_bench_target of the seat, from x,y,z,qx,qy,qz,qw."""
    if not options.seat and not options.seat_pose:
        return None
    try:
        numbers = [float(word) for word in options.seat_pose.split(",")]
    except ValueError:
        numbers = []
    if not options.seat or len(numbers) != 7:
        remedy = "give --seat VIEW and --seat-pose x,y,z,qx,qy,qz,qw (mm) together"
        raise InputError(
            "calibrate stereo", expected="a view and its target's pose in bench", got=options.seat_pose or "no pose", remedy=remedy
        )
    return se3.from_quaternion(as_unit_quaternion("--seat-pose", numbers[3:]), as_point("--seat-pose", numbers[:3]))
