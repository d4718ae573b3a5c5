"""Shared by the tests of this package: the simulated arm, its calibration, its encoders without a line between; pictures of fans."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
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
from us_motion.frame_geometry import Fan, FanConfig
from us_motion.kinematics import Chain
from us_motion.types import ArmSample
from us_motion.urdf import read_chain

LAUNCH = Path(__file__).parents[3] / "launch"
SIZE = (400, 320)


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

    def next(self) -> ArmSample:
        """The next sample; the first frames after an opening or a restart give none, since their time is not known yet."""
        for _ in range(10):
            if samples := self.run(0.01):
                return samples[0]
        raise AssertionError(self.reason)

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
        self.records.power_on()
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


def make_fan(depth_mm: float, spacing_mm: float, half_rad: float = math.pi / 6, radius_mm: float = 45.0, top_px: float = 4.0) -> Fan:
    """A fan in the middle of the picture whose near corners are at the top."""
    apex = (0.5 * (SIZE[0] - 1), top_px - radius_mm * math.cos(half_rad) / spacing_mm)
    return Fan(FanConfig(depth_mm, (spacing_mm, spacing_mm), apex, radius_mm, -half_rad, half_rad), SIZE)


def make_pictures(fan: Fan, count: int, seed: int = 0, dark: tuple[float, float] | None = None, **screen: Any) -> npt.NDArray[np.uint8]:
    """`count` pictures (n, rows, columns). Between the angles `dark` (rad) there is a shadow; `screen` are patches of grey, y0_x0=value."""
    rng = np.random.default_rng(seed)
    columns, rows = np.meshgrid(np.arange(SIZE[0]), np.arange(SIZE[1]))
    radius, angle = fan.polar(np.stack([columns, rows], axis=-1))
    lit = fan.mask if dark is None else fan.mask & ~((angle > dark[0]) & (angle < dark[1]) & (radius > 70.0))
    found = np.zeros((count, *lit.shape), np.uint8)
    for image in found:
        image[lit] = np.clip(rng.rayleigh(60.0, int(lit.sum())), 0, 255).astype(np.uint8)
        for place, grey in screen.items():
            row, column = (int(part) for part in place.strip("_").split("_")[-2:])
            image[row : row + 12, column : column + 40] = grey
    return found


@pytest.fixture(scope="session")
def fan_of() -> Callable[..., Fan]:
    """fan_of(depth_mm, spacing_mm, half_rad, radius_mm, top_px): see make_fan."""
    return make_fan


@pytest.fixture(scope="session")
def pictures() -> Callable[..., npt.NDArray[np.uint8]]:
    """pictures(fan, count, seed, dark, **screen): see make_pictures."""
    return make_pictures
