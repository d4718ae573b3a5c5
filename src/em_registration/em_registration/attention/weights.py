"""The weights of the two losses over the training (equation 10)."""

from __future__ import annotations

import math

from em_registration.attention.config import LossConfig


def loss_weights(progress: float, config: LossConfig) -> tuple[float, float]:
    """lambda_1 of the contrastive and lambda_2 of the position loss at a share of the training, t / T from 0 to 1."""
    gain = config.position_max - config.position_min
    if config.dynamic:
        first = config.contrastive_max * math.exp(-config.decay * progress)
        second = config.position_min + gain * (1.0 - math.exp(-config.growth * progress))
    else:
        first = config.contrastive_max * _mean_exp(config.decay)
        second = config.position_min + gain * (1.0 - _mean_exp(config.growth))
    return (first if config.contrastive else 0.0), second


def _mean_exp(rate: float) -> float:
    """Mean of exp(-rate s) over s from 0 to 1."""
    return 1.0 if rate == 0.0 else -math.expm1(-rate) / rate
