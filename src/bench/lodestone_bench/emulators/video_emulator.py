"""One loop for one or several emulated video devices: waits for readers, for the next image, for faults and for requests."""

from __future__ import annotations

import logging
import select
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lodestone_bench.emulators.emulator_loop import EmulatorLoop
from lodestone_bench.emulators.video_config import Latency, Request, Size, Unplug, parse_request
from lodestone_bench.emulators.video_server import VideoServer
from lodestone_bench.faults import Schedule
from lodestone_core.errors import InputError

log = logging.getLogger(__name__)

_LONGEST_WAIT_S = 0.5
_STALL_S = 0.02
"""A wake-up that is later than this: the machine did not run this process."""


class VideoEmulator(EmulatorLoop):
    """`clock` gives world seconds; `devices` are named for requests."""

    def __init__(
        self,
        devices: Mapping[str, VideoServer],
        clock: Callable[[], float],
        control: Path | None = None,
        schedule: Schedule | None = None,
    ) -> None:
        """Raises InputError for a schedule with a request that makes no sense."""
        super().__init__(control)
        self.devices = dict(devices)
        self.clock = clock
        self.host_stalls, self.host_stalled_s = 0, 0.0
        self._names = tuple(devices)
        self._schedule = schedule or Schedule()
        for request in self._schedule.requests():
            parse_request(request, self._names)
        self._born_s = clock()
        self._ready: list[Any] = []

    def request(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out one request of the control protocol. Raises InputError for one that makes no sense."""
        asked = parse_request(request, self._names)
        chosen = {name: device for name, device in self.devices.items() if asked.camera in ("", name)}
        if asked.name == "quit":
            self.stop()
        elif asked.name == "swap":
            self._swap()
        elif asked.name == "statistics":
            host = {"host_stalls": self.host_stalls, "host_stalled_s": self.host_stalled_s, "world_s": self.clock()}
            return {**host, "devices": {name: device.statistics() for name, device in chosen.items()}}
        elif asked.name == "state":
            return {"devices": {name: device.state(self.clock()) for name, device in chosen.items()}}
        for device in chosen.values():
            _perform(device, asked, self.clock())
        return {}

    def _plug_in(self) -> None:
        for name, device in self.devices.items():
            device.open(self.clock())
            log.info("%s at %s", name, device.socket.url)

    def _unplug(self) -> None:
        for device in self.devices.values():
            device.close()

    def _turn(self) -> None:
        self._run_schedule(self.clock())
        for device in self.devices.values():
            device.turn(self.clock(), self._ready)
        if self._control is not None:
            self._control.service(self._ready, self.request)
        self._ready = self._wait()

    def _swap(self) -> None:
        """The cables of two devices are exchanged."""
        devices = list(self.devices.values())
        if len(devices) != 2:
            raise InputError("request swap", expected="two devices", got=len(devices), remedy="it is for the emulator of two cameras")
        one, other = devices
        seen = one.source
        one.look_at(other.source)
        other.look_at(seen)

    def _run_schedule(self, now_s: float) -> None:
        for request in self._schedule.due(now_s - self._born_s, None):
            log.info("fault: %s", dict(request))
            self.request(request)

    def _wait(self) -> list[Any]:
        """What is readable, as soon as anything is to be done."""
        due_s = min(device.due_s() for device in self.devices.values())
        scheduled_s = self._schedule.next_s(self.clock() - self._born_s, None)
        wait_s = max(0.0, min(due_s - self.clock(), _LONGEST_WAIT_S, _LONGEST_WAIT_S if scheduled_s is None else scheduled_s))
        readers = self._others()
        writers: list[Any] = []
        for device in self.devices.values():
            readers += device.readers()
            writers += device.writers()
        end_s = self.clock() + wait_s
        readable, _, _ = select.select(readers, writers, [], wait_s)
        late_s = self.clock() - end_s
        if late_s > _STALL_S:
            self.host_stalls += 1
            self.host_stalled_s += late_s
        return readable


def _perform(device: VideoServer, request: Request, now_s: float) -> None:
    fields = request.fields
    if isinstance(fields, Unplug):
        device.unplug(None if fields.replug_after_s is None else now_s + fields.replug_after_s)
    elif isinstance(fields, Size):
        device.resize(fields.width, fields.height)
    elif isinstance(fields, Latency):
        device.faults.extra_latency_s = fields.ms * 1e-3
    elif request.name == "replug" and not device.plugged_in:
        device.replug_at_s = now_s
    elif request.name == "clear":
        device.faults.clear()
    elif hasattr(fields, "for_s") or hasattr(fields, "count"):
        device.faults.begin(request.name, fields, now_s)
