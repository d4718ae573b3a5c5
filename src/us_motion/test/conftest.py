"""Shared by the tests of this package: the simulated arm, its calibration, and its encoders without a line between."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lodestone_bench.emulators.arm import ArmRecords
from lodestone_bench.world.arm import ArmWorld
from lodestone_bench.world.arm_config import ArmConfig as WorldConfig
from lodestone_core.device.stream import Arrival
from us_motion.arm_calibration import ArmCalibration, load_arm_calibration
from us_motion.drivers.arm_files import Arm
from us_motion.drivers.arm_tracker import ArmTracker
from us_motion.drivers.config import ArmConfig
from us_motion.drivers.stored_home import StoredHome
from us_motion.kinematics import Chain
from us_motion.types import ArmSample
from us_motion.urdf import read_chain

LAUNCH = Path(__file__).parents[3] / "launch"


@pytest.fixture(scope="session")
def chain() -> Chain:
    return read_chain(LAUNCH / "urdf" / "us_arm.urdf", "us_arm_base", "us_probe")


@pytest.fixture(scope="session")
def calibration() -> ArmCalibration:
    return load_arm_calibration(LAUNCH / "rigs" / "simulated" / "us_arm.yaml", "simulated")


class Rig:
    """The world's encoders and the tracker, frame by frame on a clock of their own; frames can be left out."""

    def __init__(self, arm: Arm, world: ArmWorld, config: ArmConfig) -> None:
        self.records = ArmRecords(world)
        self.samples: list[ArmSample] = []
        self.arm, self.config = arm, config
        self.tracker = self.make()
        self.world_s, self.booted_s, self.sequence, self.opening = 0.0, 0.0, 0, 1
        self.reason = ""

    def make(self) -> ArmTracker:
        return ArmTracker(self.config, self.arm, self.samples.append, lambda steady_ns: steady_ns + 10**18)

    def hello(self) -> None:
        self.give(self.records.hello(self.device_us()))

    def run(self, seconds: float, heard: bool = True) -> list[ArmSample]:
        """100 Hz for so long; the samples of it."""
        first = len(self.samples)
        for _ in range(round(100 * seconds)):
            self.world_s = round(self.world_s + 0.01, 6)
            body = self.records.record(self.sequence, self.device_us(), self.world_s)
            self.sequence = (self.sequence + 1) % 2**32
            if heard:
                self.give(body)
        return self.samples[first:]

    def until_valid(self, limit_s: float = 25.0) -> list[ArmSample]:
        """As `run`, a tenth of a second beyond the moment from which all joints hold."""
        first, end_s = len(self.samples), self.world_s + limit_s
        self.run(0.1)
        while not self.samples[-1].valid:
            assert self.world_s < end_s, self.samples[-1].detail
            self.run(0.1)
        return self.samples[first:]

    def restart_device(self) -> None:
        self.booted_s, self.sequence = self.world_s, 0
        self.hello()

    def restart_driver(self) -> None:
        self.tracker = self.make()
        self.opening = 1
        self.hello()

    def device_us(self) -> int:
        return round((self.world_s - self.booted_s) * 1e6)

    def give(self, body: bytes) -> None:
        now_ns = round(self.world_s * 1e9) + 2_000_000
        self.reason = self.tracker.take(Arrival(body, now_ns - 1_000_000, now_ns, self.opening))

    def do(self, name: str, **fields: Any) -> None:
        kind, perform = self.records.own_requests()[name]
        perform(self.records, kind(**fields))

    def error_rad(self) -> np.ndarray:
        """Of the newest sample against the world."""
        return np.abs(self.samples[-1].positions - self.records.encoders.world.joint_positions(self.world_s))


@pytest.fixture
def rig(calibration: ArmCalibration, chain: Chain) -> Callable[..., Rig]:
    """Makes a rig; `encoders` changes the world's encoders, `home` keeps homings, everything else goes into the driver's configuration."""

    def make(encoders: dict[str, Any] | None = None, calibrated: bool = True, home: StoredHome | None = None, **config: Any) -> Rig:
        base = WorldConfig()
        world = ArmWorld(replace(base, encoders=replace(base.encoders, **(encoders or {}))))
        made = Rig(Arm(chain, calibration if calibrated else None, home), world, ArmConfig(**config))
        made.hello()
        return made

    return make
