"""The emulated device that streams: its framing beside the driver's, its clock, its counters and each of its faults."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lodestone_bench.emulators.control import send_request
from lodestone_bench.emulators.request_fields import Nothing
from lodestone_bench.emulators.stream_device import HELLO_REQUEST, StreamDevice, StreamDeviceConfig
from lodestone_bench.emulators.stream_requests import Requests
from lodestone_bench.emulators.stuffing import HostBytes, framed, unframed
from lodestone_core.device.faults import Cause
from lodestone_core.device.framing import FrameDecoder, encode_frame
from lodestone_core.device.stream import Arrival, StreamConfig
from lodestone_core.device.stream_driver import StreamDriver

RECORD = struct.Struct("<BIQ100s")
BODIES = st.one_of(
    st.binary(min_size=1, max_size=800), st.integers(1, 1100).map(lambda n: b"\7" * n), st.integers(1, 600).map(lambda n: b"\7" + b"\0" * n)
).filter(lambda body: body[0] != 0)


@given(BODIES)
def test_bench_and_driver_frame_alike_to_the_last_byte(body: bytes) -> None:
    assert framed(body) == encode_frame(body)
    assert unframed(framed(body)[:-1]) == body
    assert FrameDecoder().feed(framed(body)) == [body]


@pytest.mark.parametrize("length", [1, 251, 252, 253, 254, 506, 507, 508, 509, 762])
@pytest.mark.parametrize("tail", [b"", b"\0", b"\7\0"])
def test_groups_of_full_length_are_framed_alike(length: int, tail: bytes) -> None:
    body = b"\7" * length + tail
    assert framed(body) == encode_frame(body)


@given(BODIES, BODIES, st.data())
def test_the_device_hears_the_host_after_bytes_that_were_not_well_framed(first: bytes, second: bytes, data: st.DataObject) -> None:
    heard = [(byte, True) for byte in framed(first) + framed(second)]
    spoilt = data.draw(st.integers(0, len(framed(first)) - 2))
    heard[spoilt] = (heard[spoilt][0], False)
    assert HostBytes().take(heard)[-1] == second


class Counting:
    """Records that carry their number and the device's clock only."""

    def __init__(self) -> None:
        self.cleared = self.powered = 0

    def record(self, sequence: int, device_us: int, world_s: float) -> bytes:
        return RECORD.pack(1, sequence, device_us, b"")

    def hello(self, device_us: int) -> bytes:
        return b"\x11here"

    def power_on(self) -> None:
        self.powered += 1

    def own_requests(self) -> Requests:
        return {"mine": (Nothing, lambda records, fields: {"is": type(records).__name__})}

    def clear(self) -> None:
        self.cleared += 1

    def own_statistics(self) -> dict[str, Any]:
        return {"cleared": self.cleared}


class Bench:
    """Device and driver on one line."""

    def __init__(self, folder: Path, config: StreamDeviceConfig, driver: StreamConfig | None = None) -> None:
        self.link, self.control = folder / "line", folder / "control"
        self.device = StreamDevice(Counting(), config, time.monotonic, self.link, self.control, seed=1)
        self.device.open()
        self.thread = Thread(target=self.device.run)
        self.thread.start()
        self.records: list[tuple[int, int, Arrival]] = []
        self.hellos = 0
        self.asking = b""
        given = {"port": str(self.link), "silence_s": 0.3}
        self.driver = StreamDriver(driver or StreamConfig(**given), self.take, request=lambda: self.asking)  # type: ignore[arg-type]
        self.driver.start()

    def take(self, arrival: Arrival) -> str:
        if arrival.body == b"\x11here":
            self.hellos += 1
            return ""
        version, sequence, device_us, _ = RECORD.unpack(arrival.body)
        assert version == 1
        self.records.append((sequence, device_us, arrival))
        return ""

    def wait(self, condition: Callable[[], bool], limit_s: float = 8.0) -> None:
        end = time.monotonic() + limit_s
        while not condition():
            self.driver.check()
            assert time.monotonic() < end, (self.driver.status, self.device.counts)
            time.sleep(0.01)

    def more(self, count: int) -> None:
        wanted = len(self.records) + count
        self.wait(lambda: len(self.records) >= wanted)

    def do(self, name: str, **fields: Any) -> dict[str, Any]:
        answer = send_request(self.control, do=name, **fields)
        assert answer["ok"], answer
        return answer

    def close(self) -> None:
        self.driver.stop()
        self.device.stop()
        self.thread.join(5.0)
        assert not self.thread.is_alive()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    made: list[Bench] = []

    def make(driver: StreamConfig | None = None, **config: Any) -> Bench:
        made.append(Bench(tmp_path, StreamDeviceConfig(**config), driver))
        return made[-1]

    yield make
    for each in made:
        each.close()
    assert list(tmp_path.iterdir()) == []


