"""Judges of what each driver publishes, by the truth of the simulated world at the message's own stamp."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

import numpy as np
from sensor_msgs.msg import Image

from lodestone_bench.emulators.array_config import ArrayConfig
from lodestone_bench.emulators.array_truth import ArrayTruth
from lodestone_bench.emulators.pixel_code import read_code
from lodestone_bench.magnetics.field import world_field
from lodestone_bench.world.arm import ArmWorld
from lodestone_bench.world.epoch import WorldClock
from lodestone_cli.ros.device_probe import Judge, Verdict, Watched
from lodestone_core.messages import stamp_from_msg
from lodestone_core.time import s_from_ns
from lodestone_core.types import ToolStatus
from lodestone_msgs.msg import ArmEncoders, MagnetometerArray, TrackedTools, UltrasoundGeometry, XrayGeometry

FIELD_TOLERANCE_T: Final = 2e-6
"""Noise is 0.12 uT an axis; the wire's field changes by less than 1 uT in 10 ms."""
ANGLE_TOLERANCE_RAD: Final = 0.01
STAMP_TOLERANCE_S: Final = 0.02
"""An image whose stamp is further from its acquisition than this was given a time that is not its own."""


def judges(clock: WorldClock, image_size: tuple[int, int]) -> Mapping[str, list[Watched]]:
    """What is watched of each device, by its node's name. `image_size`: width and height of a camera's image."""
    stamp = partial(world_time, clock)
    size = {"left": image_size, "right": image_size}
    return {
        "aurora": [Watched("aurora/tools", TrackedTools, tools)],
        "magnetometers": [Watched("magnetometers/array", MagnetometerArray, field_judge(stamp))],
        "us_arm": [Watched("us_arm/encoders", ArmEncoders, arm_judge(stamp))],
        "stereo": [Watched(f"stereo/{side}/image_raw", Image, partial(image, stamp, size[side])) for side in size],
        "ultrasound": [
            Watched("ultrasound/image_raw", Image, partial(not_posed, partial(image, stamp, None))),
            Watched("ultrasound/geometry", UltrasoundGeometry, geometry),
        ],
        "xray": [
            Watched("xray/image_raw", Image, partial(not_posed, partial(image, stamp, None))),
            Watched("xray/geometry", XrayGeometry, geometry),
        ],
    }


def world_time(clock: WorldClock, stamp: Any) -> float:
    """World time of a message's stamp, in seconds."""
    return s_from_ns(stamp_from_msg(stamp) - clock.wall_ns(0.0))


def tools(msg: Any) -> Verdict:
    """Poses of the tracker: a position is a number where, and only where, the tool is valid."""
    valid = [tool for tool in msg.tools if tool.status == ToolStatus.VALID.value]
    bad = [tool.name for tool in msg.tools if np.isfinite(tool.pose.position.x) != (tool.status == ToolStatus.VALID.value)]
    return Verdict(bool(valid), f"position of {bad}" if bad else "")


def field_judge(stamp: Callable[[Any], float], seed: int = 0) -> Judge:
    """The field of each sensor that is called valid, at the place where the sensor really is."""
    truth, source = ArrayTruth(ArrayConfig(), seed), world_field({}, seed)

    def judge(msg: Any) -> Verdict:
        valid = np.array([sensor.valid for sensor in msg.sensors])
        if not valid.any():
            return Verdict(False)
        fields = np.array([sensor.field for sensor in msg.sensors])
        error = np.abs(fields - source.field_T(truth.points_mm, stamp(msg.header.stamp)))[valid].max()
        return Verdict(True, f"field off by {1e6 * error:.1f} uT" if not error < FIELD_TOLERANCE_T else "")

    return judge


def arm_judge(stamp: Callable[[Any], float], seed: int = 0) -> Judge:
    """The angle of each joint that is called good, and of all when the arm is called valid."""
    world = ArmWorld(seed=seed)

    def judge(msg: Any) -> Verdict:
        position = np.array(msg.position)
        known = np.isfinite(position)
        if not known.any():
            return Verdict(False)
        error = np.abs(position - world.joint_positions(stamp(msg.header.stamp)))[known].max()
        return Verdict(bool(msg.valid), f"angle off by {error:.3f} rad" if error > ANGLE_TOLERANCE_RAD else "")

    return judge


def image(stamp: Callable[[Any], float], size: tuple[int, int] | None, msg: Any) -> Verdict:
    """An image of the expected size whose stamp is that of its acquisition."""
    if size not in (None, (msg.width, msg.height)):
        return Verdict(False)
    code = read_code(np.frombuffer(msg.data, np.uint8, count=msg.width).reshape(1, -1)) if msg.encoding == "mono8" else None
    if code is None:
        return Verdict(True)  # its first pixels were damaged on the way, which nobody can tell who is not told of the code
    error_s = stamp(msg.header.stamp) - s_from_ns(code.world_ns)
    return Verdict(True, f"stamp off by {1e3 * error_s:.0f} ms" if abs(error_s) > STAMP_TOLERANCE_S else "")


def not_posed(judge: Judge, msg: Any) -> Verdict:
    """An image by itself asserts nothing where its geometry goes with it."""
    return Verdict(False, judge(msg).wrong)


def geometry(msg: Any) -> Verdict:
    """A geometry that is called valid."""
    return Verdict(bool(msg.valid))
