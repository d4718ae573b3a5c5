"""What is believed of a tracker's distortion before any data: ranges of the hyper-parameters, and how they are searched."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
from scipy.stats import qmc

from lodestone_core.config import option
from lodestone_core.types import Array


@dataclass(frozen=True, slots=True)
class PoseFieldConfig:
    """Priors of the field: uniform, or log-uniform for scales, between a lowest and a highest value."""

    noise_mm: float = option(0.08, unit="mm", doc="expected noise of a coordinate: the scale of its prior", minimum=1e-6)
    noise_weight: float = option(1.5, doc="how many measurements this expectation is worth", minimum=0.1)
    rigid_prior: float = option(0.5, doc="probability, before any data, that there is no distortion", minimum=0.0, maximum=1.0)
    lowest_ratio: float = option(0.3, doc="smallest distortion, in standard deviations of the noise", minimum=1e-3)
    highest_ratio: float = option(150.0, doc="largest distortion, in standard deviations of the noise", minimum=1e-3)
    shortest_mm: float = option(60.0, unit="mm", doc="shortest distance over which the distortion changes", minimum=1e-3)
    longest_mm: float = option(900.0, unit="mm", doc="longest such distance", minimum=1e-3)
    smallest_turn_rad: float = option(0.4, unit="rad", doc="smallest turn of a sensor that changes what it sees", minimum=1e-3)
    largest_turn_rad: float = option(3.0, unit="rad", doc="largest such turn", minimum=1e-3)
    steepest_growth: float = option(4.5, doc="largest power of the distance from the generator with which distortion grows", minimum=0.0)
    temperature: float = option(4.0, doc="by which the log evidence is divided: caution against choosing too surely", minimum=1.0)
    caution: float = option(2.2, doc="what a distortion known from few points adds to the covariance; of the dipole world", minimum=0.0)
    strongest_swing: float = option(2.0, doc="turns of the distortion's axes for one turn of the direction from the generator", minimum=0.0)
    steepest_noise: float = option(4.0, doc="largest power of the distance from the generator with which noise grows", minimum=0.0)
    hypotheses: int = option(128, doc="combinations of hyper-parameters that are weighed, a power of 2", minimum=2)
    kept: int = option(16, doc="of these the most probable ones, which predict", minimum=1)
    seed: int = option(0, doc="seed of the sequence that spreads the combinations", minimum=0)


@dataclass(frozen=True, slots=True, eq=False)
class Hypotheses:
    """Combinations of hyper-parameters, (P,) each, and the logarithm of their prior probability.

    `ratio`: amplitude of the distortion in standard deviations of the noise, at the data's RMS distance from the field generator; 0 is the
    rigid hypothesis. `growth`: power of that distance with which the amplitude grows: the transmitter's field and with it the sensor's hold
    on its place fade with distance, a stray field does not. `length_mm`, `turn_rad`: distance and turn over which the distortion changes;
    `turned_share`: share of its variance that depends on the orientation at all. `warp`: 0, places are compared as they are; 1, by
    direction from the generator alone; between, lengths grow with that power of the distance. `swing`: by how much the axes along which
    the distortion is alike turn with the direction from the generator (0: the tracker's own axes; 1: radial and tangential).
    `noise_growth`: power of the distance with which the noise grows.
    """

    ratio: Array
    length_mm: Array
    turn_rad: Array
    turned_share: Array
    growth: Array
    warp: Array
    swing: Array
    noise_growth: Array
    log_prior: Array

    def __len__(self) -> int:
        return len(self.ratio)

    def take(self, kept: slice | npt.NDArray[np.intp]) -> Hypotheses:
        """Those with these indices."""
        return Hypotheses(**{name: getattr(self, name)[kept] for name in FIELDS})


FIELDS = tuple(field.name for field in fields(Hypotheses))


RIGID = 4
"""Rigid hypotheses: they differ in how the noise grows."""


def hypotheses(config: PoseFieldConfig) -> Hypotheses:
    """Rigid hypotheses, then `config.hypotheses` others, evenly spread over the prior (scrambled Sobol sequence)."""
    u = qmc.Sobol(8, scramble=True, rng=config.seed).random(config.hypotheses)

    def linear(column: int, high: float) -> Array:
        return np.concatenate([np.zeros(RIGID), high * u[:, column]])

    def logarithmic(column: int, low: float, high: float, rigid: float) -> Array:
        return np.concatenate([np.full(RIGID, rigid), low * (high / low) ** u[:, column]])

    shares = np.concatenate([np.full(RIGID, config.rigid_prior / RIGID), np.full(len(u), (1.0 - config.rigid_prior) / len(u))])
    noise_growth = linear(7, config.steepest_noise)
    noise_growth[:RIGID] = np.linspace(0.0, config.steepest_noise, RIGID)
    with np.errstate(divide="ignore"):
        log_prior = np.log(shares)
    return Hypotheses(
        ratio=logarithmic(0, config.lowest_ratio, config.highest_ratio, 0.0),
        length_mm=logarithmic(1, config.shortest_mm, config.longest_mm, 1.0),
        turn_rad=logarithmic(2, config.smallest_turn_rad, config.largest_turn_rad, 1.0),
        turned_share=linear(3, 1.0),
        growth=linear(4, config.steepest_growth),
        warp=linear(5, 1.0),
        swing=linear(6, config.strongest_swing),
        noise_growth=noise_growth,
        log_prior=log_prior,
    )
