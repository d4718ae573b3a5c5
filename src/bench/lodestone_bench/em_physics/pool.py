"""Random scenes sorted by their distortion: what a rigid map leaves at the targets when the tracker has no noise."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lodestone_bench.em_physics.anatomy import HELD, LANDMARKS, POSES, TARGETS, Anatomy, Grip, draw_anatomy
from lodestone_bench.em_physics.coils import planar_generator
from lodestone_bench.em_physics.element import Element
from lodestone_bench.em_physics.kits import KINDS, Kit, apart, clear_of_generator, draw_kit
from lodestone_bench.em_physics.metal import respond
from lodestone_bench.em_physics.tracker import Measured, displaced, measure
from lodestone_core import se3
from lodestone_core.errors import InputError
from lodestone_core.types import Array

log = logging.getLogger(__name__)
FREEDOM = 2 * len(planar_generator()) - 6
"""Voltages of a sensor less the unknowns of its pose."""
_BATCH = 24
_GAPS = 6
_BULKY_FROM_MM = 4.0
"""From this distortion on only large metal is tried."""
_WEIGHTS = {False: np.array([1.0, 2.0, 3.0, 1.0, 1.0, 2.0]) / 10.0, True: np.array([2.0, 2.0, 1.0, 2.0, 2.0, 1.0]) / 10.0}
"""How often each of KINDS is tried: those that disturb little more often where little is wanted."""
_NO_RODS_FROM_MM = 8.0
_STRONGEST = np.array([2.5, 2.0, 0.0, 2.5, 2.5, 0.5]) / 10.0
_FARTHEST_MM = 320.0
_ROUGHLY = 0.8
"""A first look, at half the targets and with coarse sheets, is trusted so far."""
_ABSURD_MM, _ABSURD_RAD = 150.0, 1.0
"""A pose that is off by more is one that no user would take for the tool's."""


@dataclass(frozen=True, slots=True, eq=False)
class Noisy:
    """One repeat: poses (S, 76, 4, 4) and error indicators (S, 76) in mm."""

    T: Array
    indicator_mm: Array


@dataclass(frozen=True, slots=True, eq=False)
class Cell:
    """S scenes of one distortion, each with 76 poses of the tool: the first 60 on landmarks, the other 16 on targets.

    `T_true`, `T_measured` (S, 76, 4, 4) in the tracker's frame, without noise; `image_mm` (S, 76, 3) where the tool truly was in the image.
    """

    nominal_mm: float
    T_true: Array
    T_measured: Array
    image_mm: Array
    distortion_mm: Array
    kinds: npt.NDArray[np.str_]
    noise_factor: npt.NDArray[np.float32]
    residual: Array

    def __len__(self) -> int:
        return len(self.distortion_mm)

    def noisy(self, noise_mm: float, rng: np.random.Generator) -> Noisy:
        """The scenes as measured with white voltage noise, as much as gives this RMS 3-D position noise over all poses of a scene."""
        sigma = noise_mm / self.scene_noise_mm
        moved = np.einsum("spij,spj->spi", self.noise_factor.astype(np.float64), rng.standard_normal((*self.residual.shape, 6)))
        T = displaced(self.T_measured, moved * sigma[:, None, None])
        return Noisy(T, self._indicator(sigma[:, None], rng))

    @property
    def unit_noise_mm(self) -> Array:
        """RMS 3-D position noise (S, 76) of a voltage noise of 1 T."""
        rms: Array = np.sqrt(np.square(self.noise_factor[..., :3, :].astype(np.float64)).sum(axis=(-1, -2)))
        return rms

    @property
    def scene_noise_mm(self) -> Array:
        """The same (S,), RMS over each scene."""
        rms: Array = np.sqrt(np.square(self.unit_noise_mm).mean(axis=1))
        return rms

    def _indicator(self, sigma: Array, rng: np.random.Generator) -> Array:
        return indicator_mm(self.residual, sigma, self.unit_noise_mm, rng)


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """Cells by nominal distortion, and how many scenes were drawn and why some were left."""

    cells: Mapping[float, Cell]
    counts: Mapping[str, int]


def indicator_mm(residual: Array, sigma: Array, unit_noise_mm: Array, rng: np.random.Generator) -> Array:
    """The tracker's error indicator, mm: the position error that the voltages' residual would mean if it were noise.

    Drawn without the voltages: their noise is white; what no pose explains of it has one component along the residual, the others across.
    """
    along = residual + sigma * rng.standard_normal(residual.shape)
    across2 = np.square(sigma) * rng.chisquare(FREEDOM - 1, residual.shape)
    value: Array = np.sqrt((np.square(along) + across2) / FREEDOM) * unit_noise_mm
    return value


