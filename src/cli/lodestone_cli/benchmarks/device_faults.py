"""Every fault of every emulated device, for `bench_faults`: what is asked of the emulator, and how it ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

Request = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Fault:
    """Requests that begin it and end it; one without an end ends by itself (`for_s` is added) or is over at once (`lasting` False).

    `until_homed`: counters have lost their place, and the fault lasts until so many index pulses of every joint of the arm.
    """

    begin: Request
    end: Request | None = None
    lasting: bool = True
    until_homed: int = 0


def _timed(do: str, **fields: Any) -> Fault:
    return Fault({"do": do, **fields})


def _ended(do: str, end: str = "clear", **fields: Any) -> Fault:
    return Fault({"do": do, **fields}, {"do": end})


def _once(do: str, until_homed: int = 0, **fields: Any) -> Fault:
    return Fault({"do": do, **fields}, lasting=False, until_homed=until_homed)


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

ARM: Mapping[str, Fault] = {
    **{name: fault for name, fault in STREAM.items() if name not in ("power off and on", "restart, counters at 0")},
    "power off and on": replace(STREAM["power off and on"], until_homed=1),
    "restart, counters at 0": replace(STREAM["restart, counters at 0"], until_homed=1),
    "joint 2: encoder dead": replace(_timed("dead", joint=2), until_homed=1),
    "joint 2: weak signal": replace(_timed("weak", joint=2), until_homed=1),
    "joint 2: false index": _once("false_index", until_homed=2, joint=2),
    "joint 2: illegal transitions": _once("illegal", until_homed=2, joint=2, times=3, counts=0),
    "joint 2: 400 counts lost": _once("lose_counts", until_homed=2, joint=2, counts=400),
}
"""An encoder that has lost its place has it again after so many index pulses: only then is the fault over."""


def _video(width: int, height: int) -> Mapping[str, Fault]:
    """Of whatever sends images of this size."""
    return {
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
        "another size": Fault({"do": "size", "width": 640, "height": 256}, {"do": "size", "width": width, "height": height}),
        "images 0.2 s late": _ended("latency", ms=200.0),
    }


STEREO: Mapping[str, Fault] = {
    **_video(2048, 1536),
    "left: cable pulled": Fault({"do": "unplug", "camera": "left"}, {"do": "replug", "camera": "left"}),
    "right: image frozen": _timed("freeze", camera="right"),
}
ULTRASOUND: Mapping[str, Fault] = {
    **_video(400, 320),
    "depth changed": Fault({"do": "depth", "mm": 100.0}, {"do": "depth", "mm": 150.0}),
}

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
    "stereo": STEREO,
    "ultrasound": ULTRASOUND,
    "xray": _video(512, 512),
}
