"""The frame authority without ROS: estimates in; edges to broadcast, estimates for controllers and a status out.

Every registration edge is owned here and nowhere else. `root -> image` is composed from the selected registration and the rig's
static frames; corrected tools hang below the image and hold only while it does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from lodestone_core import covariance
from lodestone_core.estimate import Estimate, Reason, State
from lodestone_core.time import ns_from_s
from lodestone_core.types import PoseSample
from lodestone_guidance.config import AuthorityConfig
from lodestone_guidance.edge import Edge, EdgeReport

Array = npt.NDArray[np.float64]
SOURCE_FRAMES = {"em": "em_field_generator", "xray": "xray_source", "us": "us_volume", "file": "file"}
"""The frame against which each registration measures the image."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What one set of estimates led to: estimates for `registration/<child>`, edges of one TF message, and whether any state changed."""

    accepted: tuple[Estimate, ...]
    transforms: tuple[PoseSample, ...]
    changed: bool


class Authority:
    """Owns the registration edges. `T_root` maps the rig's static frames to T_root_frame (4x4, mm)."""

    def __init__(self, config: AuthorityConfig, T_root: Mapping[str, Array]) -> None:
        self._config = config
        self._T_root = dict(T_root)
        self._source = SOURCE_FRAMES[config.image_source]
        self._edges: dict[str, Edge] = {config.image_frame: Edge(config.image_frame, config.root, config)}
        self._last_now_ns: int | None = None

    @property
    def image_source(self) -> str:
        """Name of the registration that root -> image comes from."""
        return self._config.image_source

    def decide(self, stamp_ns: int, estimates: Iterable[Estimate], now_ns: int, steady_ns: int) -> Decision:
        """Gate one set of estimates (one sample, one stamp); clocks in ns, node clock and steady."""
        before = self._in_force()
        self._look_at_clock(now_ns)
        accepted, transforms = [], []
        for estimate in self._ordered(estimates):
            if estimate.child == self._config.image_frame and estimate.parent != self._source:
                # Another registration of the image: for its own subscribers, never for the tree.
                continue
            sampled = estimate if estimate.stamp_ns == stamp_ns else replace(estimate, stamp_ns=stamp_ns)
            good = self._edge(estimate.child).offer(self._into_tree(sampled), now_ns, steady_ns)
            if good is not None and good.T_parent_child is not None:
                accepted.append(good)
                transforms.append(PoseSample(good.stamp_ns, good.parent, good.child, good.T_parent_child))
        return Decision(tuple(accepted), tuple(transforms), self._in_force() != before)

    def expire(self, now_ns: int, steady_ns: int) -> bool:
        """Stop what has gone silent; True when something changed, so that the status goes out at once."""
        before = self._in_force()
        self._look_at_clock(now_ns)
        for edge in self._edges.values():
            edge.expire(steady_ns)
        return self._in_force() != before

    def report(self, now_ns: int) -> tuple[EdgeReport, ...]:
        """The state of every edge."""
        return tuple(edge.report(now_ns) for edge in self._edges.values())

    def _edge(self, child: str) -> Edge:
        if child not in self._edges:
            self._edges[child] = Edge(child, self._config.image_frame, self._config)
        return self._edges[child]

    def _ordered(self, estimates: Iterable[Estimate]) -> list[Estimate]:
        # The image first: the tools below it are judged against what it says now.
        return sorted(estimates, key=lambda estimate: estimate.child != self._config.image_frame)

    def _into_tree(self, estimate: Estimate) -> Estimate:
        """Compose source <- image with the rig into root <- image; hold tools to the state of the image."""
        if estimate.child == self._config.image_frame:
            return self._compose(estimate)
        image = self._edges[self._config.image_frame]
        if estimate.state.usable and not image.in_force:
            report = image.report(estimate.stamp_ns)
            detail = f"{self._config.root} -> {self._config.image_frame} does not hold: {report.detail}"
            return replace(estimate, state=State.INVALID, reasons=report.reasons or Reason.NO_REGISTRATION, detail=detail)
        return estimate

    def _compose(self, estimate: Estimate) -> Estimate:
        if not estimate.state.usable or estimate.T_parent_child is None or estimate.covariance is None:
            return replace(estimate, parent=self._config.root)
        T_root_source = self._T_root.get(estimate.parent)
        if T_root_source is None:
            detail = f"the rig says nothing of {self._config.root} -> {estimate.parent}: add it to the rig's frames.yaml"
            return replace(estimate, parent=self._config.root, state=State.INVALID, reasons=Reason.FRAME_MISMATCH, detail=detail)
        # The rig's static frames are taken as exact: they cancel between image and tools, which is what controllers compare.
        C = covariance.seen_from(T_root_source, estimate.covariance)
        return replace(estimate, parent=self._config.root, T_parent_child=T_root_source @ estimate.T_parent_child, covariance=C)

    def _look_at_clock(self, now_ns: int) -> None:
        """A backward step of the clock clears everything: old stamps would otherwise look newer than new ones."""
        if self._last_now_ns is not None and now_ns < self._last_now_ns - ns_from_s(self._config.max_ahead_s):
            for child, edge in list(self._edges.items()):
                self._edges[child] = edge.after_clock_step()
        self._last_now_ns = now_ns

    def _in_force(self) -> dict[str, bool]:
        return {child: edge.in_force for child, edge in self._edges.items()}
