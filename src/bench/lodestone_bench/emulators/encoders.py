"""Six incremental encoders on the joints of the world's arm: lines that are counted, index pulses that latch, and what goes wrong.

A count is the floor of a continuous position; in a gap between two triggers the joints are looked at every 20 ms, so that its pulses
are counted as a device counts them that goes on while nobody listens.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from lodestone_bench.world.arm import JOINTS, ArmWorld

Array = npt.NDArray[np.float64]
_STEP_S = 0.02
_LONGEST_GAP_S = 60.0


def _zeros() -> npt.NDArray[np.int64]:
    return np.zeros(JOINTS, dtype=np.int64)


@dataclass(slots=True)
class EncoderState:
    """What the device holds of all encoders; lost on power-off."""

    zero: npt.NDArray[np.int64] = field(default_factory=_zeros)
    latched: npt.NDArray[np.int64] = field(default_factory=_zeros)
    seen: npt.NDArray[np.bool_] = field(default_factory=lambda: np.zeros(JOINTS, dtype=np.bool_))
    pulses: npt.NDArray[np.int64] = field(default_factory=_zeros)
    illegal: npt.NDArray[np.int64] = field(default_factory=_zeros)


class Encoders:
    """The counters at rising world times."""

    def __init__(self, world: ArmWorld) -> None:
        self.world = world
        self.wiring = list(range(JOINTS))
        """Which joint's encoder is plugged into each input."""
        self.dead_until_s = np.zeros(JOINTS)
        self.weak_until_s = np.zeros(JOINTS)
        self.state = EncoderState()
        self._config = world.config.encoders
        self._revolution = np.array(self._config.counts_per_revolution, dtype=np.float64)
        self._per_rad = np.array(self._config.sign) * np.array(self._config.gear_ratio) * self._revolution / (2.0 * np.pi)
        self._index = self._per_rad * np.array(self._config.index_rad)
        self._world_s: float | None = None
        self._position = np.zeros(JOINTS)

    @property
    def world_s(self) -> float:
        """Of the newest trigger."""
        return self._world_s or 0.0

    def power_on(self) -> None:
        """Counters begin anew where the joints stand at the next trigger."""
        self.state = EncoderState()
        self._world_s = None

    def advance(self, world_s: float) -> npt.NDArray[np.int64]:
        """Count up to a world time; the counts (6), not yet cut to the width of the counters."""
        if self._world_s is None:
            self._position = self._at(np.array([world_s]))[0]
            self.state.zero = np.floor(self._position).astype(np.int64) - self._config.first_count
        else:
            begin = max(self._world_s, world_s - _LONGEST_GAP_S)
            steps = max(1, int(np.ceil((world_s - begin) / _STEP_S)))
            times = np.linspace(begin, world_s, steps + 1)[1:]
            for time_s, position in zip(times, self._at(times), strict=True):
                self._move(position, float(time_s))
        self._world_s = world_s
        return np.floor(self._position).astype(np.int64) - self.state.zero

    def lose(self, encoder: int, counts: int) -> None:
        """The counter of this input falls behind by so many."""
        self.state.zero[encoder] += counts

    def false_index(self, encoder: int) -> None:
        """A pulse on the index line where there is none."""
        self._latch(encoder, int(np.floor(self._position[encoder])))

    def _at(self, times: Array) -> Array:
        """Continuous counts (n, 6) of the inputs, as they are wired."""
        positions: Array = (self.world.joint_positions(times) * self._per_rad)[:, self.wiring]
        return positions

    def _move(self, position: Array, world_s: float) -> None:
        dead = self.dead_until_s > world_s
        moved = position - self._position
        self.state.zero[dead] += (np.floor(position) - np.floor(self._position)).astype(np.int64)[dead]
        revolution, index = self._revolution[self.wiring], self._index[self.wiring]
        # The edge that starts the pulse lies at its lower end from below, at its upper end from above.
        edge = index + np.where(moved > 0.0, 0.0, self._config.index_width_counts)
        crossed = np.floor((position - edge) / revolution) - np.floor((self._position - edge) / revolution)
        for i in np.flatnonzero((crossed != 0) & ~dead):
            nth = np.floor((max(position[i], self._position[i]) - edge[i]) / revolution[i])
            self._latch(int(i), int(np.floor(edge[i] + nth * revolution[i])))
        self._position = position

    def _latch(self, encoder: int, count: int) -> None:
        self.state.latched[encoder] = count - self.state.zero[encoder]
        self.state.seen[encoder] = True
        self.state.pulses[encoder] += 1
