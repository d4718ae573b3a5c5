"""From recordings to the calibration of an array: checks, closed-form starts, joint refinement, and what it is worth.

1  slopes with temperature (warm-up recording)
2  an ellipsoid for each sensor (rotation recording): bias, gains, skew; scale by the strength of the field
3  turns of the sensors against one another: the field is the same at all of them
4  the array's own turn, the magnet's strength, its poses where they are not known (magnet recording less background)
5  everything at once (array_model.py), places included; every fifth place of the magnet is left out
6  the error at the places that were left out
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from guidewire_recon.calibration.alignment import Turn, align, best_turn
from guidewire_recon.calibration.array_checks import check_count, check_coverage, check_recordings
from guidewire_recon.calibration.array_model import PER_SENSOR, Data, Refined, State, model_magnet, refine
from guidewire_recon.calibration.config import CalibrationConfig
from guidewire_recon.calibration.ellipsoid import fit_ellipsoid
from guidewire_recon.calibration.layout import drawn_positions, drawn_rotations, nearest_axes
from guidewire_recon.calibration.recording import ArrayRecording, dwells
from guidewire_recon.calibration.temperature import temperature_slopes
from guidewire_recon.drivers.calibrated import ArrayCalibration
from guidewire_recon.magnet_field import Magnet, cylinder_octupole_mm2, magnet_field
from guidewire_recon.magnet_localisation import LocalisationConfig, Localiser, Located
from lodestone_core.errors import InputError
from lodestone_core.types import Array

_FREE = 1e3
_SAMENESS_FLOOR_T = 1e-10
_ASSUMED_T = 5e-5
_EXPLAINED = 0.3


@dataclass(frozen=True, slots=True, eq=False)
class Recordings:
    """What was recorded. Only `rotation` is needed; without `magnet` places stay as drawn, without `warm_up` slopes are 0."""

    rotation: ArrayRecording
    magnet: ArrayRecording | None = None
    background: ArrayRecording | None = None
    warm_up: ArrayRecording | None = None


@dataclass(frozen=True, slots=True, eq=False)
class CalibratedArray:
    """The calibration and how sure it is.

    `position_sigma_mm` (S, 3), `position_covariance` (3 S, 3 S) mm^2; `field_rms_T`: residual of the rotation recording, one axis;
    `held_out_T`: RMS of magnet fields at places left out, one axis, NaN without; `coverage` (S,): share of directions seen;
    `strength_t_mm3`: of the magnet, NaN without; `uniform_T`: of the rotation recording; `chi2`: mean squared residual over expected.
    """

    calibration: ArrayCalibration
    position_sigma_mm: Array
    position_covariance: Array
    field_rms_T: float
    held_out_T: float
    coverage: Array
    strength_t_mm3: float
    uniform_T: float
    chi2: float


def calibrate_array(recordings: Recordings, config: CalibrationConfig) -> CalibratedArray:
    """Calibrate. Raises InputError that names the recording, and what it lacks, where no calibration would be worth its name."""
    check_recordings(recordings.rotation, recordings.magnet, recordings.background, recordings.warm_up, config)
    work = _Work(recordings, config)
    seen = check_coverage(work.rotation, work.start.bias, work.root, config)
    refined = refine(work.start, work.data, config.iterations)
    if refined.chi2 > config.worst_residual**2 or not np.isfinite(refined.chi2):
        got = f"{np.sqrt(refined.chi2):.1f} times the noise"
        remedy = "keep iron away and the field uniform while the array turns; check the magnet's poses and size"
        raise InputError("calibration", expected=f"residuals within {config.worst_residual:g} times the noise", got=got, remedy=remedy)
    return work.outcome(refined, seen)


class _Work:
    """The steps' results, each used by the next."""

    def __init__(self, recordings: Recordings, config: CalibrationConfig) -> None:
        self.config = config
        self.recordings = recordings
        self.drawn_mm, self.drawn_R = drawn_positions(config.layout), drawn_rotations(config.layout)
        self.slopes = np.zeros_like(self.drawn_mm)
        if recordings.warm_up is not None:
            self.slopes, _ = temperature_slopes(recordings.warm_up, config)
        warmth = recordings.rotation.temperature_degc
        self.reference_degc = float(np.nanmean(warmth)) if np.isfinite(warmth).any() else 25.0
        every = max(1, -(-len(recordings.rotation) // config.most_samples))
        self.rotation = self._cooled(recordings.rotation.taken(np.arange(0, len(recordings.rotation), every)))
        self.noise = noise_of(recordings.background, config)
        self.root, bias, C = self._from_rotation()
        self.places, self.held = self._magnet_samples()
        self.start, self.data = self._joint(C, bias)

    def _cooled(self, recording: ArrayRecording) -> ArrayRecording:
        """As at the reference temperature; where a sensor's temperature is not known it counts as that."""
        warmth = recording.temperature_degc - self.reference_degc
        warmth = np.where(np.isfinite(warmth), warmth, 0.0)
        return replace(recording, raw_T=recording.raw_T - self.slopes * warmth[..., None])

    def _from_rotation(self) -> tuple[Array, Array, Array]:
        """Symmetric root (S, 3, 3) and bias (S, 3) of each sensor, and C (S, 3, 3) of the model."""
        strength = self.config.field_strength_t or _ASSUMED_T
        found = [fit_ellipsoid(self.rotation.raw_T[:, s], strength, f"{self.rotation.name}, s{s:02d}") for s in range(self.rotation.count)]
        root, bias = np.array([e.matrix for e in found]), np.array([e.bias for e in found])
        fields = np.einsum("sij,nsj->nsi", root, self.rotation.raw_T - bias)
        R = align(fields, self.drawn_R, self.config.layout.most_turn_deg)
        return root, bias, np.linalg.inv(R @ root)

    def _magnet_samples(self) -> tuple[ArrayRecording | None, npt.NDArray[np.bool_]]:
        """Averaged places of the magnet, background off, and which of them are kept for the test."""
        magnet, background = self.recordings.magnet, self.recordings.background
        if magnet is None or background is None:
            return None, np.zeros(0, dtype=np.bool_)
        still = np.nanmean(self._cooled(background).raw_T, axis=0)
        places, counts = dwells(self._cooled(magnet))
        used = np.arange(0, len(places), max(1, -(-len(places) // self.config.most_poses)))
        places, self.dwell_counts = places.taken(used), counts[used]
        places = replace(places, raw_T=places.raw_T - still)
        return places, np.arange(len(places)) % self.config.held_out == self.config.held_out - 1

    def _joint(self, C: Array, bias: Array) -> tuple[State, Data]:
        c = self.config
        strength = c.field_strength_t or _ASSUMED_T
        if self.places is None:
            poses, log_strength, measured = np.zeros((0, 4, 4)), 0.0, np.zeros((0, *C.shape[:2]))
        else:
            C, strength, log_strength, poses = self._with_magnet(C, strength)
            poses, measured = poses[~self.held], self.places.raw_T[~self.held]
        fields = np.nanmean(np.einsum("sij,nsj->nsi", np.linalg.inv(C), self.rotation.raw_T - bias), axis=1)
        known = self.places is not None and self.places.T_array_magnet is not None
        sigma = np.zeros((0, 1))
        if self.places is not None:
            sigma = self.noise / np.sqrt(np.maximum(self.dwell_counts[~self.held], 1.0))[:, None]
        given = c.field_strength_t is not None
        data = Data(
            rotation=self.rotation.raw_T,
            rotation_sigma=np.tile(self.noise, (len(self.rotation), 1)),
            magnet=measured,
            magnet_sigma=np.broadcast_to(sigma, measured.shape[:2]),
            octupole_mm2=cylinder_octupole_mm2(c.magnet.length_mm, c.magnet.radius_mm),
            rest_sigma=self.noise / np.sqrt(len(self.recordings.background or [0])),
            drawn_mm=self.drawn_mm,
            drawn_sigma_mm=c.layout.position_sigma_mm,
            poses=poses,
            pose_sigma_mm=c.magnet.position_sigma_mm if known else _FREE,
            pose_sigma_rad=np.radians(c.magnet.rotation_sigma_deg) if known else _FREE,
            uniform_T=strength,
            uniform_sigma_T=1e-6 * strength if given else np.inf,
            sameness_T=max(c.uniformity * strength, _SAMENESS_FLOOR_T),
            log_strength=log_strength,
            log_strength_sigma=self._strength_sigma(given),
            held_together=self.places is None,
        )
        return State(C, bias, self.drawn_mm.copy(), np.zeros_like(bias), strength, log_strength, fields, poses), data

    def _strength_sigma(self, given: bool) -> float:
        """Of the log: fixed where it sets the scale, or where nothing depends on it; else as well as it is known."""
        if not given or self.places is None:
            return 1e-6
        return float("inf") if self.config.magnet.strength_t_mm3 is None else self.config.magnet.strength_sigma

    def _with_magnet(self, C: Array, strength: float) -> tuple[Array, float, float, Array]:
        """C turned into the frame of the poses, F, log of the magnet's strength, and all poses (found where they are not known)."""
        assert self.places is not None
        given = self.config.magnet.strength_t_mm3
        fields = np.einsum("sij,msj->msi", np.linalg.inv(C), self.places.raw_T)
        if self.places.T_array_magnet is None:
            assert given is not None  # check_recordings
            return C, strength, float(np.log(given)), self._found_poses(fields, given)
        poses = self.places.T_array_magnet
        octupole = cylinder_octupole_mm2(self.config.magnet.length_mm, self.config.magnet.radius_mm)
        unit = model_magnet(np.tile(np.eye(3), (len(C), 1, 1)), self.drawn_mm, poses, Magnet(1.0, octupole))
        turn = best_turn(fields.reshape(-1, 3), unit.reshape(-1, 3))
        turned = np.einsum("ij,msj->msi", turn.R, fields)
        known = np.isfinite(turned).all(axis=-1)
        size = float(np.sum(turned[known] * unit[known]) / np.sum(unit[known] ** 2))
        self._check_frame(turn, fields[known], unit[known])
        if self.config.field_strength_t is None:
            assert given is not None
            # The scale of the fields was assumed: the magnet corrects it.
            return C @ turn.R.T * (size / given), strength * given / size, float(np.log(given)), poses
        return C @ turn.R.T, strength, float(np.log(given or size)), poses

    def _check_frame(self, turn: Turn, measured: Array, modelled: Array) -> None:
        """Raises InputError unless some turn of the array, and a small one, explains the fields of the magnet."""
        mirror = best_turn(measured, modelled, mirrored=True)
        if turn.misfit > _EXPLAINED:
            axes = nearest_axes(mirror.R, mirrored=True)
            remedy = "give T_array_magnet in mm, the magnet's moment (south to north) along its z axis, in the frame of the array"
            got = f"{turn.misfit:.0%} of the fields not explained"
            if mirror.misfit <= _EXPLAINED:
                got = "fields of the opposite sign" if axes == "-x -y -z" else f"left-handed sensors, all with axes along '{axes}'"
                remedy = "turn the magnet's poses over" if axes == "-x -y -z" else "correct the axes in the firmware"
            raise InputError("magnet recording", expected="poses that explain the fields", got=got, remedy=remedy)
        R = turn.R
        angle = float(np.degrees(np.arccos(np.clip(0.5 * (np.trace(R) - 1.0), -1.0, 1.0))))
        if angle > self.config.layout.most_turn_deg:
            got = f"the array turned by {angle:.0f} degrees, its axes along '{nearest_axes(R)}'"
            remedy = "check the frame of the poses, or say in `layout.axes` how the sensors are mounted"
            raise InputError("axes", expected="fields in the frame of the magnet's poses", got=got, remedy=remedy)

    def _found_poses(self, fields: Array, strength: float) -> Array:
        c = self.config
        magnet = Magnet(strength, cylinder_octupole_mm2(c.magnet.length_mm, c.magnet.radius_mm))
        reach = float(np.abs(self.drawn_mm).max()) + 60.0
        search = LocalisationConfig(
            low_mm=(-reach, -reach, 15.0), high_mm=(reach, reach, 150.0), step_mm=20.0, model_share=0.05, noise_t=c.noise_t
        )
        localiser = Localiser(self.drawn_mm, magnet, search)
        poses = []
        for index, field in enumerate(fields):
            found = localiser.locate(field)
            if not isinstance(found, Located):
                remedy = "give the poses (T_array_magnet), or check the strength and size of the magnet"
                raise InputError(f"place {index} of the magnet", expected="a magnet over the array", got=found.reason, remedy=remedy)
            poses.append(found.T_array_magnet)
        return np.array(poses)

    def outcome(self, refined: Refined, seen: Array) -> CalibratedArray:
        """The calibration in the layout of its file."""
        state = refined.state
        K = np.linalg.inv(state.matrix)
        U, sizes, Vt = np.linalg.svd(K)
        R = U @ Vt
        root = np.swapaxes(Vt, 1, 2) @ (sizes[..., None] * Vt)
        S = len(K)
        places = np.concatenate([np.arange(PER_SENSOR * s + 12, PER_SENSOR * s + 15) for s in range(S)])
        C = refined.covariance[np.ix_(places, places)] * max(refined.chi2, 1.0)
        background = np.full((S, 3), np.nan)
        if self.recordings.background is not None:
            still = np.nanmean(self._cooled(self.recordings.background).raw_T, axis=0)
            background = np.einsum("sij,sj->si", K, still - state.bias)
        calibration = ArrayCalibration(
            array_id=max(self.recordings.rotation.array_id, 0),
            reference_degc=self.reference_degc,
            matrix=root,
            bias_T=state.bias,
            slope_T_per_K=self.slopes,
            rotation=R,
            position_mm=state.place,
            background_T=background,
            noise_T=self.noise,
        )
        rotation_T = refined.rotation * self.data.rotation_sigma[..., None]
        return CalibratedArray(
            calibration=calibration,
            position_sigma_mm=np.sqrt(np.diag(C)).reshape(S, 3),
            position_covariance=C,
            field_rms_T=float(np.sqrt(np.nanmean(rotation_T**2))),
            held_out_T=self._held_out(K, state),
            coverage=seen,
            strength_t_mm3=float(np.exp(state.log_strength)) if self.places is not None else float("nan"),
            uniform_T=state.uniform_T,
            chi2=refined.chi2,
        )

    def _held_out(self, K: npt.NDArray[np.floating[Any]], state: State) -> float:
        if self.places is None or self.places.T_array_magnet is None or not self.held.any():
            return float("nan")
        poses = self.places.T_array_magnet[self.held]
        r = state.place - poses[:, None, :3, 3]
        u = np.broadcast_to(poses[:, None, :3, 2], r.shape)
        modelled = magnet_field(r, u, Magnet(float(np.exp(state.log_strength)), self.data.octupole_mm2))
        left = np.einsum("sij,msj->msi", K, self.places.raw_T[self.held]) - modelled
        return float(np.sqrt(np.nanmean(left**2)))


def noise_of(background: ArrayRecording | None, config: CalibrationConfig) -> Array:
    """Noise of one axis (S,), T: from differences of neighbours at rest; as configured without such a recording."""
    count = config.layout.columns * config.layout.rows
    if background is None or len(background) < 20:
        return np.full(count, config.noise_t)
    steps = np.diff(background.raw_T, axis=0)
    spread = 1.4826 * np.nanmedian(np.abs(steps), axis=(0, 2)) / np.sqrt(2.0)
    # Counts of 10 nT: quieter than that nothing can be.
    return np.maximum(np.where(np.isfinite(spread), spread, config.noise_t), 3e-9)


__all__ = ["CalibratedArray", "Recordings", "calibrate_array", "check_count", "noise_of"]
