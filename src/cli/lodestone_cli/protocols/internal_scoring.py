"""One job of `em_internal`: draw scenes, measure them, and ask every method where the targets are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from em_registration.field.config import PoseFieldConfig
from em_registration.field.mixture import symmetric
from em_registration.field.scenes import SceneAnswers, predict_scenes
from em_registration.methods.batched import BATCHED
from em_registration.methods.combined import combine
from em_registration.methods.in_context import predict_batch
from em_registration.methods.interface import Prediction
from lodestone_bench.em_physics.anatomy import FREE, HELD, LANDMARKS
from lodestone_bench.em_physics.pool import Cell as Scenes
from lodestone_bench.em_physics.pool import scene_pool
from lodestone_cli.protocols.internal_config import Cell
from lodestone_core.covariance import expected_radius_95
from lodestone_core.types import Array

FIELD, NETWORK, COMBINED = "pose_field", "in_context", "combined"
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
    torch.set_num_threads(1)  # one process a core
    pool = scene_pool((job.distortion_mm,), job.count, job.seed, grip=FREE if job.free else HELD)
    scenes = pool.cells[job.distortion_mm]
    found: Scores = {}
    for index, noise_mm in enumerate(job.noise_mm):
        T = scenes.noisy(noise_mm, np.random.default_rng([job.seed, index])).T
        for landmarks in job.landmarks:
            cell = Cell(job.distortion_mm, noise_mm, landmarks)
            for method, answers in _answers(job, scenes, T, landmarks).items():
                found[method, cell] = _score(answers, scenes.image_mm[:, LANDMARKS:])
    return found


def _answers(job: Job, scenes: Scenes, T: Array, landmarks: int) -> dict[str, SceneAnswers]:
    """Of every method that applies to so few landmarks."""
    data, queries, image = T[:, :landmarks], T[:, LANDMARKS:], scenes.image_mm[:, :landmarks]
    unknown = np.full(len(T), np.nan)
    made: dict[str, SceneAnswers] = {}
    for method in (m for m in job.methods if m in OTHERS and landmarks >= LEAST_LANDMARKS.get(m, 3)):
        made[method] = SceneAnswers(OTHERS[method](data, image, queries), unknown)
    if FIELD in job.methods:
        made[FIELD] = predict_scenes(data, image, queries, np.zeros(3), job.field)
    if NETWORK in job.methods:
        made[NETWORK] = SceneAnswers(Prediction(*predict_batch(data, image, queries)), unknown)
    if COMBINED in job.methods and FIELD in made and NETWORK in made:
        made[COMBINED] = SceneAnswers(combine(made[FIELD].prediction, made[NETWORK].prediction), made[FIELD].evidence_non_rigid)
    return made


def _score(answers: SceneAnswers, truth: Array) -> Score:
    error = np.linalg.norm(answers.prediction.mean_mm - truth, axis=-1)
    parts = (error, expected_radius_95(symmetric(answers.prediction.covariance)), answers.evidence_non_rigid)
    return Score(*(np.asarray(part, dtype=np.float32) for part in parts))


def _by_position(name: str) -> Callable[[Array, Array, Array], Prediction]:
    return lambda data, image, queries: BATCHED[name](data[..., :3, 3], image, queries[..., :3, 3])


OTHERS: Mapping[str, Callable[[Array, Array, Array], Prediction]] = {name: _by_position(name) for name in BATCHED}
"""Poses (B, n, 4, 4), image points (B, n, 3), queries (B, M, 4, 4) -> predictions."""
