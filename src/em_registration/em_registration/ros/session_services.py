"""Services and the action of a registration session; each answers in one sentence and never loses what was collected."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.task import Future

from em_registration.config import RegistrationConfig
from em_registration.pipeline import Pipeline, adoption
from em_registration.registration import Registration, load_registration
from em_registration.ros.conversions import fiducial_from_msg, fiducial_to_msg
from em_registration.session import Collection, Session, compute
from em_registration.types import Event, EventKind
from lodestone_core import covariance
from lodestone_core.errors import InputError
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
        for kind, name, handler in (
            (StartSession, "start_session", self._start),
            (RemoveFiducial, "remove_fiducial", self._remove),
            (ComputeRegistration, "compute", self._compute),
            (SaveRegistration, "save", self._save),
            (LoadRegistration, "load", self._load),
            (ResetRegistration, "reset", self._reset),
        ):
            node.create_service(kind, f"~/{name}", _answered(node, handler))
        self._action = ActionServer(
            node,
            CollectFiducial,
            "~/collect_fiducial",
            execute_callback=self._collect,
            goal_callback=lambda _: GoalResponse.REJECT if self._collection else GoalResponse.ACCEPT,
            cancel_callback=lambda _: CancelResponse.ACCEPT,
        )

    def close(self) -> None:
        """Stop to offer the action; services go with the node's state."""
        self._action.destroy()

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

    def _start(self, request: StartSession.Request, response: StartSession.Response) -> str:
        planned = [fiducial_from_msg(fiducial) for fiducial in request.fiducials]
        self._session = Session.start(request.name, Path(self._config.session.directory), planned)
        self._pipeline.request(Event(EventKind.SESSION_STARTED, detail=request.name))
        return f"session {request.name} is kept in {self._session.path}"

    def _remove(self, request: RemoveFiducial.Request, response: RemoveFiducial.Response) -> str:
        session = self._open()
        fiducial = session.planned(request.name)
        session.remove(request.name)
        self._pipeline.request(Event(EventKind.FIDUCIAL_REMOVED, fiducial=fiducial))
        return f"removed {request.name}, {len(session.fiducials)} are left"

    def _compute(self, request: ComputeRegistration.Request, response: ComputeRegistration.Response) -> str:
        response.fre = response.expected_tre = math.nan
        session = self._open()
        now = datetime.now(UTC).isoformat(timespec="seconds")
        model = compute(session, self._config, now, package_version("em_registration"), self._pipeline.model)
        target = np.array(self._config.target_image_mm)
        C_target = covariance.tre_covariance_at(model.T_tracker_image, model.covariance, target)
        response.fre = float(m_from_mm(model.fre_mm))
        response.expected_tre = float(m_from_mm(float(covariance.expected_radius_95(C_target))))
        response.epoch = self._adopt(model, f"computed from session {session.name}")
        response.fiducials = [fiducial_to_msg(fiducial) for fiducial in model.fiducials]
        return f"FRE {model.fre_mm:.2f} mm over {model.n} fiducials"

    def _save(self, request: SaveRegistration.Request, response: SaveRegistration.Response) -> str:
        model = self._computed or self._pipeline.model
        if model is None:
            raise InputError("save", expected="a registration in use", got="none", remedy="compute or load one first")
        path = Path(request.path) if request.path else Path(self._config.session.directory) / f"{self._open().name}.yaml"
        model.save(path)
        return str(path)

    def _load(self, request: LoadRegistration.Request, response: LoadRegistration.Response) -> str:
        path = Path(request.path)
        response.epoch = self._adopt(load_registration(path), f"loaded from {path.name}")
        return f"{path.name} is used from the next frame on"

    def _reset(self, request: ResetRegistration.Request, response: ResetRegistration.Response) -> str:
        self._session, self._computed = None, None
        self._pipeline.request(Event(EventKind.RESET, detail="asked for"))
        return "registration and session are forgotten; their files stay"

    def _adopt(self, model: Registration, detail: str) -> int:
        self._computed = model
        self._pipeline.request(adoption(model, detail))
        return self._pipeline.epoch + 1

    async def _collect(self, goal: Any) -> CollectFiducial.Result:
        result = CollectFiducial.Result()
        try:
            fiducial = await self._collect_samples(goal)
        except InputError as error:
            result.message = str(error)
            goal.canceled() if goal.is_cancel_requested else goal.abort()
            return result
        finally:
            self._collection = self._done = None
        result.success, result.message, result.fiducial = (
            True,
            f"{fiducial.samples} samples averaged",
            fiducial_to_msg(fiducial),
        )
        goal.succeed()
        return result

    async def _collect_samples(self, goal: Any) -> Any:
        request, session = goal.request, self._open()
        image = None if request.planned else fiducial_from_msg(_named(request)).image_mm
        wanted = int(request.samples) or self._config.session.samples
        collection = session.collection(request.name, request.tool, image, wanted, self._pipeline.model)
        self._collection, self._done = collection, Future(executor=self._node.executor)
        deadline = time.monotonic() + self._config.session.timeout_s
        watch = self._node.create_steady_timer(0.1, lambda: self._watch(goal, collection, deadline))
        try:
            await self._done
        finally:
            self._node.destroy_timer(watch)
        fiducial = collection.result(self._config.session)
        session.add(fiducial)
        self._pipeline.request(Event(EventKind.FIDUCIAL_ADDED, fiducial=fiducial))
        return fiducial

    def _watch(self, goal: Any, collection: Collection, deadline: float) -> None:
        feedback = CollectFiducial.Feedback(collected=len(collection.points), spread=float(m_from_mm(collection.spread_mm)))
        feedback.detail = f"{len(collection.points)} of {collection.wanted} samples of tool {collection.tool}"
        goal.publish_feedback(feedback)
        if self._done and not self._done.done() and (goal.is_cancel_requested or time.monotonic() > deadline):
            self._done.set_result("stopped")


def _named(request: Any) -> Any:
    from lodestone_msgs.msg import Fiducial as FiducialMsg

    return FiducialMsg(name=request.name, point_image=request.point_image)


def _answered(node: LodestoneNode[Any], handler: Callable[[Any, Any], str]) -> Callable[[Any, Any], Any]:
    """A service callback: success and the handler's sentence, or failure and what was wrong with the request."""

    def callback(request: Any, response: Any) -> Any:
        try:
            response.message = handler(request, response)
            response.success = True
        except InputError as error:
            response.success, response.message = False, str(error)
        node.get_logger().info(response.message)
        return response

    return callback
