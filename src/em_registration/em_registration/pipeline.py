"""The readable file: one frame of the tracker in, one estimate an edge out. The same object live and on replay."""

from __future__ import annotations

from dataclasses import replace

from em_registration.config import RegistrationConfig
from em_registration.correction import Adopted, Moment, adopt, corrected_tools, without_pose
from em_registration.detection.detector import DistortionDetector
from em_registration.detection.finding import Finding
from em_registration.registration import Registration, parse_registration, registration_from, sha256_of
from em_registration.types import Event, EventKind, Update
from lodestone_core.estimate import Estimate, Reason, State
from lodestone_core.types import TrackedFrame

NO_REGISTRATION = "no registration yet: collect fiducials and compute one, or load a registration file"


class Pipeline:
    """EM-to-image correction of every tool, and the watch over the tracker's field.

    What changes its state is an Event, which takes effect with a frame, never between, and the frames themselves, from which the
    detector learns. `findings`: what that says of the last frame.
    """

    def __init__(self, config: RegistrationConfig) -> None:
        self._config = config
        self._adopted: Adopted | None = None
        self._detector = DistortionDetector(config.detector) if config.detector.enabled else None
        self.findings: tuple[Finding, ...] = ()
        self._pending: list[Event] = []
        self._last_stamp_ns: int | None = None
        self.epoch = 0

    @property
    def model(self) -> Registration | None:
        """The registration in use."""
        return self._adopted.model if self._adopted else None

    def request(self, event: Event) -> None:
        """Have an event take effect with the next frame (live: stamp 0) or with the first frame at or after its stamp (replay)."""
        self._pending.append(event)

    def update(self, frame: TrackedFrame) -> Update | None:
        """Estimates of all edges at one frame; None for a frame that is not newer than the last one."""
        if self._last_stamp_ns is not None and frame.stamp_ns <= self._last_stamp_ns:
            return None
        self._last_stamp_ns = frame.stamp_ns
        self.findings = self._detector.update(frame) if self._detector else ()
        events = tuple(self._apply(event, frame) for event in self._take_due(frame.stamp_ns))
        estimates = self._initialising(frame) if self._adopted is None else self._registered(frame, self._adopted)
        return Update(frame.stamp_ns, frame.received_ns, tuple(estimates), events)

    def clock_stepped_back(self) -> None:
        """The input's clock went backward (a bag restarted, the host's clock was set): accept older stamps again, in a new epoch."""
        self._last_stamp_ns = None
        self.epoch += 1

    def _registered(self, frame: TrackedFrame, adopted: Adopted) -> list[Estimate]:
        registration = replace(adopted.estimate, stamp_ns=frame.stamp_ns, epoch=self.epoch)
        at = Moment(frame.stamp_ns, self.epoch, {name: finding for finding in self.findings for name in finding.tools})
        return [registration, *corrected_tools(adopted, self._config, at, frame.tools)]

    def _initialising(self, frame: TrackedFrame) -> list[Estimate]:
        at, state, reason = frame.stamp_ns, State.INITIALISING, Reason.NO_REGISTRATION
        frames = self._config.tracker_frame, self._config.image_frame
        registration = Estimate(at, *frames, state, reasons=reason, detail=NO_REGISTRATION, epoch=self.epoch)
        names = [tool.name for tool in frame.tools]
        return [registration, *(without_pose(self._config, self.epoch, at, name, state, reason, NO_REGISTRATION) for name in names)]

    def _take_due(self, stamp_ns: int) -> list[Event]:
        due = [event for event in self._pending if event.stamp_ns <= stamp_ns]
        self._pending = [event for event in self._pending if event.stamp_ns > stamp_ns]
        return due

    def _apply(self, event: Event, frame: TrackedFrame) -> Event:
        if event.kind is EventKind.MODEL_ADOPTED:
            self._adopted = adopt(event.adopted or parse_registration(event.model, "adopted registration"), self._config)
            self.epoch += 1
        elif event.kind is EventKind.RESET:
            self._adopted = None
            self.epoch += 1
        return replace(event, stamp_ns=frame.stamp_ns, epoch=self.epoch)


def adoption(model: Registration, detail: str, text: str = "") -> Event:
    """The event that has a pipeline use a registration from the next frame on.

    What takes effect is what reading the text gives, so that a replay does what the bench did. Give `text`, the file's, where the model was
    read from it: that saves writing and reading it.
    """
    if text:
        return Event(EventKind.MODEL_ADOPTED, model=text, model_sha256=sha256_of(text), detail=detail, adopted=model)
    text, read_back = model.to_yaml(), registration_from(model.to_mapping())
    return Event(EventKind.MODEL_ADOPTED, model=text, model_sha256=sha256_of(text), detail=detail, adopted=read_back)
