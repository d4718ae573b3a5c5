"""What a recording must have before anything is computed from it; each refusal names recording, sensor and remedy."""

from __future__ import annotations

import numpy as np

from guidewire_recon.calibration.config import CalibrationConfig
from guidewire_recon.calibration.coverage import covered, in_words
from guidewire_recon.calibration.recording import ArrayRecording, dwells
from lodestone_core.errors import InputError
from lodestone_core.types import Array


def check_recordings(
    rotation: ArrayRecording,
    magnet: ArrayRecording | None,
    background: ArrayRecording | None,
    warm_up: ArrayRecording | None,
    config: CalibrationConfig,
) -> None:
    """Raises InputError where recordings do not go together, or one of them cannot be used."""
    if config.field_strength_t is None and config.magnet.strength_t_mm3 is None:
        remedy = "give `field_strength_t` (from a reference magnetometer or a model of the Earth's field) or `magnet.strength_t_mm3`"
        raise InputError("scale", expected="a known field or a known magnet", got="neither", remedy=remedy)
    given = [r for r in (rotation, magnet, background, warm_up) if r is not None]
    for recording in given:
        check_count(recording, config)
        _check_same_array(rotation, recording)
        _check_usable(recording, config)
    if len(rotation) < config.least_samples:
        remedy = "turn the array slowly about all its axes for a minute"
        raise InputError(rotation.name, expected=f"{config.least_samples} samples", got=len(rotation), remedy=remedy)
    if magnet is None and config.field_strength_t is None:
        raise InputError("scale", expected="a recording of the known magnet", got="none", remedy="record it, or give `field_strength_t`")
    if magnet is not None:
        _check_magnet(magnet, background, config)


def check_count(recording: ArrayRecording, config: CalibrationConfig) -> None:
    """Raises InputError where there are not as many sensors as drawn."""
    count = config.layout.columns * config.layout.rows
    if recording.count != count:
        remedy = "give the layout of this array (layout.columns, layout.rows), or its own recording"
        raise InputError(recording.name, expected=f"{count} sensors", got=recording.count, remedy=remedy)


def check_coverage(rotation: ArrayRecording, bias: Array, root: Array, config: CalibrationConfig) -> Array:
    """Share (S,) of directions that each sensor has seen. Raises InputError that says which were not."""
    fields = np.einsum("sij,nsj->nsi", root, rotation.raw_T - bias)
    seen = np.array([covered(fields[:, s], config.near_deg) for s in range(rotation.count)])
    share = seen.mean(axis=1)
    worst = int(np.argmin(share))
    if share[worst] < config.least_coverage:
        got = f"{share[worst]:.0%} seen by s{worst:02d}: {in_words(seen[worst])}"
        remedy = "turn the array about all its axes, also upside down"
        raise InputError(rotation.name, expected=f"{config.least_coverage:.0%} of all directions", got=got, remedy=remedy)
    return np.asarray(share)


def _check_same_array(rotation: ArrayRecording, recording: ArrayRecording) -> None:
    if rotation.array_id >= 0 and recording.array_id >= 0 and rotation.array_id != recording.array_id:
        got = f"array {recording.array_id}"
        raise InputError(recording.name, expected=f"array {rotation.array_id}", got=got, remedy="give recordings of one array")


def _check_usable(recording: ArrayRecording, config: CalibrationConfig) -> None:
    share = np.isfinite(recording.raw_T).all(axis=2).mean(axis=0)
    poor = np.flatnonzero(share < config.least_valid)
    if not len(poor):
        return
    words = [f"s{s:02d} {share[s]:.0%}" + (f" ({recording.overflows[s]} overflows)" if recording.overflows[s] else "") for s in poor]
    remedy = "keep the magnet further away, or leave the sensor out of the array until it is mended"
    raise InputError(recording.name, expected=f"{config.least_valid:.0%} usable samples", got="; ".join(words), remedy=remedy)


def _check_magnet(magnet: ArrayRecording, background: ArrayRecording | None, config: CalibrationConfig) -> None:
    if background is None:
        remedy = "record the array at the same place, with nothing moved but the magnet, and give it as the background"
        raise InputError(magnet.name, expected="a background to take off", got="none", remedy=remedy)
    if magnet.T_array_magnet is None and config.magnet.strength_t_mm3 is None:
        remedy = "give T_array_magnet in the recording, or `magnet.strength_t_mm3`"
        raise InputError(magnet.name, expected="poses of the magnet, or its strength", got="neither", remedy=remedy)
    places = len(dwells(magnet)[0])
    if places < config.least_poses:
        raise InputError(magnet.name, expected=f"{config.least_poses} places", got=places, remedy="move the magnet over all sensors")
