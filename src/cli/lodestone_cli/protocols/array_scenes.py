"""Recordings of the simulated bench as the calibration takes them, and recordings that it has to refuse."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from guidewire_recon.calibration.array_calibration import Recordings
from guidewire_recon.calibration.recording import ArrayRecording, dwells, recording_of
from lodestone_bench.emulators.array_config import ArrayConfig
from lodestone_bench.magnetics.calibration_scene import CalibrationScene, SceneConfig, Taken
from lodestone_core.config import option, section, to_mapping
from lodestone_core.types import Array


@dataclass(frozen=True, slots=True)
class ArrayCalibrationConfig:
    """Which arrays are drawn, and how they are recorded."""

    seeds: int = option(24, doc="arrays, each on its own platform", minimum=2)
    array: ArrayConfig = section(ArrayConfig, doc="how far sensors are from ideal")
    scene: SceneConfig = section(SceneConfig, doc="what is done with array and magnet")
    fields: int = option(60, doc="fields in which a calibrated array is tested", minimum=1)
    weakest_t: float = option(2e-5, unit="T", doc="weakest of them", minimum=0.0)
    strongest_t: float = option(8e-4, unit="T", doc="strongest of them", minimum=0.0)
    temperatures_degc: tuple[float, ...] = option((24.0, 30.0, 36.0), unit="degC", doc="at which they are tested")


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """One array with its recordings."""

    scene: CalibrationScene
    recordings: Recordings


def draw(config: ArrayCalibrationConfig, seed: int) -> Drawn:
    """An array and a full set of recordings."""
    world: Mapping[str, Any] = {"array": to_mapping(config.array)}
    scene = CalibrationScene(world, config.scene, seed)
    recordings = Recordings(
        rotation=as_recording(scene, scene.rotation(), "rotation"),
        magnet=as_recording(scene, scene.magnet(), "magnet"),
        background=as_recording(scene, scene.background(), "background"),
        warm_up=as_recording(scene, scene.warm_up(), "warm-up"),
    )
    return Drawn(scene, recordings)


def as_recording(scene: CalibrationScene, taken: Taken, name: str) -> ArrayRecording:
    """As a reader would give it."""
    return recording_of(taken.counts, name, taken.temperature_degc, None, taken.T_array_magnet, scene.array.config.array_id)


def without_poses(recordings: Recordings) -> Recordings:
    """The magnet's places averaged, but not known."""
    assert recordings.magnet is not None
    places, _ = dwells(recordings.magnet)
    return replace(recordings, magnet=replace(places, T_array_magnet=None))


def _cap(r: Recordings) -> Recordings:
    upward = np.nanmedian(r.rotation.raw_T[..., 2], axis=1)
    return replace(r, rotation=r.rotation.taken(np.flatnonzero(upward > np.quantile(upward, 0.75))))


def _overflow(r: Recordings) -> Recordings:
    raw = r.rotation.raw_T.copy()
    raw[::2, 3] = np.nan
    return replace(r, rotation=replace(r.rotation, raw_T=raw))


def _turned(rows: slice, order: tuple[int, int, int], signs: tuple[float, float, float]) -> Callable[[Recordings], Recordings]:
    def turn(recording: ArrayRecording | None) -> ArrayRecording | None:
        if recording is None:
            return None
        raw = recording.raw_T.copy()
        raw[:, rows] = raw[:, rows][..., list(order)] * np.array(signs)
        return replace(recording, raw_T=raw)

    def turned(r: Recordings) -> Recordings:
        rotation = turn(r.rotation)
        assert rotation is not None
        return Recordings(rotation, turn(r.magnet), turn(r.background), turn(r.warm_up))

    return turned


def _other_array(r: Recordings) -> Recordings:
    assert r.magnet is not None
    return replace(r, magnet=replace(r.magnet, array_id=7))


def _fewer(r: Recordings) -> Recordings:
    return replace(r, rotation=replace(r.rotation, raw_T=r.rotation.raw_T[:, :9], temperature_degc=r.rotation.temperature_degc[:, :9]))


def _metres(r: Recordings) -> Recordings:
    assert r.magnet is not None and r.magnet.T_array_magnet is not None
    T: Array = r.magnet.T_array_magnet.copy()
    T[:, :3, 3] /= 1e3
    return replace(r, magnet=replace(r.magnet, T_array_magnet=T))


def _reversed(r: Recordings) -> Recordings:
    assert r.magnet is not None and r.magnet.T_array_magnet is not None
    T: Array = r.magnet.T_array_magnet @ np.diag([1.0, -1.0, -1.0, 1.0])
    return replace(r, magnet=replace(r.magnet, T_array_magnet=T))


def _cold(r: Recordings) -> Recordings:
    assert r.warm_up is not None
    return replace(r, warm_up=r.warm_up.taken(np.arange(3 * len(r.warm_up) // 4, len(r.warm_up))))


BAD: Mapping[str, tuple[Callable[[Recordings], Recordings], str]] = {
    "a quarter of the sphere": (_cap, "directions"),
    "one sensor overflows": (_overflow, "s03"),
    "one sensor turned by 90 degrees": (_turned(slice(5, 6), (1, 0, 2), (1.0, -1.0, 1.0)), "s05"),
    "two axes of one sensor swapped": (_turned(slice(5, 6), (1, 0, 2), (1.0, 1.0, 1.0)), "s05"),
    "all sensors turned by 90 degrees": (_turned(slice(None), (1, 0, 2), (1.0, -1.0, 1.0)), "turned by"),
    "two axes of all sensors swapped": (_turned(slice(None), (1, 0, 2), (1.0, 1.0, 1.0)), "left-handed"),
    "recordings of two arrays": (_other_array, "array 7"),
    "another number of sensors": (_fewer, "16 sensors"),
    "poses in metres": (_metres, "mm"),
    "a magnet upside down": (_reversed, "opposite"),
    "no warming": (_cold, "rise"),
}
"""Recordings to be refused: what makes them of good ones, and a word that the refusal must have."""
