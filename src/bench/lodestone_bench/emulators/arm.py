"""`arm_emulator`: the encoders of an ultrasound arm on a pseudo-terminal, moved as the world has it. No ROS.

Examples:
    arm_emulator --link /dev/shm/arm --clock /dev/shm/lodestone_world_0 --control /dev/shm/arm.control
    arm_emulator --control /dev/shm/arm.control --send '{"do": "lose_counts", "joint": 3, "counts": 100}'
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lodestone_bench.emulators.encoders import Encoders
from lodestone_bench.emulators.request_fields import Nothing
from lodestone_bench.emulators.stream_device import StreamDeviceConfig
from lodestone_bench.emulators.stream_main import Emulator, Given, run_emulator
from lodestone_bench.emulators.stream_requests import Requests
from lodestone_bench.world.arm import JOINTS, ArmWorld
from lodestone_bench.world.arm_config import ArmConfig
from lodestone_bench.world.sections import section_of
from lodestone_core.config import option

_FOREVER_S = 1e9
_MEASUREMENT, _HELLO = 0x21, 0x31
_FIRMWARE = (1, 0, 0)
_SEEN, _NO_SIGNAL, _WEAK = 1, 2, 4


@dataclass(frozen=True, slots=True)
class OfJoint:
    """A request about one encoder, by the number of its joint."""

    joint: int = option(1, doc="1 to 6", minimum=1, maximum=JOINTS)


@dataclass(frozen=True, slots=True)
class LoseCounts(OfJoint):
    """The counter falls behind without a sign of it."""

    counts: int = option(100, doc="how many; negative ones are too many")


@dataclass(frozen=True, slots=True)
class Illegal(OfJoint):
    """Both channels change at once, as after a knock; each time counts may be lost."""

    times: int = option(1, doc="how often", minimum=1, maximum=3)
    counts: int = option(0, doc="counts that are lost with it")


@dataclass(frozen=True, slots=True)
class ForJoint(OfJoint):
    """A request about one encoder for a while."""

    for_s: float = option(_FOREVER_S, unit="s", doc="for how long", minimum=0.0)


@dataclass(frozen=True, slots=True)
class Exchange:
    """The cables of two encoders are exchanged; the counters begin anew."""

    joint: int = option(4, doc="1 to 6", minimum=1, maximum=JOINTS)
    other: int = option(5, doc="1 to 6", minimum=1, maximum=JOINTS)


class ArmRecords:
    """What the arm's device sends; the layout is that of docs/encoder_stream.md, written apart from the driver's."""

    def __init__(self, world: ArmWorld, rate_hz: float | None = None) -> None:
        self.encoders = Encoders(world)
        self._config = world.config.encoders
        self._rate_hz = rate_hz or world.config.device.rate_hz

    def record(self, sequence: int, device_us: int, world_s: float) -> bytes:
        """A measurement."""
        counts = self.encoders.advance(world_s)
        state = self.encoders.state
        head = struct.pack("<BBHIQB", _MEASUREMENT, self._config.device_id, 0, sequence, device_us, JOINTS)
        bits = _SEEN * state.seen + _NO_SIGNAL * (self.encoders.dead_until_s > world_s) + _WEAK * (self.encoders.weak_until_s > world_s)
        status = bits | (state.pulses % 4) << 4 | (state.illegal % 4) << 6
        joints = zip(self._cut(counts), self._cut(state.latched), status.tolist(), strict=True)
        return head + b"".join(struct.pack("<iiB", *joint) for joint in joints)

    def hello(self, device_us: int) -> bytes:
        """What the device is."""
        c = self._config
        head = struct.pack("<BBHIQ", _HELLO, c.device_id, 0, c.serial, device_us)
        counts = [c.counts_per_revolution[joint] for joint in self.encoders.wiring]
        about = struct.pack("<BBBBHB", *_FIRMWARE, c.counter_bits, round(self._rate_hz), JOINTS)
        return head + about + b"".join(struct.pack("<IB", count, 1) for count in counts)

    def power_on(self) -> None:
        """Counters begin anew."""
        self.encoders.power_on()

    def own_requests(self) -> Requests:
        """Faults of encoders."""
        return {
            "lose_counts": (LoseCounts, lambda records, fields: records.encoders.lose(fields.joint - 1, fields.counts)),
            "illegal": (Illegal, lambda records, fields: records.illegal(fields)),
            "dead": (ForJoint, lambda records, fields: records.until(records.encoders.dead_until_s, fields)),
            "weak": (ForJoint, lambda records, fields: records.until(records.encoders.weak_until_s, fields)),
            "false_index": (OfJoint, lambda records, fields: records.encoders.false_index(fields.joint - 1)),
            "exchange": (Exchange, lambda records, fields: records.exchange(fields)),
            "truth": (Nothing, lambda records, fields: records.truth()),
        }

    def illegal(self, fields: Illegal) -> None:
        """Carry out a request."""
        self.encoders.state.illegal[fields.joint - 1] += fields.times
        self.encoders.lose(fields.joint - 1, fields.counts)

    def until(self, times_s: Any, fields: ForJoint) -> None:
        """Carry out a request."""
        times_s[fields.joint - 1] = self.encoders.world_s + fields.for_s

    def exchange(self, fields: Exchange) -> None:
        """Carry out a request."""
        wiring, a, b = self.encoders.wiring, fields.joint - 1, fields.other - 1
        wiring[a], wiring[b] = wiring[b], wiring[a]
        self.encoders.power_on()

    def truth(self) -> dict[str, Any]:
        """Joint angles and pose at the newest trigger."""
        world_s, world = self.encoders.world_s, self.encoders.world
        return {
            "world_s": world_s,
            "positions_rad": world.joint_positions(world_s).tolist(),
            "T_bench_probe": world.T_bench_probe(world_s).tolist(),
        }

    def clear(self) -> None:
        """Encoders live and are read well again; counts that were lost stay lost."""
        self.encoders.dead_until_s[:] = 0.0
        self.encoders.weak_until_s[:] = 0.0

    def own_statistics(self) -> dict[str, Any]:
        """Index pulses so far."""
        return {"index_pulses": self.encoders.state.pulses.tolist()}

    def _cut(self, counts: Any) -> list[int]:
        """Counts as counters of this width hold them, with a sign."""
        half = 1 << (self._config.counter_bits - 1)
        return ((np.asarray(counts) + half) % (2 * half) - half).tolist()  # type: ignore[no-any-return]


def make_arm(given: Given) -> tuple[ArmRecords, StreamDeviceConfig]:
    """The device of the world's section `arm`. Raises InputError."""
    config = section_of(given.world, "arm", ArmConfig)
    return ArmRecords(ArmWorld(config, given.seed), given.options.rate), config.device


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the emulator until SIGINT or SIGTERM; 0 when it ended as asked, 2 for bad input."""
    return run_emulator(Emulator("arm_emulator", "The emulated encoders of an ultrasound arm on a pseudo-terminal.", make_arm), arguments)


if __name__ == "__main__":
    sys.exit(main())
