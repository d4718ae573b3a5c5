"""Lifecycle manager: brings nodes up in order, brings a respawned one back, shuts them down in reverse.

For nodes started with `autostart: false`; where that is left at true a node needs no manager.
"""

from __future__ import annotations

import sys
from typing import Any

from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.client import Client
from rclpy.task import Future

from lodestone_core.errors import InputError
from lodestone_core.ros.diagnostics import Level
from lodestone_core.ros.node import LodestoneNode
from lodestone_core.ros.run import run
from lodestone_guidance.config import ManagerConfig

NEXT_TRANSITION = {
    State.PRIMARY_STATE_UNCONFIGURED: Transition.TRANSITION_CONFIGURE,
    State.PRIMARY_STATE_INACTIVE: Transition.TRANSITION_ACTIVATE,
}
DOWN_TRANSITION = {
    State.PRIMARY_STATE_ACTIVE: Transition.TRANSITION_ACTIVE_SHUTDOWN,
    State.PRIMARY_STATE_INACTIVE: Transition.TRANSITION_INACTIVE_SHUTDOWN,
    State.PRIMARY_STATE_UNCONFIGURED: Transition.TRANSITION_UNCONFIGURED_SHUTDOWN,
}


class ManagedNode:
    """One node as the manager sees it: its last known state and at most one request under way."""

    def __init__(self, node: LodestoneNode[Any], name: str, timeout_s: float, period_s: float) -> None:
        self.name = name
        self.state = State.PRIMARY_STATE_UNKNOWN
        self._patience = max(1, round(timeout_s / period_s))
        self._waited = 0
        self._pending: Future | None = None
        self._get: Client = node.create_client(GetState, f"{name}/get_state")
        self._change: Client = node.create_client(ChangeState, f"{name}/change_state")

    @property
    def active(self) -> bool:
        return self.state == State.PRIMARY_STATE_ACTIVE

    def ask(self) -> None:
        """Ask for the state, unless a request is still under way; give that up after the time-out."""
        self._waited += 1
        if not self._get.service_is_ready() or self._waited > self._patience:
            self.state, self._pending, self._waited = State.PRIMARY_STATE_UNKNOWN, None, 0
        elif self._pending is None:
            self._send(self._get, GetState.Request(), lambda answer: answer.current_state.id)

    def advance(self) -> None:
        """One transition towards active."""
        if self.state in NEXT_TRANSITION:
            self.request(NEXT_TRANSITION[self.state])

    def request(self, transition: int) -> None:
        """Ask for a transition; the state is unknown until it is asked for again."""
        if not self._change.service_is_ready():
            return
        request = ChangeState.Request(transition=Transition(id=transition))
        self._send(self._change, request, lambda _: State.PRIMARY_STATE_UNKNOWN)

    def _send(self, client: Client, request: Any, state_of: Any) -> None:
        self._waited = 0
        self._pending = client.call_async(request)
        self._pending.add_done_callback(lambda future: self._answered(future, state_of))

    def _answered(self, future: Any, state_of: Any) -> None:
        if self._pending is None or future is not self._pending:
            return  # given up, or overtaken by a later request
        # A cancelled or failed request has no answer: the state is unknown until it is asked for again.
        answer = future.result() if future.exception() is None else None
        self.state, self._pending = (state_of(answer) if answer else State.PRIMARY_STATE_UNKNOWN), None


class ManagerNode(LodestoneNode[ManagerConfig]):
    """Steps through the nodes in order; a later one waits until all before it are active."""

    def __init__(self, **ros: Any) -> None:
        super().__init__("lifecycle_manager", ManagerConfig, **ros)

    def on_configure_node(self, config: ManagerConfig) -> None:
        """Make a client pair a node."""
        if not config.nodes:
            raise InputError("nodes", expected="at least one lifecycle node", got="none", remedy="name the nodes in their order")
        self._nodes = [ManagedNode(self, name, config.timeout_s, config.period_s) for name in config.nodes]

    def on_activate_node(self) -> None:
        """Look at all of them now and then."""
        self.create_steady_timer(self.config.period_s, self._step)

    def on_deactivate_node(self) -> None:
        """Take them down in reverse; requests are sent, each node answers for itself."""
        for node in reversed(self._nodes):
            if node.state in DOWN_TRANSITION:
                node.request(DOWN_TRANSITION[node.state])

    def _step(self) -> None:
        blocked = ""
        for node in self._nodes:
            node.ask()
            if node.active:
                self.diagnostics.report(Level.OK, "active", component=node.name)
                continue
            waits = f"waits for {blocked}" if blocked else "is being brought up"
            self.diagnostics.report(Level.WARN, waits, "look at that node's own diagnostics if this lasts", component=node.name)
            if not blocked:
                node.advance()
                blocked = node.name


def main() -> int:
    """Entry point of lifecycle_manager."""
    return run(ManagerNode)


if __name__ == "__main__":
    sys.exit(main())
