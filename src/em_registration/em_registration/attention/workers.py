"""Many trainings at a time, each in a process of its own with one thread."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context

import torch

from em_registration.attention.config import TrainingConfig
from em_registration.attention.experiment import TrainingSet
from em_registration.attention.model import AttentionModel
from em_registration.attention.train import train

Listener = Callable[[float, str], None]


@dataclass(frozen=True, slots=True)
class Job:
    """One training: what it is called, how, and from which seed."""

    variant: str
    training: TrainingConfig
    seed: int


def train_all(data: TrainingSet, jobs: Sequence[Job], processes: int, listen: Listener) -> list[AttentionModel]:
    """The models of jobs, in their order; 0 processes: one a core, 1: here. `listen(share done, what)` hears of every epoch or job."""
    count = processes or os.cpu_count() or 1
    if count == 1:
        return [_train_here(data, job, i, len(jobs), listen) for i, job in enumerate(jobs)]
    models: dict[int, AttentionModel] = {}
    # A fresh interpreter: a fork would inherit the threads of torch and BLAS in whatever state they are.
    with ProcessPoolExecutor(count, mp_context=get_context("spawn"), initializer=torch.set_num_threads, initargs=(1,)) as pool:
        futures = {pool.submit(_train_one, data, job): i for i, job in enumerate(jobs)}
        for done in as_completed(futures):
            job = jobs[futures[done]]
            models[futures[done]] = done.result()
            listen(len(models) / len(jobs), f"{job.variant}, seed {job.seed} trained")
    return [models[i] for i in range(len(jobs))]


def _train_one(data: TrainingSet, job: Job) -> AttentionModel:
    return train(data, job.training, job.seed)


def _train_here(data: TrainingSet, job: Job, index: int, count: int, listen: Listener) -> AttentionModel:
    def heard(epoch: int, loss: float) -> None:
        share = (index + epoch / job.training.epochs) / count
        listen(share, f"{job.variant}, seed {job.seed}, epoch {epoch}: {loss:.4f}")

    return train(data, job.training, job.seed, listen=heard)
