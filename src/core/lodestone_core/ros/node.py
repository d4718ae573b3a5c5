"""The base of every node: lifecycle, parameters, diagnostics and the effective configuration.

A node names its configuration class and fills in the hooks it needs::

    class PoseNode(LodestoneNode[PoseConfig]):
        def __init__(self, **ros: Any) -> None:
            super().__init__("pose", PoseConfig, **ros)

        def on_configure_node(self, config: PoseConfig) -> None:
            self._pipeline = Pipeline(config)
            self._estimates = self.create_publisher(RegistrationEstimates, "~/estimates", qos.ESTIMATE)

        def on_activate_node(self) -> None:
            self.create_subscription(TrackedTools, "tools", self._on_tools, qos.DEVICE)
            self.create_steady_timer(0.5, self._on_watchdog)

    def main() -> int:
        return run(PoseNode)

Whatever a hook creates on the node (publishers, subscriptions, timers, services, clients) is destroyed when the
lifecycle leaves that state; a hook's counterpart (`on_deactivate_node`, `on_cleanup_node`) only closes what is not ROS.
"""

from __future__ import annotations

import hashlib
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

import yaml
from rcl_interfaces.msg import ParameterDescriptor, SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.event_handler import PublisherEventCallbacks
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.timer import Timer

from lodestone_core.config import to_mapping
from lodestone_core.errors import InputError
from lodestone_core.ros import qos
from lodestone_core.ros.diagnostics import Diagnostics, Level
from lodestone_core.ros.parameters import declare_config, read_config
from lodestone_core.version import package_version
from lodestone_msgs.msg import Config

ConfigT = TypeVar("ConfigT")
SUCCESS = TransitionCallbackReturn.SUCCESS
FAILURE = TransitionCallbackReturn.FAILURE
ERROR = TransitionCallbackReturn.ERROR
_HOLDING = "parameters hold from configuration on: clean up the node, set them, configure it again"
_UNSET = "rclpy forgets a parameter that is unset: start the node without it"


