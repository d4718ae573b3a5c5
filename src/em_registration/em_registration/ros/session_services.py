"""Services and the action of a registration session; each answers in one sentence and never loses what was collected."""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.logging import LoggingSeverity
from rclpy.task import Future

from em_registration.config import RegistrationConfig
from em_registration.paired_poses import Provenance
from em_registration.pipeline import Pipeline, adoption
from em_registration.refit import FitJob, rests_on_fiducials
from em_registration.registration import Registration, parse_registration, registration_text
from em_registration.ros.conversions import fiducial_from_msg, fiducial_to_msg
from em_registration.ros.fit_services import Fitter
from em_registration.session import Collection, Session, recorded_fiducials
from em_registration.touch_check import miss_at
from em_registration.types import Event, EventKind, Fiducial
from lodestone_core import covariance
from lodestone_core.errors import InputError
from lodestone_core.ros.diagnostics import Level
from lodestone_core.ros.node import LodestoneNode
from lodestone_core.types import TrackedFrame
from lodestone_core.units import m_from_mm
from lodestone_core.version import package_version
from lodestone_msgs.action import CollectFiducial
from lodestone_msgs.srv import (
    ComputeRegistration,
    LoadRegistration,
    RemoveFiducial,
    ResetRegistration,
    SaveRegistration,
    StartSession,
)

NO_SESSION = InputError("registration session", expected="a session", got="none", remedy="call ~/start_session first")
TOUCHES = "touches"
"""Name of the session that begins by itself when a known point is touched while a registration from elsewhere is in use."""


class FitFailed(Exception):
    """A fit without a result; its text is the sentence that says why."""


