"""All metal of a scene: the currents and moments that a field generator induces in it, and their field."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lodestone_bench.em_physics.coils import Generator
from lodestone_bench.em_physics.conduction import Complex
from lodestone_bench.em_physics.element import Element
from lodestone_core.types import Array


@dataclass(frozen=True, slots=True, eq=False)
class Response:
    """Amplitudes (S, unknowns, F) of each body, phasors relative to the transmitters' currents."""

    elements: tuple[Element, ...]
    amplitudes: tuple[Complex, ...]

    def in_phase_field(self, points: Array) -> Array:
        """What the demodulator sees of the secondary field (S, P, F, 3) at points (S, P, 3): the part in phase, T per A."""
        fields = [e.field(points, np.ascontiguousarray(a.real)) for e, a in zip(self.elements, self.amplitudes, strict=True)]
        total: Array = np.sum(fields, axis=0)
        return total

    def taken(self, rows: npt.NDArray[np.intp]) -> Response:
        """Some of the placements, each as often as it is named."""
        return Response(tuple(e.taken(rows) for e in self.elements), tuple(a[rows] for a in self.amplitudes))


def respond(elements: Sequence[Element], generator: Generator) -> Response:
    """Solve (R + j omega L) I = -j omega Phi of all loops and m = polarisability H of all rods together, at each frequency.

    The elements have the same number S of placements.
    """
    sizes = [element.unknowns for element in elements]
    ends = np.cumsum(sizes)
    parts = [slice(int(end) - size, int(end)) for end, size in zip(ends, sizes, strict=True)]
    received = np.concatenate([element.received(generator) for element in elements], axis=1)
    system = np.zeros((len(received), len(generator), int(ends[-1]), int(ends[-1])), dtype=np.complex128)
    for i, one in enumerate(elements):
        system[:, :, parts[i], parts[i]] = one.self_term(generator.omega)
        for j, other in enumerate(elements[:i]):
            mutual = one.mutual(other)[:, None]
            system[:, :, parts[i], parts[j]] = mutual
            system[:, :, parts[j], parts[i]] = np.swapaxes(mutual, -1, -2)
    solved = np.linalg.solve(system, -np.swapaxes(received, 1, 2)[..., None].astype(np.complex128))
    amplitudes = np.swapaxes(solved[..., 0], 1, 2)
    return Response(tuple(elements), tuple(amplitudes[:, part] for part in parts))
