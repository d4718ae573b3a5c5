"""Two ways to collect correspondences, one face: frames and reference poses in; where things stand, where to go, a registration out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol

import numpy as np

from em_registration.calibration.assess import Verdict, farthest
from em_registration.calibration.config import CalibrationConfig
from em_registration.calibration.pairs import PairedStreams
from em_registration.calibration.points import TouchedPoints
from em_registration.calibration.walk import FIELD_FROM, Walk
from em_registration.config import RegistrationConfig
from em_registration.field.pose_field import PoseField, fit_pose_field
from em_registration.paired_poses import Provenance
from em_registration.refit import FitJob, correspondences_of, fit, point_name, rigid_registration
from em_registration.registration import Registration, ToolCalibration
from lodestone_core import se3
from lodestone_core.errors import InputError
from lodestone_core.types import Array, TrackedFrame

FIRST_LOOK_S = 8.0
LOOK_AGAIN = 1.3
"""The streams are registered again when they have grown by this factor."""


_HERE_MM = 5.0


class Guide(Protocol):
    """Collects, and says what is known."""

    walk: Walk
    status: str

    def add_frame(self, frame: TrackedFrame) -> None:
        """A frame of the tracker."""

    def add_reference(self, stamp_ns: int, T_image_marker: Array) -> None:
        """A pose of the reference tracker."""

    def look(self) -> Verdict:
        """Assess what has been collected."""

    def tip_image_mm(self) -> Array | None:
        """Where the tip is now in the image; None while that is not known."""

    def asked(self) -> str:
        """What to do next, in words."""

    def result(self, provenance: Provenance) -> Registration:
        """The registration. Raises InputError when what was collected gives none."""


class PairsGuide:
    """A tool that an optical tracker sees as well: every slow pose at a new place counts."""

    def __init__(
        self, config: CalibrationConfig, session: RegistrationConfig, tool: str = "", volume_mm: tuple[Array, Array] | None = None
    ) -> None:
        self.walk = Walk(config, volume_mm)
        self.status = "waiting for the tracker and the reference"
        self._session, self._config, self._tool = session, config, tool
        self._streams = PairedStreams(config)
        self._model: Registration | None = None
        self._registered_s = 0.0

    def add_frame(self, frame: TrackedFrame) -> None:
        """A frame of the tracker."""
        self._streams.add_frame(frame)

    def add_reference(self, stamp_ns: int, T_image_marker: Array) -> None:
        """A pose of the reference tracker, which stands for the image."""
        self._streams.add_reference(stamp_ns, T_image_marker)

    def look(self) -> Verdict:
        """Register the streams when they have grown, take what is new, assess it."""
        seconds = self._streams.seconds
        if seconds < max(FIRST_LOOK_S, LOOK_AGAIN * self._registered_s) and self._model is None:
            self.status = f"{seconds:.0f} s of both trackers; move the tool about and turn it"
            return self.walk.verdict
        try:
            if seconds >= LOOK_AGAIN * self._registered_s:
                self._model = self._streams.register(Provenance("", ""))
                self._registered_s = seconds
            assert self._model is not None
            data = self._streams.correspondences(self._chosen(), self._model)
            self.status = f"{len(data)} places from {seconds:.0f} s; rigid residual {self._model.fre_mm:.2f} mm"
            return self.walk.look(data, se3.inverse(self._model.T_tracker_image))
        except InputError as error:
            self._registered_s = seconds
            self.status = str(error)
            return self.walk.verdict

    def tip_image_mm(self) -> Array | None:
        """Where the tip is now in the image."""
        if self._model is None:
            return None
        at = self._streams.tip_mm(self._chosen(), self._model)
        return None if at is None else se3.transform(se3.inverse(self._model.T_tracker_image), at)

    def asked(self) -> str:
        """What to do next, in words."""
        found, space = self.walk.assessment, self.walk.space
        if found is None or space is None:
            return "move the tool slowly through the whole volume, and turn it while you do"
        return f"{_offset(found.next.T_image_tip[:3, 3], self.tip_image_mm())}, {space.side_name(found.next.turn)}"

    def result(self, provenance: Provenance) -> Registration:
        """Rigid registration of all streams, with a field for every tool whose correspondences ask for one."""
        model = self._registered(provenance)
        settings, fields = self._session.session, {}
        for tool in model.tools:
            data = self._streams.correspondences(tool, model)
            if settings.method == "rigid" or len(data) < settings.field_from:
                continue
            found = fit_pose_field(data, self._config.field)
            if settings.method == "field" or found.evidence_non_rigid > settings.field_evidence:
                fields[tool] = found
        return _with_fields(model, fields)

    def _registered(self, provenance: Provenance) -> Registration:
        if self._model is None or self._registered_s != self._streams.seconds:
            return self._streams.register(provenance)
        return replace(self._model, created=provenance.created, version=provenance.version, inputs=provenance.inputs)

    def _chosen(self) -> str:
        tool = self._tool or self._streams.tools[0]
        if tool not in self._streams.tools:
            known = ", ".join(self._streams.tools)
            raise InputError("--tool", expected=f"one of: {known}", got=tool, remedy="name a tool that the tracker sees")
        return tool


class PointsGuide:
    """Known points in the image, touched with the tip of one tool; a tip that rests is on a point."""

    def __init__(self, config: CalibrationConfig, session: RegistrationConfig, points: Mapping[str, Array], tool: ToolAndTip) -> None:
        places = np.array(list(points.values()))
        self.walk = Walk(config, (places.min(axis=0), places.max(axis=0)), places_mm=places)
        self.status = "no point is collected yet"
        self._session, self._config, self._points, self._tool = session, config, dict(points), tool
        self._touched = TouchedPoints(points, tool.name, tool.tip_tool_mm, session.session)
        self._touched.expected = list(points)[farthest(places, np.empty((0, 3)))]
        self._T_image_tracker: Array | None = None

    def add_frame(self, frame: TrackedFrame) -> None:
        """A frame of the tracker."""
        fiducial = self._touched.add(frame, self._T_image_tracker)
        if fiducial is not None:
            self.status = f"{len(self._touched.fiducials)} touches, last {fiducial.name} (spread {fiducial.spread_mm:.2f} mm)"
            self._register()
            self._touched.expected = self._next()

    def add_reference(self, stamp_ns: int, T_image_marker: Array) -> None:
        """Not used here."""

    def look(self) -> Verdict:
        """Assess the touches."""
        try:
            if self._T_image_tracker is not None:
                data = correspondences_of(self._touched.fiducials, self._tool.name, self._tool.tip_tool_mm)
                before = self.walk.assessment
                self.walk.look(data, self._T_image_tracker)
                if self.walk.assessment is not before:
                    self._touched.expected = self._next()
        except InputError as error:
            self.status = str(error)
        return self.walk.verdict

    def tip_image_mm(self) -> Array | None:
        """Where the tip is now in the image."""
        tip = self._touched.tip_mm
        return None if tip is None or self._T_image_tracker is None else se3.transform(self._T_image_tracker, tip)

    def asked(self) -> str:
        """Which point to touch, and how to hold the tool."""
        name = self._touched.expected
        how = ""
        if self.walk.assessment is not None and self.walk.space is not None:
            how = f", {self.walk.space.side_name(self.walk.assessment.next.turn)}"
        return f"rest the tip on {name}{how}: {_offset(self._points[name], self.tip_image_mm())}"

    def result(self, provenance: Provenance) -> Registration:
        """The registration that the touches give."""
        return fit(self._job(provenance))

    def _register(self) -> None:
        try:
            found = rigid_registration(self._job(Provenance("", "")))
            self._T_image_tracker = se3.inverse(found.T_tracker_image)
        except InputError as error:
            if len(self._touched.fiducials) >= FIELD_FROM:
                self.status = str(error)

    def _next(self) -> str:
        names = list(self._points)
        if self.walk.assessment is not None:
            place = self.walk.assessment.next.T_image_tip[:3, 3]
            return names[int(np.argmin(np.linalg.norm(np.array(list(self._points.values())) - place, axis=1)))]
        done = {point_name(fiducial.name) for fiducial in self._touched.fiducials}
        return names[farthest(np.array(list(self._points.values())), np.array([self._points[name] for name in done]).reshape(-1, 3))]

    def _job(self, provenance: Provenance) -> FitJob:
        tools = {self._tool.name: self._tool.calibration} if self._tool.calibration else {}
        return FitJob("calibration", tuple(self._touched.fiducials), self._session, provenance, tools)


class ToolAndTip:
    """The tool that touches, and where its tip is: (3,) mm in its frame; its origin when nobody calibrated it."""

    def __init__(self, name: str, tip_tool_mm: Array | None = None, rms_mm: float = 0.0, n: int = 0) -> None:
        self.name = name
        self.tip_tool_mm = np.zeros(3) if tip_tool_mm is None else tip_tool_mm
        self._known = tip_tool_mm is not None
        self._rms_mm, self._n = rms_mm, n

    @property
    def calibration(self) -> ToolCalibration | None:
        """What a registration says of the tool; None when its tip was not calibrated."""
        if not self._known:
            return None
        config = RegistrationConfig()
        noise = np.diag([config.tool_sigma_mm**2] * 3 + [config.tool_sigma_rad**2] * 3)
        return ToolCalibration(se3.make(np.eye(3), self.tip_tool_mm), noise, self._rms_mm, self._n)


def _with_fields(model: Registration, fields: Mapping[str, PoseField]) -> Registration:
    return replace(model, method=f"{model.method} and a distortion field", fields=fields) if fields else model


def _offset(place_mm: Array, tip_mm: Array | None) -> str:
    at = f"({place_mm[0]:.0f}, {place_mm[1]:.0f}, {place_mm[2]:.0f}) mm"
    if tip_mm is None:
        return f"to {at}"
    steps = [
        f"{abs(d):.0f} mm along {'+' if d > 0 else '-'}{axis}" for d, axis in zip(place_mm - tip_mm, "xyz", strict=True) if abs(d) >= 5
    ]
    return f"to {at}: {', '.join(steps) or 'here'}"