def test_records_come_at_the_rate_of_a_clock_that_drifts_and_none_is_lost(bench: Callable[..., Bench]) -> None:
    b = bench(rate_hz=200.0, drift_ppm=5000.0, first_us=7_000_000, first_sequence=2**32 - 5)
    b.more(150)
    numbers = [number for number, _, _ in b.records]
    assert numbers == [(numbers[0] + i) % 2**32 for i in range(len(numbers))] and numbers[-1] < 2**31
    steps = {later[1] - earlier[1] for earlier, later in zip(b.records, b.records[1:], strict=False)}
    assert steps <= {4999, 5000, 5001} and b.records[0][1] >= 7_000_000
    first, last = b.records[5], b.records[-1]
    host_us = (last[2].latest_ns - first[2].latest_ns) / 1e3
    assert (last[1] - first[1]) / host_us == pytest.approx(1.005, abs=0.01)


@pytest.mark.parametrize("fault", ["corrupt", "truncate", "drop"])
def test_a_damaged_record_is_lost_alone(bench: Callable[..., Bench], fault: str) -> None:
    b = bench(rate_hz=200.0)
    b.more(10)
    b.do(fault, command="record", count=3)
    b.more(40)
    numbers = [number for number, _, _ in b.records]
    lost = set(range(numbers[0], numbers[-1] + 1)) - set(numbers)
    # A frame that lost its end takes the one after it with it.
    assert 3 <= len(lost) <= (6 if fault == "truncate" else 3) and len(numbers) == len(set(numbers))
    assert sum(b.do("statistics")["faults"].values()) == 3


def test_junk_duplicate_and_delay_lose_nothing_but_what_the_junk_touches(bench: Callable[..., Bench]) -> None:
    b = bench(rate_hz=200.0)
    b.more(10)
    b.do("duplicate", count=2)
    b.more(10)
    b.do("delay", s=0.1)
    b.do("junk", bytes=40)
    b.more(60)
    numbers = [number for number, _, _ in b.records]
    missing = set(range(numbers[0], numbers[-1] + 1)) - set(numbers)
    assert len(missing) <= 1 and len(numbers) == len(set(numbers)) + 2


def test_a_stall_keeps_everything_and_a_hang_uses_its_numbers_up(bench: Callable[..., Bench]) -> None:
    b = bench(rate_hz=100.0)
    b.more(10)
    b.do("stall", for_s=0.6)
    b.wait(lambda: b.driver.status.cause is Cause.SILENT)
    b.wait(lambda: b.driver.status.streaming)
    b.more(70)
    numbers = [number for number, _, _ in b.records]
    assert numbers == list(range(numbers[0], numbers[-1] + 1))
    b.do("hang", for_s=0.5)
    b.wait(lambda: b.driver.status.cause is Cause.SILENT)
    b.more(5)
    gap = max(later[0] - earlier[0] for earlier, later in zip(b.records, b.records[1:], strict=False))
    assert 45 <= gap <= 55


