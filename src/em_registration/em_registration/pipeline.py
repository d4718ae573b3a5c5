"""The readable file: one frame of the tracker in, one estimate an edge out. The same object live and on replay."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from em_registration.config import RegistrationConfig
from em_registration.correction import corrected_tool, registration_estimate, without_pose
from em_registration.registration import Registration, parse_registration
from em_registration.types import Event, EventKind, Update
from lodestone_core.estimate import Estimate, Reason, State
from lodestone_core.types import TrackedFrame

NO_REGISTRATION = "no registration yet: collect fiducials and compute one, or load a registration file"


class Pipeline:
    """EM-to-image correction of every tool. What changes its state is an Event; an event takes effect with a frame, never between."""

    def __init__(self, config: RegistrationConfig) -> None:
        self._config = config
        self._model: Registration | None = None
        self._pending: list[Event] = []
        self._last_stamp_ns: int | None = None
        self.epoch = 0

    @property
    def model(self) -> Registration | None:
        """The registration in use."""
        return self._model

    def request(self, event: Event) -> None:
        """Have an event take effect with the next frame (live: stamp 0) or with the first frame at or after its stamp (replay)."""
        self._pending.append(event)

    def update(self, frame: TrackedFrame) -> Update | None:
        """Estimates of all edges at one frame; None for a frame that is not newer than the last one."""
        if self._last_stamp_ns is not None and frame.stamp_ns <= self._last_stamp_ns:
            return None
        self._last_stamp_ns = frame.stamp_ns
        events = tuple(self._apply(event, frame) for event in self._take_due(frame.stamp_ns))
        return Update(frame.stamp_ns, frame.received_ns, tuple(self._estimates(frame)), events)

    def clock_stepped_back(self) -> None:
        """The input's clock went backward (a bag restarted, the host's clock was set): accept older stamps again, in a new epoch."""
        self._last_stamp_ns = None
        self.epoch += 1

    def _estimates(self, frame: TrackedFrame) -> Iterable[Estimate]:
        if self._model is None:
            yield self._initialising(frame)
            for tool in frame.tools:
                state, reason = State.INITIALISING, Reason.NO_REGISTRATION
                yield without_pose(self._config, self.epoch, frame.stamp_ns, tool.name, state, reason, NO_REGISTRATION)
            return
        yield registration_estimate(self._model, self._config, self.epoch, frame.stamp_ns)
        for tool in frame.tools:
            yield corrected_tool(self._model, self._config, self.epoch, frame.stamp_ns, tool)

    def _initialising(self, frame: TrackedFrame) -> Estimate:
        frames = self._config.tracker_frame, self._config.image_frame
        state, reason = State.INITIALISING, Reason.NO_REGISTRATION
        return Estimate(frame.stamp_ns, *frames, state, reasons=reason, detail=NO_REGISTRATION, epoch=self.epoch)

    def _take_due(self, stamp_ns: int) -> list[Event]:
        due = [event for event in self._pending if event.stamp_ns <= stamp_ns]
        self._pending = [event for event in self._pending if event.stamp_ns > stamp_ns]
        return due

    def _apply(self, event: Event, frame: TrackedFrame) -> Event:
        if event.kind is EventKind.MODEL_ADOPTED:
            self._model = parse_registration(event.model, "adopted registration")
            self.epoch += 1
        elif event.kind is EventKind.RESET:
            self._model = None
            self.epoch += 1
        return replace(event, stamp_ns=frame.stamp_ns, epoch=self.epoch)


def adoption(model: Registration, detail: str) -> Event:
    """The event that has a pipeline use a registration from the next frame on."""
    return Event(EventKind.MODEL_ADOPTED, model=model.to_yaml(), model_sha256=model.sha256, detail=detail)