def scene_pool(cells: Sequence[float], per_cell: int, seed: int, tolerance: float = 0.2, grip: Grip = HELD) -> Pool:
    """Draw scenes until each cell holds `per_cell`. A cell is a distortion in mm, met within `tolerance`; 0 is a scene without metal.

    Raises InputError for a cell that no scene reaches.
    """
    rng = np.random.default_rng(seed)
    kept: dict[float, list[Cell]] = {cell: [] for cell in cells}
    counts: Counter[str] = Counter()
    if 0.0 in kept:
        kept[0.0] = [_without_metal(rng, per_cell, grip)]
    while lacking := [cell for cell in cells if sum(map(len, kept[cell])) < per_cell]:
        counts["drawn"] += _BATCH
        for cell, part in _draw(rng, lacking, tolerance, grip, counts):
            kept[cell].append(part)
        if counts["drawn"] > 1000 * (per_cell + 100):
            raise InputError("distortion of a cell", expected="one that scenes reach", got=lacking, remedy="choose a smaller one")
    return Pool({cell: _joined(parts, per_cell) for cell, parts in kept.items()}, dict(counts))


def rigid_residual_mm(source: Array, target: Array) -> Array:
    """Mean distances (...,) that the best rigid map leaves between points (..., N, 3)."""
    a, b = source - source.mean(axis=-2, keepdims=True), target - target.mean(axis=-2, keepdims=True)
    U, _, Vt = np.linalg.svd(np.swapaxes(a, -1, -2) @ b)
    U[..., 2] *= np.sign(np.linalg.det(U @ Vt))[..., None]
    left: Array = np.linalg.norm(a @ (U @ Vt) - b, axis=-1).mean(axis=-1)
    return left


def secondary_field(bodies: Sequence[Element], T: Array) -> Array:
    """In-phase field of metal (S, P, F, 3) at poses (S, P, 4, 4)."""
    return respond(bodies, planar_generator()).in_phase_field(T[..., :3, 3])


def _draw(rng: np.random.Generator, lacking: list[float], tolerance: float, grip: Grip, counts: Counter[str]) -> list[tuple[float, Cell]]:
    anatomy = draw_anatomy(rng, _BATCH, grip)
    bulky = min(lacking) >= _BULKY_FROM_MM or rng.uniform() < 0.3
    weights = _WEIGHTS[bulky] if min(lacking) < _NO_RODS_FROM_MM else _STRONGEST
    kit = draw_kit(rng, anatomy, str(rng.choice(list(KINDS), p=weights)), bulky)
    gaps, found = _trial(anatomy, kit, min(lacking))
    chosen = [_choose(rng, lacking, gaps, row, tolerance) for row in found]
    rows = np.array([i for i, choice in enumerate(chosen) if choice is not None], dtype=np.intp)
    counts["out of reach"] += _BATCH - len(rows)
    if not len(rows):
        return []
    wanted = np.array([choice[0] for choice in chosen if choice is not None])
    gap = np.array([choice[1] for choice in chosen if choice is not None])
    scenes, good = _measured(rng, anatomy, kit, rows, gap)
    hit = np.abs(scenes.distortion_mm / wanted - 1.0) <= tolerance
    counts["absurd"] += int((~good).sum())
    counts["missed"] += int((good & ~hit).sum())
    return [(cell, _take(scenes, np.flatnonzero(good & hit & (wanted == cell)), cell)) for cell in lacking]