class LodestoneNode(LifecycleNode, Generic[ConfigT]):
    """A lifecycle node that configures and activates itself once it spins, unless the parameter `autostart` is false.

    An InputError in a hook is a refusal: one sentence in the log, the transition fails, the node stays in its state
    (and ends with exit code 2 when it was starting itself). Any other exception in a hook or callback is a programming
    error: a traceback, and the node ends with exit code 1. `config` is the effective configuration, published on
    `~/config`.
    """

    def __init__(self, name: str, config_class: type[ConfigT], **ros: Any) -> None:
        """Declare the parameters of `config_class`; `ros` goes to rclpy's Node. Raises InputError for a bad value."""
        super().__init__(name, **ros)
        self._config_class = config_class
        self._steady_clock = Clock(clock_type=ClockType.STEADY_TIME)
        self._files: dict[str, str] = {}
        self._refusal: InputError | None = None
        self._crash: Exception | None = None
        self._service_change_state.callback = _guarded_against_invalid_requests(self)
        doc = ParameterDescriptor(description="configure and activate once spinning, without a manager", read_only=True)
        autostart = self.declare_parameter("autostart", True, doc).value
        self.config = declare_config(self, config_class)
        self.add_on_set_parameters_callback(self._on_set_parameters)
        self.diagnostics = Diagnostics(self)
        self._report_state("waits to be configured")
        self._config_publisher = self.create_publisher(Config, "~/config", qos.CONFIG)
        self._starter = self.create_steady_timer(0.0, self._start) if autostart else None
        self._of_constructor: frozenset[object] = frozenset()
        self._of_configuration: frozenset[object] = frozenset()

    def on_configure_node(self, config: ConfigT) -> None:
        """Build the pipeline, open the device, create publishers and services. Raise InputError to refuse."""

    def on_activate_node(self) -> None:
        """Start to stream: create subscriptions and timers. Raise InputError to refuse."""

    def on_deactivate_node(self) -> None:
        """Stop to stream; what `on_activate_node` created on the node is destroyed afterwards. Cannot refuse."""

    def on_cleanup_node(self) -> None:
        """Close the device; what `on_configure_node` created on the node is destroyed afterwards. Cannot refuse."""

    @property
    def state(self) -> str:
        """Lifecycle state: unconfigured, inactive, active, finalized, or the name of a transition under way."""
        return str(self._state_machine.current_state[1])

    def create_publisher(self, *arguments: Any, **options: Any) -> Any:
        """As rclpy's, without its default event callbacks: the executor would look at two more entities a publisher at every wake-up.

        A mismatch of QoS is still reported, by the subscription that asks for more than is offered.
        """
        options.setdefault("event_callbacks", PublisherEventCallbacks(use_default_callbacks=False))
        return super().create_publisher(*arguments, **options)

    def create_steady_timer(self, period_s: float, callback: Callable[[], None]) -> Timer:
        """Timer on steady time, for watchdogs: simulated time may stand still and the wall clock may be set."""
        return self.create_timer(period_s, callback, clock=self._steady_clock)

    def read_file(self, path: str | Path) -> bytes:
        """Bytes of a calibration file, whose name and SHA-256 then are part of `~/config`. Raises InputError."""
        try:
            content = Path(path).read_bytes()
        except OSError as error:
            expected, remedy = "a file that can be read", f"correct the path in the parameters of {self.get_name()}"
            raise InputError(str(path), expected=expected, got=error.strerror, remedy=remedy) from error
        self._files[Path(path).name] = hashlib.sha256(content).hexdigest()
        return content

    def close(self) -> None:
        """Leave the active and inactive state in order, then destroy the node. Raises what a hook raised on the way."""
        self._crash = None
        if self.state in ("active", "inactive"):
            self.trigger_shutdown()
        self.destroy_node()
        if self._crash is not None:
            raise self._crash

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Called by rclpy: read the parameters, call the hook, publish the configuration."""
        self._of_constructor = self._entities()
        self._files.clear()
        result = self._attempt("configure", self._configure)
        if result is not SUCCESS:
            self._destroy_all_but(self._of_constructor)
            return result
        self._of_configuration = self._entities()
        self._report_state("configured, waits to be activated")
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Called by rclpy: call the hook."""
        result = self._attempt("activate", self.on_activate_node)
        if result is not SUCCESS:
            self._destroy_all_but(self._of_configuration)
            return result
        self._report_state("active", Level.OK)
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Called by rclpy: call the hook, destroy what the activation created."""
        result = self._attempt("deactivate", self.on_deactivate_node)
        self._destroy_all_but(self._of_configuration)
        self._report_state("deactivated")
        return ERROR if result is ERROR else super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Called by rclpy: call the hook, destroy what the configuration created."""
        result = self._attempt("clean up", self.on_cleanup_node)
        self._destroy_all_but(self._of_constructor)
        self._report_state("waits to be configured")
        return ERROR if result is ERROR else super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Called by rclpy: as deactivation and clean-up from wherever the node stands."""
        if state.label == "active":
            self.on_deactivate(state)
        if state.label in ("active", "inactive"):
            self.on_cleanup(state)
        self._report_state("shut down")
        self.diagnostics.publish()
        return super().on_shutdown(state)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Called by rclpy after an exception in a hook: there is no way back, the node is about to end."""
        return FAILURE

    def _configure(self) -> None:
        self.config = read_config(self, self._config_class)
        self.on_configure_node(self.config)
        message = Config(
            node=self.get_fully_qualified_name(),
            parameters=yaml.safe_dump(to_mapping(self.config), sort_keys=False),
            files=list(self._files),
            sha256=list(self._files.values()),
            version=package_version(type(self).__module__.partition(".")[0]),
        )
        message.header.stamp = self.get_clock().now().to_msg()
        self._config_publisher.publish(message)

    def _start(self) -> None:
        self.destroy_timer(self._starter)
        if self.state != "unconfigured":
            return  # a manager was faster
        if self.trigger_configure() == SUCCESS and self.trigger_activate() == SUCCESS:
            return
        if self._refusal is not None:
            raise self._refusal

    def _attempt(self, what: str, hook: Callable[[], None]) -> TransitionCallbackReturn:
        try:
            hook()
        except InputError as error:
            self.get_logger().error(f"cannot {what}: {error}")
            self.diagnostics.report(Level.ERROR, f"cannot {what}: {error}", component="lifecycle")
            self._refusal = error
            return FAILURE
        except Exception as error:
            # rclpy would swallow it; the request is answered first, then the executor sees the exception.
            self.get_logger().fatal(f"cannot {what}:\n{traceback.format_exc()}")
            self._crash = error
            if self.executor is not None:
                self.executor.create_task(self._end)
            return ERROR
        return SUCCESS

    def _end(self) -> None:
        if self._crash is not None:
            raise self._crash

    def _on_set_parameters(self, changes: list[Parameter]) -> SetParametersResult:
        if not any(self.has_parameter(change.name) and change.name != "use_sim_time" for change in changes):
            return SetParametersResult(successful=True)
        if self.state not in ("unconfigured", "finalized"):
            return SetParametersResult(successful=False, reason=_HOLDING)
        if any(change.value is None for change in changes):
            return SetParametersResult(successful=False, reason=_UNSET)
        try:
            read_config(self, self._config_class, changes)
        except InputError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _report_state(self, reason: str, level: Level = Level.WARN) -> None:
        self.diagnostics.report(level, reason, component="lifecycle")

    def _entities(self) -> frozenset[object]:
        groups = (self.publishers, self.subscriptions, self.timers, self.services, self.clients)
        return frozenset(entity for group in groups for entity in group)

    def _destroy_all_but(self, kept: frozenset[object]) -> None:
        for group, destroy in (
            (self.timers, self.destroy_timer),
            (self.subscriptions, self.destroy_subscription),
            (self.services, self.destroy_service),
            (self.clients, self.destroy_client),
            (self.publishers, self.destroy_publisher),
        ):
            for entity in [entity for entity in group if entity not in kept]:
                destroy(entity)


def _guarded_against_invalid_requests(node: LodestoneNode[Any]) -> Callable[[Any, Any], Any]:
    """The change_state handler of rclpy 7.1, which lets an invalid request end the node (ros2/rclpy issue 1209)."""
    handler = node._service_change_state.callback

    def guarded(request: Any, response: Any) -> Any:
        try:
            return handler(request, response)
        except rclpy_implementation.RCLError as error:
            node.get_logger().warning(f"transition {request.transition.id} refused in state {node.state}: {error}")
            response.success = False
            return response

    return guarded
