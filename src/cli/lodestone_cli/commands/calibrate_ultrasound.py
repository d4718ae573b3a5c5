"""`lodestone calibrate ultrasound`: where the fan is in a video, and how large a pixel is, for one depth of the machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from lodestone_cli.calibration.grey_images import Images, read_images
from lodestone_cli.console import DISCLAIMER, console
from lodestone_core.calibration_file import CalibrationFile, load_calibration, now_text
from lodestone_core.config import load_config
from lodestone_core.errors import InputError
from lodestone_core.results.provenance import sha256_of
from lodestone_core.version import package_version
from us_motion.fan_fit import FanFit, FitConfig, fit_fan
from us_motion.frame_geometry import FanConfig, spacing_from_targets
from us_motion.ultrasound_calibration import KIND, UltrasoundCalibration, calibration_from

METHOD = "outline of what moves, fitted by two edges and two arcs"
_MOST_IMAGES = 300
_AGREE = 0.03


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says. `targets` are "x0,y0,x1,y1=mm": two places in the image and their distance.

    `depth_mm` None: the size of a pixel comes from the targets, and the depth from it.
    """

    recording: Path
    rig: str
    preset: str
    depth_mm: float | None
    out: Path
    face_radius_mm: float
    crop: str
    add_to: Path | None
    targets: tuple[str, ...]
    topic: str
    device: str
    config: Path | None


def run(options: Options) -> int:
    """Find, show, write `out`, which must not exist yet."""
    if options.out.exists():
        raise InputError(str(options.out), expected="a new file", got="one that exists", remedy="give another name with --out")
    images = read_images(options.recording, options.topic, _MOST_IMAGES)
    base, file = _base(options, images)
    left, top, width, height = base.crop_px
    fit = fit_fan(images[:, top : top + height, left : left + width], load_config(FitConfig, options.config))
    fan = _geometry(options, fit)
    figures = _figures(options, fit, fan)
    calibration = UltrasoundCalibration(base.frame_px, base.crop_px, {**base.presets, options.preset: fan})
    # As a driver will read it: what it would refuse is refused now.
    _write(options, calibration_from(calibration.values(), str(options.out)), figures, file)
    say = console().print
    say(DISCLAIMER)
    say(_table(options, fit, fan, figures))
    say(f"written to {options.out}; presets: {', '.join(calibration.presets)}")
    return 0


def _base(options: Options, images: Images) -> tuple[UltrasoundCalibration, CalibrationFile | None]:
    """What the new preset joins: the file of `--add-to`, or nothing but size and crop."""
    size = (images.shape[2], images.shape[1])
    if options.add_to is None:
        return UltrasoundCalibration(size, _crop(options.crop, size), {}), None
    file = load_calibration(options.add_to, KIND, options.rig)
    base = calibration_from(file.values, str(options.add_to))
    if base.frame_px != size:
        got = f"{size[0]} x {size[1]}"
        remedy = "record with the same settings of the frame grabber"
        raise InputError(str(options.recording), expected=f"images of {base.frame_px[0]} x {base.frame_px[1]}", got=got, remedy=remedy)
    if options.preset in base.presets:
        raise InputError("--preset", expected="a new name", got=options.preset, remedy=f"{options.add_to} has it already: take another")
    return base, file


def _crop(text: str, size: tuple[int, int]) -> tuple[int, int, int, int]:
    if not text:
        return 0, 0, *size
    try:
        left, top, width, height = (int(part) for part in text.split(","))
    except ValueError:
        raise InputError("--crop", expected="LEFT,TOP,WIDTH,HEIGHT in pixels", got=f"'{text}'", remedy="correct it") from None
    if min(left, top) < 0 or min(width, height) < 16 or left + width > size[0] or top + height > size[1]:
        raise InputError("--crop", expected=f"a part of {size[0]} x {size[1]}", got=f"'{text}'", remedy="correct it")
    return left, top, width, height


def _geometry(options: Options, fit: FanFit) -> FanConfig:
    if options.depth_mm is not None:
        return fit.geometry(options.depth_mm, options.face_radius_mm)
    if not options.targets:
        remedy = "give one of the two"
        raise InputError("--depth", expected="the depth that the machine shows, or --target", got="neither", remedy=remedy)
    return fit.geometry_of_spacing(_target_spacing(options.targets)[0], options.face_radius_mm)


def _figures(options: Options, fit: FanFit, fan: FanConfig) -> dict[str, dict[str, object]]:
    """How good it is. Raises InputError where known targets contradict the depth that the machine shows."""
    figures: dict[str, dict[str, object]] = {
        f"{options.preset}_outline_rms": {"value": round(fit.rms_px, 4), "unit": "px"},
        f"{options.preset}_outline_share": {"value": round(fit.share, 4), "unit": ""},
    }
    if options.targets:
        spacing, sigma = _target_spacing(options.targets)
        if abs(spacing / fan.spacing_mm[0] - 1.0) > _AGREE:
            remedy = "check the depth that the machine shows, the radius of the probe's face, and the distance of the targets"
            got = f"{spacing:.4f} mm from the targets"
            raise InputError("size of a pixel", expected=f"about {fan.spacing_mm[0]:.4f} mm, from the depth", got=got, remedy=remedy)
        figures[f"{options.preset}_target_spacing"] = {"value": round(spacing, 6), "unit": "mm", "sigma": round(sigma, 6)}
    return figures


def _target_spacing(targets: tuple[str, ...]) -> tuple[float, float]:
    pixels, distances = [], []
    for target in targets:
        try:
            places, distance = target.split("=")
            x0, y0, x1, y1 = (float(part) for part in places.split(","))
            pixels += [(x0, y0), (x1, y1)]
            distances.append(float(distance))
        except ValueError:
            raise InputError("--target", expected="X0,Y0,X1,Y1=MM", got=f"'{target}'", remedy="correct it") from None
    return spacing_from_targets(pixels, [(2 * number, 2 * number + 1) for number in range(len(targets))], distances)


def _write(
    options: Options, calibration: UltrasoundCalibration, figures: dict[str, dict[str, object]], before: CalibrationFile | None
) -> None:
    recorded = {f"{options.preset}: {options.recording.name}": sha256_of(options.recording)}
    CalibrationFile(
        kind=KIND,
        rig=options.rig,
        devices=before.devices if before else (options.device,),
        created=now_text(),
        method=METHOD,
        version=package_version("lodestone_core"),
        values=calibration.values(),
        inputs={**(before.inputs if before else {}), **recorded},
        figures={**(before.figures if before else {}), **figures},
    ).save(options.out)


def _table(options: Options, fit: FanFit, fan: FanConfig, figures: dict[str, dict[str, object]]) -> Table:
    table = Table("what", "value", "unit")
    table.add_row("preset", f"{options.preset}, {fan.depth_mm:.1f} mm deep", "")
    table.add_row("size of a pixel", f"{fan.spacing_mm[0]:.4f}", "mm")
    if (known := figures.get(f"{options.preset}_target_spacing")) is not None:
        table.add_row("from known targets", f"{known['value']} (sigma {known['sigma']})", "mm")
    table.add_row("apex", f"{fan.apex_px[0]:.2f}, {fan.apex_px[1]:.2f}", "px")
    table.add_row("radius of the face", f"{fan.radius_min_mm:.2f}", "mm")
    table.add_row("edges", f"{fan.angle_min_rad:.4f}, {fan.angle_max_rad:.4f}", "rad")
    table.add_row("outline, RMS", f"{fit.rms_px:.2f} px, {fit.share:.0%} of it", "")
    return table
