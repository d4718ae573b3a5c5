"""One set of the course: its pivots and C_expected, and whether its readings are free of noise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lodestone_core import se3
from lodestone_core.config import option
from lodestone_core.errors import InputError
from lodestone_core.formats import cis
from lodestone_core.paired_points_checks import rigid_fit
from lodestone_core.pivot import PivotConfig, calibrate_pivot

Array = npt.NDArray[np.float64]

# Beyond any residual: the course's outputs rest on all frames by plain least squares.
_ALL_FRAMES = PivotConfig(inlier_sigmas=1e9, max_rms_mm=1e9)


@dataclass(frozen=True, slots=True)
class CisConfig:
    """Settings of the protocol."""

    pattern: str = option("*-debug-*", doc="names of the sets to run; each needs its expected output")
    print_step_mm: float = option(0.01, unit="mm", doc="step to which the files print coordinates", minimum=1e-9)

    @property
    def max_noise_free_rms_mm(self) -> float:
        """RMS residual of a fit that rounding explains: three times that of a point rounded in each coordinate."""
        return 3.0 * self.print_step_mm * float(np.sqrt(3.0 / 12.0))


@dataclass(frozen=True, slots=True, eq=False)
class Pivot:
    """A pivot's post in the EM tracker's frame (3,), mm.

    `error_mm`: distance from the given output. `rms_mm`: residual of the pivot. `fit_rms_mm`: largest RMS residual of the
    rigid fits of this tracker's markers, in the pivot and in the calibration readings.
    """

    position_mm: Array
    error_mm: float
    rms_mm: float
    fit_rms_mm: float
    frames: int
    noise_free: bool


@dataclass(frozen=True, slots=True, eq=False)
class SetResult:
    """Pivots by tracker ("em", "optical"), and our C_expected against the given one.

    `c_given_fit_rms_mm`: residual of the rigid fits of the object's own markers to the given C_expected.
    """

    name: str
    pivots: Mapping[str, Pivot]
    c_error_rms_mm: float
    c_error_max_mm: float
    c_given_fit_rms_mm: float
    c_points: int


def find_sets(folder: Path, config: CisConfig) -> list[str]:
    """Names of the sets that have an expected output. Raises InputError when there is none."""
    suffix = "-output1.txt"
    names = sorted(path.name.removesuffix(suffix) for path in folder.glob(config.pattern + suffix))
    if not names:
        expected = f"files {config.pattern}{suffix}"
        raise InputError(str(folder), expected=expected, got="none", remedy="check the folder and settings.pattern")
    return names


def solve_set(folder: Path, name: str, config: CisConfig) -> SetResult:
    """Everything about one set. Raises InputError with file and line for bad input."""

    def place(kind: str) -> Path:
        return folder / f"{name}-{kind}.txt"

    body, readings = cis.read_calbody(place("calbody")), cis.read_calreadings(place("calreadings"))
    G, optical = cis.read_empivot(place("empivot")), cis.read_optpivot(place("optpivot"))
    expected = cis.read_output1(place("output1"))
    C_expected, optical_fit_mm = _expected_readings(body, readings)
    if C_expected.shape != expected.C_expected.shape:
        got = f"{expected.C_expected.shape[:2]} frames and markers"
        raise InputError(str(place("output1")), expected=f"{C_expected.shape[:2]}", got=got, remedy="give files of one set")
    H, base_fit_mm = _in_em_frame(body.d, optical)
    em_fit_mm = max(_fit(body.c, C)[1] for C in readings.C)
    apart = np.linalg.norm(C_expected - expected.C_expected, axis=-1)
    return SetResult(
        name=name,
        pivots={
            "em": _pivot(G, expected.em_pivot, em_fit_mm, config),
            "optical": _pivot(H, expected.optical_pivot, max(optical_fit_mm, base_fit_mm), config),
        },
        c_error_rms_mm=_rms(apart),
        c_error_max_mm=float(apart.max()),
        c_given_fit_rms_mm=_rms(np.array([_fit(body.c, C)[1] for C in expected.C_expected])),
        c_points=apart.size,
    )


def _pivot(markers: Array, given: Array, other_fit_mm: float, config: CisConfig) -> Pivot:
    """Pivot of a probe with markers (F, N, 3) in the EM frame; the first frame's centroid is the probe's origin."""
    model = markers[0] - markers[0].mean(axis=0)
    fits = [_fit(model, frame) for frame in markers]
    pivot = calibrate_pivot(np.stack([T for T, _ in fits]), replace(_ALL_FRAMES, min_poses=min(10, len(fits))))
    fit_rms_mm = max(other_fit_mm, *(fre for _, fre in fits))
    return Pivot(
        position_mm=pivot.pivot_reference_mm,
        error_mm=float(np.linalg.norm(pivot.pivot_reference_mm - given)),
        rms_mm=pivot.rms_mm,
        fit_rms_mm=fit_rms_mm,
        frames=len(fits),
        noise_free=max(pivot.rms_mm, fit_rms_mm) <= config.max_noise_free_rms_mm,
    )


def _expected_readings(body: cis.CalibrationBody, readings: cis.CalibrationReadings) -> tuple[Array, float]:
    """C_expected = F_D^-1 F_A c (F, NC, 3) and the largest residual of the two fits; assignment 1, question 5."""
    found, worst = [], 0.0
    for D, A in zip(readings.D, readings.A, strict=True):
        (F_D, fre_D), (F_A, fre_A) = _fit(body.d, D), _fit(body.a, A)
        found.append(se3.transform(se3.inverse(F_D) @ F_A, body.c))
        worst = max(worst, fre_D, fre_A)
    return np.stack(found), worst


def _in_em_frame(d: Array, optical: cis.OpticalPivot) -> tuple[Array, float]:
    """Markers of the optical probe (F, NH, 3) in the EM frame, by the base's markers; and the largest residual."""
    fits = [_fit(d, D) for D in optical.D]
    H = np.stack([se3.transform(se3.inverse(F_D), h) for (F_D, _), h in zip(fits, optical.H, strict=True)])
    return H, max(fre for _, fre in fits)


def _fit(source: Array, target: Array) -> tuple[Array, float]:
    """T_target_source of paired points in closed form, and the RMS residual in mm; a set has thousands of them."""
    R, fre_mm = rigid_fit(source, target)
    return se3.make(R, target.mean(axis=0) - R @ source.mean(axis=0)), fre_mm


def _rms(values: Array) -> float:
    return float(np.sqrt(np.mean(np.square(values))))
