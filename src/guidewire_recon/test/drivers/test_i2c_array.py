"""Sensors on I2C against an emulated register file: modes by the rules, every flag, a multiplexer, sensors that fail and come back."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from guidewire_recon.drivers.ak09940a import Drive, Mode
from guidewire_recon.drivers.ak09940a_i2c import Chip, I2cArray, places
from guidewire_recon.drivers.array_frames import BUS, DOR, DRDY, INV, RANGE, SELF_TEST_FAILED, SELF_TEST_PASSED
from guidewire_recon.drivers.config import I2cConfig, MagnetometersConfig
from guidewire_recon.drivers.i2c_driver import I2cDriver
from guidewire_recon.types import ArraySample, SensorStatus
from lodestone_core.device.faults import Cause
from lodestone_core.device.serial_port import SystemClock
from lodestone_core.errors import InputError

registers = pytest.importorskip("lodestone_bench.emulators.ak09940a_registers")
VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "ak09940a.json").read_text())
MS = 1_000_000


class Clock(SystemClock):
    """Time that passes by sleeping and by what goes over the bus only."""

    def __init__(self) -> None:
        super().__init__()
        self.ns = 10**9
        self.while_asleep: Callable[[], None] = lambda: None

    def now_ns(self) -> int:
        return self.ns

    def wall_ns(self, now_ns: int) -> int:
        return now_ns

    def sleep(self, seconds: float) -> None:
        self.ns += round(seconds * 1e9)
        self.while_asleep()


class Rig:
    """Chips on a bus whose transactions take 0.1 ms."""

    def __init__(self, count: int = 2, multiplexer: int = 0, wia2: int = 0xA3) -> None:
        self.clock = Clock()
        self.counts = np.arange(3 * count).reshape(count, 3) * 1000 - 4000
        self.noise = np.random.default_rng(0)
        entries = [f"{k // 4}:{0x0C + k % 4}" if multiplexer else str(0x0C + k) for k in range(count)]
        self.places = places(entries, multiplexer)
        self.entries = tuple(entries)
        self.chips = [registers.Ak09940aRegisters(self.field(k), self.clock.now_ns, wia2) for k in range(count)]
        where = [(place.channel, place.address) for place in self.places]
        self.bus = registers.EmulatedBus(dict(zip(where, self.chips, strict=True)), multiplexer)
        self.where = where
        slow = self.bus._chip

        def chip(address: int) -> Any:
            self.clock.ns += MS // 10
            return slow(address)

        self.bus._chip = chip
        self.array = I2cArray(self.bus, self.places, Drive.LOW_NOISE_2, False, self.clock.sleep, multiplexer)

    def field(self, index: int) -> Callable[[], tuple[int, int, int]]:
        return lambda: tuple((self.counts[index] + self.noise.integers(-9, 10, 3)).tolist())

    @property
    def violations(self) -> list[str]:
        return [text for chip in self.chips for text in chip.violations]


@pytest.mark.parametrize("vector", VECTORS["burst_10h_1Bh"], ids=lambda vector: vector["reply_hex"])
def test_a_burst_of_the_vectors_is_read_as_they_say(vector: dict[str, Any]) -> None:
    rig = Rig(1)
    rig.array.start()
    data = list(bytes.fromhex(vector["reply_hex"]))
    rig.bus.read_i2c_block_data = lambda address, register, length: data
    found, expected = rig.array.read(1, 0, 0), vector["expected"]
    assert found.raw.tolist() == [expected["xyz_lsb"]]
    assert bool(found.st[0] & DRDY) == expected["st1"]["drdy"]
    assert (bool(found.st[0] & DOR), bool(found.st[0] & INV)) == (expected["st2"]["dor"], expected["st2"]["inv"])
    assert bool(found.st[0] & RANGE) == any(expected.get("at_limit", [False]))


@pytest.mark.parametrize("multiplexer", [0, 0x70])
def test_all_sensors_are_measured_in_one_turn_by_the_rules_of_the_chip(multiplexer: int) -> None:
    rig = Rig(16 if multiplexer else 4, multiplexer)
    rig.array.start()
    assert all(rig.array.working) and set(rig.array.hello(1, 0, 50.0).self_tests) == {SELF_TEST_PASSED}
    for chip in rig.chips:
        chip.tmps = -17
    for k in range(3):
        rig.array.begin()
        rig.array.wait()
        found = rig.array.read(1, k, rig.clock.ns)
        assert np.abs(found.raw - rig.counts).max() <= 9 and found.st.tolist() == [DRDY] * len(rig.chips)
        assert found.tmps.tolist() == [-17] * len(rig.chips)
    assert rig.violations == []


def test_each_flag_of_the_chip_is_one_of_the_record() -> None:
    rig = Rig(4)
    rig.array.start()
    rig.counts[0] = [200000, 0, 0]
    rig.counts[1] = [0, 0, -200000]
    rig.chips[2].invalid = True
    rig.bus.silent.add(rig.where[3])
    rig.array.begin()
    rig.array.wait()
    found = rig.array.read(1, 0, 0)
    assert found.st.tolist() == [DRDY | RANGE, DRDY | RANGE, DRDY | INV, BUS] and found.raw[3].tolist() == [0, 0, 0]
    again = rig.array.read(1, 1, 0)  # nothing was measured in between
    assert not any(again.st & DRDY)


def test_a_sensor_in_continuous_mode_that_is_read_too_late_says_so_and_shows_no_torn_values() -> None:
    rig = Rig(1)
    chip = Chip(rig.bus, 0x0C, Drive.LOW_NOISE_2, rig.clock.sleep)
    chip.start(Mode.CONTINUOUS_100_HZ)
    rig.clock.sleep(0.011)
    assert chip.ready() and chip.burst()[-1] & 1 == 0
    rig.clock.sleep(0.035)
    assert chip.burst()[-1] & 1 == 1
    assert not chip.ready() and rig.violations == []
    rig.clock.sleep(0.011)
    first = rig.bus.read_i2c_block_data(0x0C, 0x11, 3)
    rig.counts[0] += 5000
    rig.clock.sleep(0.02)
    assert rig.bus.read_i2c_block_data(0x0C, 0x11, 3) == first  # protected until ST2 has been read


def test_the_register_file_tells_a_driver_that_breaks_its_rules() -> None:
    rig = Rig(1)
    (chip,) = rig.chips
    chip.write(0x32, 0x08)
    chip.write(0x32, 0x0A)
    rig.clock.sleep(0.001)
    chip.write(0x32, 0x00)
    chip.write(0x32, 0x60 | 0x0C)
    chip.write(0x33, 1)
    with pytest.raises(OSError, match="no answer"):
        chip.read(0, 2)
    assert any("without power-down" in text for text in chip.violations)
    assert any("within 100 us of power-down" in text for text in chip.violations)
    assert any("too fast" in text for text in chip.violations) and "soft reset" in chip.violations[-1]


def test_another_chip_and_a_failed_self_test_are_told() -> None:
    rig = Rig(2, wia2=0x99)
    rig.array.start()
    assert rig.array.working == [False, False] and rig.array.hello(1, 0, 50.0).strangers() == (0, 1)
    rig = Rig(2)
    rig.chips[1].self_test = (-700, -700, -900)
    rig.array.start()
    assert rig.array.hello(1, 0, 50.0).self_tests == (SELF_TEST_PASSED, SELF_TEST_FAILED)


@pytest.mark.parametrize("entry", ["0x0B", "0x10", "1:0x0C", "x", "", "0x0C:0x0C"])
def test_a_place_that_makes_no_sense_is_named(entry: str) -> None:
    with pytest.raises(InputError, match=r"i2c\.sensors"):
        places([entry], 0)


def test_a_place_given_twice_or_without_its_channel_is_named() -> None:
    with pytest.raises(InputError, match="each place once"):
        places(["0x0C", "12"], 0)
    with pytest.raises(InputError, match="with a channel 0 to 7"):
        places(["0x0C"], 0x70)
    with pytest.raises(InputError, match="with a channel 0 to 7"):
        places(["8:0x0C"], 0x70)


class Run:
    """The driver's thread work, done here until enough samples have come."""

    def __init__(self, rig: Rig, wanted: int, triggered: bool = False, at: dict[int, Callable[[], None]] | None = None) -> None:
        self.samples: list[ArraySample] = []
        self.rig = rig
        events = at or {}
        count = len(rig.chips)

        def on_sample(sample: ArraySample) -> None:
            self.samples.append(sample)
            events.get(len(self.samples), lambda: None)()
            if len(self.samples) >= wanted:
                self.driver._stop.set()

        i2c = I2cConfig(sensors=rig.entries, multiplexer=rig.bus._multiplexer, rate_hz=50.0, triggered=triggered)
        config = MagnetometersConfig(source="i2c", sensors=count, i2c=i2c, array_id=3)
        self.driver = I2cDriver(config, on_sample, lambda: None, lambda number: rig.bus, rig.clock)

    def go(self) -> list[ArraySample]:
        self.driver._run()
        self.driver.check()
        return self.samples


