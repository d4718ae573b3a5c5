"""Every fault of every emulated device, for `bench_faults`: what is asked of the emulator, and how it ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Request = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Fault:
    """Requests that begin it and end it; one without an end ends by itself (`for_s` is added) or is over at once (`lasting` False).

    `until_homed`: counters without power have lost their place, and the fault lasts until every joint was moved over its index.
    """

    begin: Request
    end: Request | None = None
    lasting: bool = True
    until_homed: bool = False


def _timed(do: str, **fields: Any) -> Fault:
    return Fault({"do": do, **fields})


def _ended(do: str, end: str = "clear", **fields: Any) -> Fault:
    return Fault({"do": do, **fields}, {"do": end})


def _once(do: str, **fields: Any) -> Fault:
    return Fault({"do": do, **fields}, lasting=False)


STREAM: Mapping[str, Fault] = {
    "cable pulled": _ended("unplug", "replug", restart=False),
    "power off and on": _ended("unplug", "replug", restart=True),
    "device silent": _timed("stall"),
    "device hangs": _timed("hang"),
    "every frame corrupt": _ended("corrupt", count=0, bits=3),
    "every other frame corrupt": _ended("corrupt", count=0, probability=0.5),
    "frames truncated": _ended("truncate", count=0),
    "frames lost": _ended("drop", count=0, probability=0.5),
    "frames twice": _ended("duplicate", count=0),
    "frames 0.3 s late": _ended("delay", count=0, s=0.3),
    "random bytes": _once("junk", bytes=4096),
    "half the rate": _ended("rate", factor=0.5),
    "another baud rate": _ended("baud", value=57600),
    "restart, counters at 0": _once("restart"),
    "sequence wraps": _once("set_sequence", value=2**32 - 20),
    "device clock jumps": _once("step_clock", by_us=3_000_000),
}
"""Of whatever sends framed records on a serial line."""

ARRAY: Mapping[str, Fault] = {
    **STREAM,
    **{
        f"sensor 5: {name}": _timed(do, sensor=5)
        for name, do in {
            "stuck": "stuck",
            "dead": "dead",
            "bus error": "bus_error",
            "overflow": "overflow",
            "invalid flag": "invalid",
            "overrun": "overrun",
        }.items()
    },
    "sensor 5: axes swapped": _timed("axes", sensor=5, axes="yxz"),
}

ARM: Mapping[str, Fault] = {**STREAM}

VIDEO: Mapping[str, Fault] = {
    "cable pulled": _ended("unplug", "replug"),
    "no image": _timed("stall"),
    "image frozen": _timed("freeze"),
    "image black": _timed("black"),
    "connection refused": _timed("refuse"),
    "half the rate": _timed("rate", divisor=2),
    "half the images lost": _timed("drop", probability=0.5),
    "bytes wrong": _once("corrupt", count=5),
    "out of step": _once("corrupt", count=2, marker=True),
    "images cut off": _once("truncate", count=3),
    "another size": Fault({"do": "size", "width": 640, "height": 480}, None),
    "images 0.2 s late": _ended("latency", "clear", ms=200.0),
}
"""Of whatever sends images; the size goes back to the device's own at the end."""

AURORA: Mapping[str, Fault] = {
    "cable pulled": _ended("unplug", "replug"),
    "device silent": _timed("stall"),
    "every reply corrupt": _timed("corrupt", count=0),
    "replies truncated": _timed("truncate", count=0),
    "replies lost": _timed("drop", count=0, probability=0.5),
    "replies twice": _timed("duplicate", count=0),
    "replies 0.1 s late": _timed("delay", count=0, s=0.1),
    "tool unplugged": Fault({"do": "tool_out", "tool": "sensor_0"}, {"do": "tool_in", "tool": "sensor_0"}),
    "no pose of a tool": _timed("missing", tool="sensor_0"),
}
"""More of the tracker's faults, down to the controller: `bench_stop`."""

DEVICES: Mapping[str, Mapping[str, Fault]] = {
    "aurora": AURORA,
    "magnetometers": ARRAY,
    "us_arm": ARM,
    "stereo": VIDEO,
    "ultrasound": VIDEO,
    "xray": VIDEO,
}
