"""What each magnetometer of the emulated array really is, drawn from the seed; and what it shows of a field.

    counts = M_i (R_i^T B(p_i)) + b_i + s_i (T - T_ref), in units of 10 nT

`M_i` holds gains and skew, `R_i` turns from the sensor to the array. A calibration has to find A_i = M_i^-1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from lodestone_bench.emulators.array_config import ArrayConfig
from lodestone_core.types import Array

_SEED = 0x3A11


class ArrayTruth:
    """n sensors; arrays have them along their first axis."""

    def __init__(self, config: ArrayConfig, seed: int) -> None:
        self.config = config
        random = np.random.default_rng([_SEED, seed])
        grid = grid_mm(config)
        n = len(grid)
        self.position_mm = grid + config.position_sigma_mm * random.standard_normal((n, 3))
        self.rotation = Rotation.from_rotvec(config.tilt_sigma_rad * random.standard_normal((n, 3))).as_matrix()
        gains = 1.0 + config.gain_sigma * random.standard_normal((n, 3))
        skew = np.triu(config.skew_sigma_rad * random.standard_normal((n, 3, 3)), 1)
        self.response = gains[:, :, None] * (np.eye(3) + skew)
        self.bias_T = config.bias_sigma_T * random.standard_normal((n, 3))
        self.slope_T_per_K = config.slope_sigma_T_per_K * random.standard_normal((n, 3))
        turn = Rotation.from_rotvec(np.radians(config.rotation_deg)).as_matrix()
        self.rotation_bench = turn @ self.rotation
        self.points_mm = self.position_mm @ turn.T + np.asarray(config.position_mm)
        """Where the sensors are in bench."""

    @property
    def count(self) -> int:
        """Sensors."""
        return len(self.points_mm)

    def temperature_degc(self, world_s: float) -> float:
        """Temperature of the array."""
        return self.config.temperature_degc + self.config.warming_K * (1.0 - float(np.exp(-max(0.0, world_s) / self.config.warming_s)))

    def shown_T(self, field_T: Array, temperature_degc: float) -> Array:
        """What the sensors show (n, 3) along their own axes of a field (n, 3) in bench; without noise."""
        own = np.einsum("nji,nj->ni", self.rotation_bench, field_T)
        warmth = temperature_degc - self.config.reference_degc
        shown: Array = np.einsum("nij,nj->ni", self.response, own) + self.bias_T + self.slope_T_per_K * warmth
        return shown

    def calibration_values(self, background_T: Array | None = None) -> dict[str, Any]:
        """The perfect calibration, in the layout of a file of kind `magnetometers`; background (n, 3) in the array's frame."""
        inverse = np.linalg.inv(self.response)
        sensors = [
            {
                "matrix": inverse[i].tolist(),
                "bias_T": self.bias_T[i].tolist(),
                "slope_T_per_K": self.slope_T_per_K[i].tolist(),
                "rotation": self.rotation[i].tolist(),
                "position_mm": self.position_mm[i].tolist(),
                "background_T": None if background_T is None else background_T[i].tolist(),
                "noise_T": self.config.noise_T,
            }
            for i in range(self.count)
        ]
        return {"array_id": self.config.array_id, "reference_degc": self.config.reference_degc, "sensors": sensors}


def grid_mm(config: ArrayConfig) -> Array:
    """The places (n, 3) that the sensors should have in the array's frame."""
    x = config.pitch_mm * (np.arange(config.columns) - 0.5 * (config.columns - 1))
    y = config.pitch_mm * (np.arange(config.rows) - 0.5 * (config.rows - 1))
    return np.array([(a, b, 0.0) for b in y for a in x])
