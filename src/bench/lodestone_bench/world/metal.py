"""Metal of the scripted world: where it is at any time, and what the tracker measures beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lodestone_bench.em_physics.coils import planar_generator
from lodestone_bench.em_physics.metal import respond
from lodestone_bench.em_physics.pool import FREEDOM
from lodestone_bench.em_physics.tracker import measure
from lodestone_bench.world.metal_config import MetalConfig
from lodestone_core.errors import InputError
from lodestone_core.types import Array

_PASS = 64
_STEPS, _TOLERANCE_MM = 12, 2e-3


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What the tracker makes of true poses (K, N, 4, 4) of K tools in N frames, without noise of its own.

    `residual_mm` (K, N): the error indicator that the disturbed field alone gives; `solved` (K, N): whether a pose was found.
    """

    T: Array
    residual_mm: Array
    solved: npt.NDArray[np.bool_]


class Metal:
    """All metal of a script. It moves at the times of the script and when it is asked to; times are seconds since the first TSTART."""

    def __init__(self, configs: Mapping[str, MetalConfig]) -> None:
        self._configs = dict(configs)
        # What happens to each body: from when on it goes in (True) or out.
        self._events = {name: [(t, i % 2 == 0) for i, t in enumerate(c.in_s)] for name, c in configs.items()}

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the pieces."""
        return tuple(self._configs)

    def check(self, name: str) -> None:
        """Raises InputError for a name that nobody described, or an empty one where there is no metal."""
        if not self._configs:
            raise InputError("request: metal", expected="a world with metal", got="none", remedy="describe it under metal: of the script")
        if name and name not in self._configs:
            raise InputError("request: body", expected="one of " + ", ".join(self._configs), got=name, remedy="name one of them")

    def move(self, name: str, into: bool, at_s: float) -> None:
        """From that time on a piece (all with an empty name) goes in or out; what the script had for later is dropped.

        Raises InputError for a name that nobody described.
        """
        self.check(name)
        for one in [name] if name else self._configs:
            self._events[one] = [*(event for event in self._events[one] if event[0] < at_s), (at_s, into)]

    def out(self, times_s: Array) -> Array:
        """Shares (N, pieces) of their way out: 0 in, 1 out."""
        return np.stack([self._out(name, times_s) for name in self._configs], axis=-1) if self._configs else np.ones((len(times_s), 0))

    def seen(self, T_true: Array, times_s: Array) -> Seen:
        """What the tracker makes of true poses (K, N, 4, 4) at times (N,); unchanged to the last bit where all metal is out."""
        T, residual = T_true.copy(), np.zeros(T_true.shape[:2])
        solved = np.ones(T_true.shape[:2], dtype=np.bool_)
        out = self.out(times_s)
        for present in np.unique(out < 1.0, axis=0):
            frames = np.flatnonzero(((out < 1.0) == present).all(axis=1)) if present.any() else np.zeros(0, dtype=np.intp)
            for start in range(0, len(frames), _PASS):
                some = frames[start : start + _PASS]
                T[:, some], residual[:, some], solved[:, some] = self._beside(present, out[some], T_true[:, some])
        return Seen(T, residual, solved)

    def _beside(self, present: npt.NDArray[np.bool_], out: Array, T: Array) -> tuple[Array, Array, npt.NDArray[np.bool_]]:
        pieces = [(i, config) for i, config in enumerate(self._configs.values()) if present[i]]
        # Metal at rest is solved once.
        places, which = np.unique(out, axis=0, return_inverse=True)
        response = respond([config.bodies(places[:, i]) for i, config in pieces], planar_generator()).taken(which.reshape(-1))
        points = np.swapaxes(T[..., :3, 3], 0, 1)
        secondary = np.swapaxes(response.in_phase_field(points), 0, 1)
        measured = measure(secondary.reshape(-1, *secondary.shape[2:]), T.reshape(-1, 4, 4), None, _STEPS, _TOLERANCE_MM)
        indicator = measured.residual / np.sqrt(FREEDOM) * measured.unit_noise_mm
        shape = T.shape[:2]
        return measured.T.reshape(T.shape), indicator.reshape(shape), measured.solved.reshape(shape)

    def _out(self, name: str, times_s: Array) -> Array:
        """The share moves at constant speed towards where the newest event sends it."""
        config = self._configs[name]
        rate = config.speed_mm_s / max(float(np.linalg.norm(config.away_mm)), 1e-9)
        share, since, into = (0.0, 0.0, True) if config.starts_in else (1.0, 0.0, False)
        out = np.empty(len(times_s))
        for start_s, next_into in [*self._events[name], (np.inf, into)]:
            here = (times_s >= since) & (times_s < start_s)
            out[here] = _towards(share, into, rate * (times_s[here] - since))
            share = float(_towards(share, into, np.array([rate * (start_s - since)]))[0]) if np.isfinite(start_s) else share
            since, into = start_s, next_into
        out[times_s < 0.0] = 0.0 if config.starts_in else 1.0
        return out


def _towards(share: float, into: bool, way: Array) -> Array:
    return np.maximum(0.0, share - way) if into else np.minimum(1.0, share + way)
