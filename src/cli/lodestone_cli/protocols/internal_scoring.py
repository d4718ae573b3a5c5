"""One job of `em_internal`: draw scenes, measure them, and ask every method where the targets are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from em_registration.field.config import PoseFieldConfig
from em_registration.field.scenes import predict_scenes
from em_registration.methods.batched import BATCHED
from em_registration.methods.interface import Prediction
from lodestone_bench.em_physics.anatomy import FREE, HELD, LANDMARKS
from lodestone_bench.em_physics.pool import Cell as Scenes
from lodestone_bench.em_physics.pool import scene_pool
from lodestone_cli.protocols.internal_config import Cell
from lodestone_core.covariance import expected_radius_95
from lodestone_core.types import Array

FIELD = "pose_field"
LEAST_LANDMARKS: Mapping[str, int] = {"affine": 5, "tps": 5}
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """Scenes of one distortion, with the cells and methods to score on them."""

    distortion_mm: float
    count: int
    seed: int
    free: bool
    noise_mm: tuple[float, ...]
    landmarks: tuple[int, ...]
    methods: tuple[str, ...]
    field: PoseFieldConfig


@dataclass(frozen=True, slots=True, eq=False)
class Score:
    """Of one method in one cell: errors and predicted 95 % radii (S, 16) at the targets, mm; `evidence` (S,) of a distortion or NaN."""

    error_mm: Floats
    radius_mm: Floats
    evidence: Floats

    def joined(self, other: Score) -> Score:
        """Both."""
        pairs = ((self.error_mm, other.error_mm), (self.radius_mm, other.radius_mm), (self.evidence, other.evidence))
        return Score(*(np.concatenate(pair) for pair in pairs))


Scores = dict[tuple[str, Cell], Score]


def score(job: Job) -> Scores:
    """All methods in all cells of the job's distortion."""
    pool = scene_pool((job.distortion_mm,), job.count, job.seed, grip=FREE if job.free else HELD)
    scenes = pool.cells[job.distortion_mm]
    found: Scores = {}
    for index, noise_mm in enumerate(job.noise_mm):
        T = scenes.noisy(noise_mm, np.random.default_rng([job.seed, index])).T
        for landmarks in job.landmarks:
            for method in job.methods:
                if landmarks >= LEAST_LANDMARKS.get(method, 3):
                    found[method, Cell(job.distortion_mm, noise_mm, landmarks)] = _score(method, scenes, T, landmarks, job.field)
    return found


def _score(method: str, scenes: Scenes, T: Array, landmarks: int, field: PoseFieldConfig) -> Score:
    data, queries = T[:, :landmarks], T[:, LANDMARKS:]
    image, truth = scenes.image_mm[:, :landmarks], scenes.image_mm[:, LANDMARKS:]
    if method == FIELD:
        answers = predict_scenes(data, image, queries, np.zeros(3), field)
        prediction, evidence = answers.prediction, answers.evidence_non_rigid
    else:
        prediction, evidence = OTHERS[method](data, image, queries), np.full(len(T), np.nan)
    error = np.linalg.norm(prediction.mean_mm - truth, axis=-1)
    parts = (error, expected_radius_95(prediction.covariance), evidence)
    return Score(*(np.asarray(part, dtype=np.float32) for part in parts))


def _by_position(name: str) -> Callable[[Array, Array, Array], Prediction]:
    return lambda data, image, queries: BATCHED[name](data[..., :3, 3], image, queries[..., :3, 3])


OTHERS: Mapping[str, Callable[[Array, Array, Array], Prediction]] = {name: _by_position(name) for name in BATCHED}
"""Poses (B, n, 4, 4), image points (B, n, 3), queries (B, M, 4, 4) -> predictions."""
