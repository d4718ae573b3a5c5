"""Known points touched one after the other, without a key to press: a tip that rests is on a point."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

import numpy as np

from em_registration.config import SessionConfig
from em_registration.session import Collection
from em_registration.types import Fiducial
from lodestone_core import se3
from lodestone_core.types import Array, TrackedFrame

_LEFT_MM = 10.0
"""So far from where it last rested a tip has left the point."""
_NEAR_MM = 25.0
"""A known point so near to where the registration puts the tip is the one that is touched."""


class TouchedPoints:
    """Takes frames, gives fiducials. `points`: image points in mm by name; `expected`: the one that was asked for."""

    def __init__(self, points: Mapping[str, Array], tool: str, tip_tool_mm: Array, config: SessionConfig) -> None:
        self._points = dict(points)
        self._tool, self._tip, self._config = tool, tip_tool_mm, config
        self._recent: deque[Array] = deque(maxlen=config.samples)
        self._collection: Collection | None = None
        self._rested_mm: Array | None = None
        self.expected = next(iter(self._points))
        self.fiducials: list[Fiducial] = []

    @property
    def tip_mm(self) -> Array | None:
        """Where the tip is now, in the tracker; None while the tool is not seen."""
        return self._recent[-1] if self._recent else None

    def add(self, frame: TrackedFrame, T_image_tracker: Array | None = None) -> Fiducial | None:
        """A fiducial when the tip has rested long enough. With a registration the point is the nearest known one, else the expected one."""
        for tool in frame.tools:
            if tool.name != self._tool:
                continue
            if tool.T_tracker_tool is None:
                self._recent.clear()
                self._collection = None
                return None
            at = se3.transform(tool.T_tracker_tool, self._tip)
            self._recent.append(at)
            if self._still_there(at) or not self._begin_or_go_on():
                return None
            assert self._collection is not None
            self._collection.add(tool)
            return self._finished(T_image_tracker) if self._collection.complete else None
        return None

    def _still_there(self, at: Array) -> bool:
        """Whether the tip has not left the point that was taken last."""
        if self._rested_mm is not None and np.linalg.norm(at - self._rested_mm) > _LEFT_MM:
            self._rested_mm = None
        return self._rested_mm is not None

    def _begin_or_go_on(self) -> bool:
        """Whether the tip rests; a collection begins with the rest and ends with it."""
        recent = np.array(self._recent)[-max(3, self._config.samples // 4) :]
        rests = len(recent) >= 3 and bool(np.linalg.norm(recent - recent.mean(axis=0), axis=1).max() <= self._config.max_spread_mm)
        if not rests:
            self._collection = None
        elif self._collection is None:
            image = _triple(self._points[self.expected])
            self._collection = Collection(Fiducial(self.expected, image), self._tool, self._tip, self._config.samples)
        return rests

    def _finished(self, T_image_tracker: Array | None) -> Fiducial | None:
        assert self._collection is not None
        done, self._collection = self._collection, None
        self._rested_mm = np.mean(done.points, axis=0)
        if done.spread_mm > self._config.max_spread_mm:
            self._rested_mm = None
            return None
        name = self._name_of(self._rested_mm, T_image_tracker)
        if name is None:
            return None
        done.fiducial = Fiducial(self._numbered(name), _triple(self._points[name]))
        found = done.result(self._config)
        self.fiducials.append(found)
        return found

    def _name_of(self, tip_mm: Array, T_image_tracker: Array | None) -> str | None:
        if T_image_tracker is None:
            return self.expected
        at = se3.transform(T_image_tracker, tip_mm)
        distances = {name: float(np.linalg.norm(point - at)) for name, point in self._points.items()}
        nearest = min(distances, key=lambda name: distances[name])
        return nearest if distances[nearest] <= _NEAR_MM else None

    def _numbered(self, name: str) -> str:
        """A point may be touched again, with the tool held in another way; each touch has a name of its own."""
        count = sum(fiducial.name.split("#")[0] == name for fiducial in self.fiducials)
        return name if count == 0 else f"{name}#{count + 1}"


def _triple(point: Array) -> tuple[float, float, float]:
    x, y, z = (float(value) for value in point)
    return (x, y, z)