def test_the_driver_makes_samples_at_its_rate_stamped_at_the_trigger() -> None:
    run = Run(Rig(4), 40)
    samples = run.go()
    assert [s.sequence for s in samples] == list(range(40)) and all(s.valid.all() and s.array_id == 3 for s in samples)
    steps_ms = [(later.stamp_ns - earlier.stamp_ns) / MS for earlier, later in pairwise(samples)]
    assert steps_ms[5:] == pytest.approx([20.0] * len(steps_ms[5:]), abs=0.2)
    # Measuring takes 3.1 ms, four bursts and commands 0.8 ms.
    assert 3.1 < (samples[20].received_ns - samples[20].stamp_ns) / MS < 5.0
    assert run.rig.bus.closed and run.rig.violations == []
    assert run.driver.hello is not None and run.driver.hello.drive is Drive.LOW_NOISE_2


def test_a_triggered_array_is_stamped_when_the_trigger_came() -> None:
    rig = Rig(2)
    triggers: list[int] = []

    def pulse() -> None:
        period_ns = 20 * MS
        if rig.clock.ns // period_ns > (triggers[-1] if triggers else 0) // period_ns:
            triggers.append(rig.clock.ns)
            for chip in rig.chips:
                chip.trigger()

    rig.clock.while_asleep = pulse
    samples = Run(rig, 30, triggered=True).go()
    assert all(s.valid.all() for s in samples)
    errors_ms = [min(abs(s.stamp_ns - t) for t in triggers) / MS for s in samples]
    assert max(errors_ms[10:]) < 1.0 and rig.violations == []