def _trial(anatomy: Anatomy, kit: Kit, least_mm: float) -> tuple[Array, Array]:
    """Gaps (G,) and the distortions there (S, G): infinite where a pose is not solved or metal would stand in the generator.

    Scenes that plainly do not reach the least distortion at the smallest gap are not looked at any further.
    """
    gaps = np.geomspace(kit.gap_min_mm(), _FARTHEST_MM, _GAPS)
    found = np.zeros((len(anatomy), _GAPS))
    roughly = _trial_distortion(anatomy, kit.coarse(), np.arange(len(anatomy)), np.full(len(anatomy), gaps[0]), TARGETS // 2)
    rows = np.flatnonzero(roughly >= _ROUGHLY * least_mm)
    if len(rows):
        exact = _trial_distortion(anatomy, kit, np.repeat(rows, _GAPS), np.tile(gaps, len(rows)), TARGETS)
        found[rows] = exact.reshape(len(rows), _GAPS)
    return gaps, found


def _trial_distortion(anatomy: Anatomy, kit: Kit, rows: npt.NDArray[np.intp], gap: Array, targets: int) -> Array:
    """Distortions (len(rows),) at so many of the targets."""
    left = np.full(len(rows), np.inf)
    bodies = kit.at(gap, rows)
    clear = np.flatnonzero(clear_of_generator(bodies) & apart(bodies))
    if len(clear):
        T = anatomy.T_field_target[rows[clear], :targets]
        measured = _solved(kit.at(gap[clear], rows[clear]), T, 12, 0.05)
        solved = measured.solved.reshape(T.shape[:2]).all(axis=1)
        left[clear] = np.where(solved, rigid_residual_mm(measured.T.reshape(T.shape)[..., :3, 3], T[..., :3, 3]), np.inf)
    return left


def _choose(rng: np.random.Generator, lacking: list[float], gaps: Array, found: Array, tolerance: float) -> tuple[float, float] | None:
    """A lacking cell and the gap at which this scene is likely to belong to it; None if there is none."""
    wanted = rng.permutation([cell for cell in lacking if cell > 0.0])
    for cell in wanted:
        aim = float(cell) * (1.0 + 0.6 * tolerance * rng.uniform(-1.0, 1.0))
        for i in range(_GAPS - 2, -1, -1):
            near, far = found[i], found[i + 1]
            if np.isfinite(near) and np.isfinite(far) and near >= aim > far:
                share = np.log(near / aim) / np.log(near / max(far, 1e-6))
                return float(cell), float(gaps[i] * (gaps[i + 1] / gaps[i]) ** share)
    return None


def _measured(
    rng: np.random.Generator, anatomy: Anatomy, kit: Kit, rows: npt.NDArray[np.intp], gap: Array
) -> tuple[Cell, npt.NDArray[np.bool_]]:
    T = anatomy.with_landmarks(rng, rows)
    measured = _solved(kit.at(gap, rows), T, 25, 1e-3)
    scenes = _scenes(T, anatomy.T_image_field[rows], measured, np.full(len(rows), kit.kind))
    off = np.linalg.norm(scenes.T_measured[..., :3, 3] - T[..., :3, 3], axis=-1)
    good = measured.solved.reshape(T.shape[:2]) & (off < _ABSURD_MM) & (se3.geodesic(scenes.T_measured, T) < _ABSURD_RAD)
    return scenes, good.all(axis=1)


def _solved(bodies: Sequence[Element], T: Array, steps: int, tolerance_mm: float) -> Measured:
    secondary = secondary_field(bodies, T)
    return measure(secondary.reshape(-1, *secondary.shape[2:]), T.reshape(-1, 4, 4), steps=steps, tolerance_mm=tolerance_mm)


def _without_metal(rng: np.random.Generator, count: int, grip: Grip) -> Cell:
    anatomy = draw_anatomy(rng, count, grip)
    T = anatomy.with_landmarks(rng, np.arange(count))
    measured = measure(np.zeros((count * POSES, len(planar_generator()), 3)), T.reshape(-1, 4, 4))
    return _scenes(T, anatomy.T_image_field, measured, np.full(count, "none"))


def _scenes(T: Array, T_image_field: Array, measured: Measured, kinds: npt.NDArray[np.str_]) -> Cell:
    shape = T.shape[:2]
    solved = measured.T.reshape(T.shape)
    distortion = rigid_residual_mm(solved[:, LANDMARKS:, :3, 3], T[:, LANDMARKS:, :3, 3])
    image = se3.transform(T_image_field[:, None], T[..., :3, 3])
    factor = measured.noise_factor.reshape(*shape, 6, 6).astype(np.float32)
    return Cell(0.0, T, solved, image, distortion, kinds, factor, measured.residual.reshape(shape))


_ARRAYS = ("T_true", "T_measured", "image_mm", "distortion_mm", "kinds", "noise_factor", "residual")


def _take(cell: Cell, rows: npt.NDArray[np.intp], nominal_mm: float) -> Cell:
    return Cell(nominal_mm, *(getattr(cell, name)[rows] for name in _ARRAYS))


def _joined(parts: list[Cell], count: int) -> Cell:
    return Cell(parts[-1].nominal_mm, *(np.concatenate([getattr(p, name) for p in parts])[:count] for name in _ARRAYS))