class SessionServices:
    """Binds the session's services and action to a node and its pipeline."""

    def __init__(self, node: LodestoneNode[Any], pipeline: Pipeline, config: RegistrationConfig) -> None:
        self._node = node
        self._pipeline = pipeline
        self._config = config
        self._session: Session | None = None
        self._collection: Collection | None = None
        self._done: Future | None = None
        self._computed: Registration | None = None
        self._base: Registration | None = None
        self._fitted_from: Session | None = None
        self._touched = False
        self._fitter = Fitter(node, config.session.fit_timeout_s)
        # In the node's own group a service that awaits a fit would hold up the frames.
        group = ReentrantCallbackGroup()
        for kind, name, handler in (
            (StartSession, "start_session", self._start),
            (RemoveFiducial, "remove_fiducial", self._remove),
            (ComputeRegistration, "compute", self._compute),
            (SaveRegistration, "save", self._save),
            (LoadRegistration, "load", self._load),
            (ResetRegistration, "reset", self._reset),
        ):
            node.create_service(kind, f"~/{name}", _answered(node, handler), callback_group=group)
        self._action = ActionServer(
            node,
            CollectFiducial,
            "~/collect_fiducial",
            execute_callback=self._collect,
            goal_callback=lambda _: GoalResponse.REJECT if self._collection else GoalResponse.ACCEPT,
            cancel_callback=lambda _: CancelResponse.ACCEPT,
        )

    def close(self) -> None:
        """Stop to offer the action and to fit; services go with the node's state."""
        self._action.destroy()
        self._fitter.close()

    def on_frame(self, frame: TrackedFrame) -> None:
        """Feed a collection under way."""
        collection, done = self._collection, self._done
        if collection is None or done is None or done.done():
            return
        for tool in frame.tools:
            collection.add(tool)
        if collection.complete:
            done.set_result("complete")

    def _open(self) -> Session:
        if self._session is None:
            raise NO_SESSION
        return self._session

    def _open_for_touches(self) -> Session:
        """The session; without one, that of the registration in use, so that a known point can be touched at any time."""
        model = self._in_use
        if self._session is None and model is not None:
            whole = rests_on_fiducials(model)
            self._session = Session.go_on(TOUCHES, Path(self._config.session.directory), model.fiducials if whole else ())
            self._base, self._fitted_from = None if whole else model, self._session
            self._fitter.warm_up()
        return self._open()

    @property
    def _in_use(self) -> Registration | None:
        return self._computed or self._pipeline.model

    def _start(self, request: StartSession.Request, response: StartSession.Response) -> str:
        planned = [fiducial_from_msg(fiducial) for fiducial in request.fiducials]
        folder = Path(self._config.session.directory)
        if request.go_on_from:
            names = {fiducial.name for fiducial in planned}
            taken_over = recorded_fiducials(Path(request.go_on_from))
            # Refuses doubtful names of those that are planned.
            plan = Session.start(request.name, folder, planned).fiducials
            self._session = Session.go_on(request.name, folder, [*(f for f in taken_over if f.name not in names), *plan])
        else:
            self._session = Session.start(request.name, folder, planned)
        self._base = None
        self._fitter.warm_up()
        self._pipeline.request(Event(EventKind.SESSION_STARTED, detail=request.name))
        collected = sum(fiducial.collected for fiducial in self._session.fiducials)
        return f"session {request.name} is kept in {self._session.path}" + (f"; {collected} fiducials are collected" if collected else "")

    def _remove(self, request: RemoveFiducial.Request, response: RemoveFiducial.Response) -> str:
        session = self._open()
        fiducial = session.planned(request.name)
        session.remove(request.name)
        self._pipeline.request(Event(EventKind.FIDUCIAL_REMOVED, fiducial=fiducial))
        return f"removed {request.name}, {len(session.fiducials)} are left"

    async def _compute(self, request: ComputeRegistration.Request, response: ComputeRegistration.Response) -> str:
        response.fre = response.expected_tre = math.nan
        session = self._open()
        model = await self._fitted(session, f"computed from session {session.name}")
        target = np.array(self._config.target_image_mm)
        C_target = covariance.tre_covariance_at(model.T_tracker_image, model.covariance, target)
        response.fre = float(m_from_mm(model.fre_mm))
        response.expected_tre = float(m_from_mm(float(covariance.expected_radius_95(C_target))))
        response.epoch = self._pipeline.epoch + 1
        response.fiducials = [fiducial_to_msg(fiducial) for fiducial in model.fiducials]
        return f"FRE {model.fre_mm:.2f} mm over {model.n} fiducials" + _fields_in_words(model)

    async def _fitted(self, session: Session, detail: str) -> Registration:
        """Fit what the session holds and adopt it. Raises InputError when the fit fails or the session has gone meanwhile."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        tools = self._in_use.tools if self._in_use else {}
        provenance = Provenance(now, package_version("em_registration"))
        result = await self._fitter.fit(FitJob(session.name, session.fiducials, self._config, provenance, tools, self._base))
        if result.registration is None:
            raise FitFailed(result.error)
        if session is not self._session:
            remedy = "compute again if it is still wanted"
            raise InputError(f"fit of session {session.name}", expected="that session", got="another one meanwhile", remedy=remedy)
        self._adopt(result.registration, detail, result.text)
        self._fitted_from = session
        return result.registration

    async def _refit(self, session: Session) -> None:
        """Fit again after a touch; touches that come meanwhile have it done once more."""
        self._touched = True
        if self._fitter.busy:
            return
        while self._touched and session is self._session:
            self._touched = False
            try:
                model = await self._fitted(session, "fitted again after a touch of a known point")
                self._say(Level.OK, f"fitted again with {len(model.fiducials)} fiducials" + _fields_in_words(model))
            except (InputError, FitFailed) as error:
                self._say(Level.WARN, f"the fit after a touch failed, the registration in use stays: {error}")

    def _say(self, level: Level, sentence: str) -> None:
        self._node.get_logger().log(sentence, LoggingSeverity.INFO if level is Level.OK else LoggingSeverity.WARN)
        self._node.diagnostics.report(level, sentence, component="fit")

    def _save(self, request: SaveRegistration.Request, response: SaveRegistration.Response) -> str:
        model = self._in_use
        if model is None:
            raise InputError("save", expected="a registration in use", got="none", remedy="compute or load one first")
        path = Path(request.path) if request.path else Path(self._config.session.directory) / f"{self._open().name}.yaml"
        model.save(path)
        return str(path)

    def _load(self, request: LoadRegistration.Request, response: LoadRegistration.Response) -> str:
        path = Path(request.path)
        text = registration_text(path)
        response.epoch = self._adopt(parse_registration(text, str(path)), f"loaded from {path.name}", text)
        if self._base is not None:
            self._session = self._base = None  # it had begun by itself, for touches under the registration before
        self._fitted_from = None
        return f"{path.name} is used from the next frame on"

    def _reset(self, request: ResetRegistration.Request, response: ResetRegistration.Response) -> str:
        self._session = self._computed = self._base = self._fitted_from = None
        self._pipeline.request(Event(EventKind.RESET, detail="asked for"))
        return "registration and session are forgotten; their files stay"

    def _adopt(self, model: Registration, detail: str, text: str = "") -> int:
        self._computed = model
        self._pipeline.request(adoption(model, detail, text))
        return self._pipeline.epoch + 1

    async def _collect(self, goal: Any) -> CollectFiducial.Result:
        result = CollectFiducial.Result()
        try:
            fiducial, said = await self._collect_samples(goal)
        except InputError as error:
            result.message = str(error)
            goal.canceled() if goal.is_cancel_requested else goal.abort()
            return result
        finally:
            self._collection = self._done = None
        result.success, result.message, result.fiducial = True, said, fiducial_to_msg(fiducial)
        goal.succeed()
        return result

    async def _collect_samples(self, goal: Any) -> tuple[Fiducial, str]:
        request, session = goal.request, self._open_for_touches()
        image = None if request.planned else fiducial_from_msg(_named(request)).image_mm
        wanted = int(request.samples) or self._config.session.samples
        collection = session.collection(request.name, request.tool, image, wanted, self._in_use)
        self._collection, self._done = collection, Future(executor=self._node.executor)
        deadline = time.monotonic() + self._config.session.timeout_s
        watch = self._node.create_steady_timer(0.1, lambda: self._watch(goal, collection, deadline))
        try:
            await self._done
        finally:
            self._node.destroy_timer(watch)
        fiducial = collection.result(self._config.session)
        session.add(fiducial)
        said = f"{fiducial.samples} samples averaged" + self._check_in_words(fiducial)
        self._pipeline.request(Event(EventKind.FIDUCIAL_ADDED, fiducial=fiducial, detail=said))
        if self._config.session.refit_on_touch and session is self._fitted_from and self._node.executor is not None:
            self._node.executor.create_task(self._refit(session))
        return fiducial, said

    def _check_in_words(self, fiducial: Fiducial) -> str:
        if self._pipeline.model is None:
            return ""
        miss = miss_at(self._pipeline.model, self._config, fiducial)
        return f"; the registration in use is {miss.off_mm:.2f} mm off here ({miss.expected_mm:.2f} mm expected, 95 %)"

    def _watch(self, goal: Any, collection: Collection, deadline: float) -> None:
        feedback = CollectFiducial.Feedback(collected=len(collection.points), spread=float(m_from_mm(collection.spread_mm)))
        feedback.detail = f"{len(collection.points)} of {collection.wanted} samples of tool {collection.tool}"
        goal.publish_feedback(feedback)
        if self._done and not self._done.done() and (goal.is_cancel_requested or time.monotonic() > deadline):
            self._done.set_result("stopped")


def _named(request: Any) -> Any:
    from lodestone_msgs.msg import Fiducial as FiducialMsg

    return FiducialMsg(name=request.name, point_image=request.point_image)


def _fields_in_words(model: Registration) -> str:
    one = [f"{name} {100 * field.evidence_non_rigid:.0f} %" for name, field in model.fields.items()]
    return f"; distortion corrected, probability by tool: {', '.join(one)}" if one else ""


Handler = Callable[[Any, Any], str | Awaitable[str]]


def _answered(node: LodestoneNode[Any], handler: Handler) -> Callable[[Any, Any], Awaitable[Any]]:
    """A service callback: success and the handler's sentence, or failure and what was wrong. Frames go on while it is awaited."""

    async def callback(request: Any, response: Any) -> Any:
        try:
            said = handler(request, response)
            response.message = said if isinstance(said, str) else await said
            response.success = True
        except (InputError, FitFailed) as error:
            response.success, response.message = False, str(error)
        node.get_logger().info(response.message)
        return response

    return callback