def test_after_unplug_the_device_begins_anew_and_says_hello(bench: Callable[..., Bench]) -> None:
    b = bench(rate_hz=100.0)
    b.more(20)
    hellos = b.hellos
    b.do("unplug", replug_after_s=0.3)
    b.wait(lambda: b.driver.status.cause in (Cause.LOST, Cause.PORT_MISSING))
    b.records.clear()
    b.more(10)
    assert b.records[0][0] < 20 and b.records[0][1] < 500_000 and b.records[0][2].opening == 2
    assert b.hellos <= hellos + 1
    b.do("unplug", restart=False)
    before = b.records[-1][0]
    b.wait(lambda: not b.driver.status.streaming)
    b.do("replug")
    b.wait(lambda: b.driver.status.streaming)
    assert b.records[-1][0] > before
    assert b.device.records.powered == 3, "made, opened, plugged in without power: not by the second unplugging, which left it its power"


def test_restart_begins_the_counters_anew_on_the_same_port(bench: Callable[..., Bench]) -> None:
    b = bench(rate_hz=100.0)
    b.more(30)
    b.do("restart")
    b.wait(lambda: b.records[-1][0] < 10)
    assert b.records[-1][2].opening == 1 and b.records[-1][1] < 300_000


def test_wrong_baud_is_noise_and_its_correction_brings_the_records_back(bench: Callable[..., Bench]) -> None:
    b = bench(rate_hz=100.0, baud=460800)
    b.more(10)
    b.do("baud", value=115200)
    b.wait(lambda: b.driver.status.cause is Cause.NOISE)
    known = len(b.records)
    b.do("clear")
    b.wait(lambda: b.driver.status.streaming)
    b.more(3)
    numbers = [number for number, *_ in b.records[known:]]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), "nothing of the noise was taken for a record"


def test_rate_that_carries_fewer_records_than_come_leaves_none_waiting_when_it_is_corrected(bench: Callable[..., Bench]) -> None:
    b = bench(rate_hz=200.0, baud=460800)
    b.more(10)
    b.do("baud", value=9600)  # carries eight of the 200 records a second
    b.wait(lambda: b.driver.status.cause is Cause.NOISE)
    known, at_s = len(b.records), time.monotonic()
    b.do("clear")
    b.more(3)
    assert time.monotonic() - at_s < 1.0
    numbers = [number for number, *_ in b.records]
    assert numbers[known] - numbers[known - 1] > 50, "what was measured meanwhile is missing, and its numbers say so"


def test_half_the_rate_and_a_slow_line_show_in_the_times(bench: Callable[..., Bench]) -> None:
    b = bench(rate_hz=100.0)
    b.more(10)
    b.do("rate", factor=0.5)
    b.more(10)
    assert b.records[-1][1] - b.records[-2][1] == pytest.approx(20_000, abs=2)
    b.do("rate", factor=1.0)
    b.do("slow_line", bits_per_s=20_000.0)  # 116 bytes take 58 ms
    b.more(8)
    gaps_ms = [(later[2].latest_ns - earlier[2].latest_ns) / 1e6 for earlier, later in zip(b.records[-5:], b.records[-4:], strict=False)]
    assert sorted(gaps_ms)[2] > 40.0


def test_hello_comes_when_asked_for_and_own_requests_reach_the_records(bench: Callable[..., Bench]) -> None:
    b = bench(rate_hz=50.0)
    b.more(3)
    hellos = b.hellos
    b.asking = HELLO_REQUEST
    b.wait(lambda: b.hellos > hellos)
    assert b.do("mine")["is"] == "Counting" and b.device.records.powered == 2, "what is asked takes no power"
    b.do("clear")
    assert b.do("statistics")["cleared"] == 1
    answer = send_request(b.control, do="explode")
    assert not answer["ok"] and "mine" in answer["error"] and "corrupt" in answer["error"]
