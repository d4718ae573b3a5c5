"""The line under the last points of a stream: the tightest bound from below on times that can only come late."""

from __future__ import annotations

from typing import NamedTuple


class Point(NamedTuple):
    """x is a count, y a time; both int, so that nothing is lost far from zero."""

    x: int
    y: int


class LowerLine:
    """Line that runs below every one of the last N to 2 N points and closest to them in the mean.

    Least sum of distances from below is a linear programme; its solution is the edge of the lower convex hull over the
    middle of the points. Points arrive with rising x, so each hull grows at its end (monotone chain) at constant mean
    cost. Old points leave by generations: two hulls, and the older is dropped when the newer holds N points.
    """

    def __init__(self, window: int) -> None:
        self._window = window
        self._older: list[Point] = []
        self._newer: list[Point] = []
        self._in_newer = 0
        self._edge: tuple[Point, Point] | None = None
        self.count = 0

    def add(self, x: int, y: int) -> None:
        """Take a point; x must be greater than every x before."""
        if self._in_newer >= self._window:
            self._older, self._newer, self._in_newer = self._newer, [], 0
        _append(self._newer, Point(x, y))
        self._in_newer += 1
        self.count += 1
        self._edge = None

    def at(self, x: int) -> int | None:
        """The line at x; None before there are two points."""
        if self._edge is None:
            if self.count < 2:
                return None
            self._edge = self._middle_edge()
        (x0, y0), (x1, y1) = self._edge
        return y0 + (y1 - y0) * (x - x0) // (x1 - x0)

    def _middle_edge(self) -> tuple[Point, Point]:
        hull = self._older.copy()
        for point in self._newer:
            _append(hull, point)
        middle = (hull[0].x + hull[-1].x) // 2
        right = next(i for i in range(1, len(hull)) if hull[i].x > middle)
        return hull[right - 1], hull[right]


def _append(hull: list[Point], point: Point) -> None:
    """Add the rightmost point and drop those that then lie on or above the hull."""
    x, y = point
    while len(hull) > 1:
        (x0, y0), (x1, y1) = hull[-2], hull[-1]
        if (y1 - y0) * (x - x0) < (y - y0) * (x1 - x0):
            break
        hull.pop()
    hull.append(point)