def test_a_sensor_that_falls_silent_is_missing_and_comes_back_within_two_seconds() -> None:
    rig = Rig(4)
    back: list[int] = []

    def answer_again() -> None:
        rig.bus.silent.clear()
        back.append(rig.clock.ns)

    run = Run(rig, 200, at={20: lambda: rig.bus.silent.add(rig.where[1]), 60: answer_again})
    samples = run.go()
    assert [s.status[1] & SensorStatus.BUS_ERROR for s in samples[21:60]] == [SensorStatus.BUS_ERROR] * 39
    assert all(s.valid[[0, 2, 3]].all() for s in samples)
    first = next(s for s in samples[60:] if s.valid[1])
    assert first.stamp_ns - back[0] < 2000 * MS


def test_a_bus_that_cannot_be_had_and_sensors_that_do_not_answer_are_told_apart() -> None:
    rig = Rig(2)
    run = Run(rig, 1)
    said = []
    refusals = [FileNotFoundError(2, "x"), PermissionError(13, "x")]

    def connect(number: int) -> Any:
        said.append(run.driver.status.cause)
        if refusals:
            raise refusals.pop(0)
        if len(said) == 4:
            rig.bus.silent.clear()
        return rig.bus

    run.driver._connect = connect
    rig.bus.silent.update(rig.where)
    run.go()
    assert said == [None, Cause.PORT_MISSING, Cause.PERMISSION, Cause.SILENT] and run.driver.status.streaming


def test_the_number_of_places_must_be_that_of_the_sensors() -> None:
    with pytest.raises(InputError, match="expected 16 sensors, got 1"):
        I2cDriver(MagnetometersConfig(source="i2c", i2c=I2cConfig(sensors=("0x0C",))), lambda sample: None, lambda: None)
