"""A device that streams, against a scripted line and a clock that only the line moves: every fault of port, cable and device."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lodestone_core.device.faults import Cause, DriverFault
from lodestone_core.device.framing import FrameDecoder, encode_frame
from lodestone_core.device.stream import Arrival, Stage, StreamConfig, StreamSession, replay
from lodestone_core.device.stream_driver import StreamDriver
from lodestone_core.device.trace import TraceWriter, traced

MS = 1_000_000


class Desk:
    """Clock, line and consumer in one; `script` gives for each reading its duration in ms and its bytes or fault."""

    def __init__(self, config: StreamConfig | None = None, request: Callable[[], bytes] = lambda: b"") -> None:
        self.ns = 0
        self.script: list[tuple[float, bytes | DriverFault]] = []
        self.refusals: list[DriverFault] = []
        self.arrivals: list[Arrival] = []
        self.reason = ""
        self.written = b""
        self.slept_s: list[float] = []
        self.closed = 0
        self.session = StreamSession(config or StreamConfig(), self.take, self.connect, self, request)

    def take(self, arrival: Arrival) -> str:
        self.arrivals.append(arrival)
        return self.reason

    def connect(self, port: str, baud: int) -> Desk:
        if self.refusals:
            raise self.refusals.pop(0)
        return self

    def now_ns(self) -> int:
        return self.ns

    def wall_ns(self, now_ns: int) -> int:
        return now_ns

    def sleep(self, seconds: float) -> None:
        self.slept_s.append(seconds)
        self.ns += round(seconds * 1e9)

    def read(self, timeout_s: float) -> bytes:
        after_ms, what = self.script.pop(0) if self.script else (1e3 * timeout_s, b"")
        self.ns += round(after_ms * MS)
        if isinstance(what, DriverFault):
            raise what
        return what

    def write(self, data: bytes) -> None:
        self.written += data

    def set_baud(self, baud: int, handshake: bool) -> None:
        raise AssertionError("a device that streams has one rate")

    def send_break(self) -> None:
        raise AssertionError("a device that streams knows no break")

    def close(self) -> None:
        self.closed += 1

    def play(self, *script: tuple[float, bytes | DriverFault]) -> Desk:
        self.script += script
        while self.script:
            self.session.step()
        return self

    def idle(self, seconds: float) -> Desk:
        end = self.ns + round(seconds * 1e9)
        while self.ns < end:
            self.session.step()
        return self


ONE, TWO = encode_frame(b"\1one"), encode_frame(b"\1two")
LOST = DriverFault(Cause.LOST, "gone")


def test_bodies_come_with_a_bracket_around_the_arrival_of_their_last_byte() -> None:
    desk = Desk().play((10, ONE), (10, TWO[:3]), (2, TWO[3:]))
    assert [(a.body, a.earliest_ns // MS, a.latest_ns // MS) for a in desk.arrivals] == [(b"\1one", 0, 10), (b"\1two", 20, 22)]
    assert desk.session.status.streaming and desk.session.counters.taken == 2


def test_frames_that_come_late_together_share_the_bracket_of_their_reading() -> None:
    desk = Desk().play((10, ONE), (300, ONE + TWO))
    assert [(a.earliest_ns // MS, a.latest_ns // MS) for a in desk.arrivals[1:]] == [(10, 310), (10, 310)]


def test_a_full_reading_says_nothing_about_when_what_follows_came() -> None:
    whole = ONE * 2000
    desk = Desk().play((10, whole[:4096]), (1, whole[4096:4200]))
    assert desk.arrivals[-1].earliest_ns == 0


def test_a_frame_in_slices_costs_few_readings_once_its_duration_is_known() -> None:
    desk = Desk()
    frame = encode_frame(b"\1" + bytes(range(1, 200)))
    cut = [frame[i : i + 50] for i in range(0, len(frame), 50)]
    for _ in range(20):
        desk.play((6, cut[0]), *((1, piece) for piece in cut[1:]))
    assert desk.slept_s == [] or max(desk.slept_s) <= len(cut) * 1e-3
    assert any(pause_s > 2e-3 for pause_s in desk.slept_s)


@pytest.mark.parametrize(
    ("script", "cause", "words"),
    [
        ([], Cause.SILENT, "nothing has come from"),
        ([(10, b"\x55\xaa" * 20)] * 60, Cause.NOISE, "no whole record"),
    ],
)
def test_silence_and_noise_are_told_apart_and_end_with_the_next_record(script: list[tuple[float, bytes]], cause: Cause, words: str) -> None:
    desk = Desk().play((10, ONE), *script).idle(0.6 if not script else 0.0)
    status = desk.session.status
    assert status.cause is cause and words in status.problem and status.remedy and not status.streaming
    assert desk.closed == 0, "a device that stalls is waited for"
    desk.play((1, b"\0" + ONE))
    assert desk.session.status.streaming


def test_records_of_another_device_are_named_as_such() -> None:
    desk = Desk()
    desk.reason = "a record of an encoder arm"
    desk.play(*[(20, ONE)] * 40)
    assert desk.session.status.cause is Cause.FOREIGN and "encoder arm" in desk.session.status.problem
    assert desk.session.counters.refused == 40


def test_a_long_silence_opens_the_port_again_and_keeps_the_fault() -> None:
    desk = Desk().play((10, ONE)).idle(12.0)
    assert desk.session.counters.openings == 3 and desk.closed == 2
    assert desk.session.status.cause is Cause.SILENT and desk.session.counters.silences == 1


def test_a_port_that_vanishes_is_looked_for_at_a_fixed_interval_and_half_a_frame_is_forgotten() -> None:
    desk = Desk().play((10, ONE), (5, TWO[:3]))
    desk.refusals = [DriverFault(Cause.PORT_MISSING, "x")] * 20
    desk.play((1, LOST))
    while desk.refusals:
        desk.session.step()
    assert desk.session.status.stage is Stage.OPEN and "does not exist" in desk.session.status.problem
    assert set(desk.slept_s) == {0.1}
    desk.idle(0.01).play((1, TWO[3:] + TWO))
    assert [a.body for a in desk.arrivals] == [b"\1one", b"\1two"] and desk.arrivals[-1].opening == 2
    assert desk.session.frames.bad_crc == desk.session.frames.bad_stuffing == 0


def test_a_port_that_is_refused_is_tried_with_a_wait_that_doubles_up_to_its_limit() -> None:
    desk = Desk()
    desk.refusals = [DriverFault(Cause.PORT_IN_USE, "x")] * 6
    while desk.refusals:
        desk.session.step()
    assert desk.slept_s == [0.2, 0.4, 0.8, 1.0, 1.0, 1.0]
    assert desk.session.status.cause is Cause.PORT_IN_USE and "fuser" in desk.session.status.remedy


def test_a_request_goes_out_once_a_second_for_as_long_as_there_is_one() -> None:
    bodies = [b"\xf1\1", b"\xf1\1", b""]
    desk = Desk(request=lambda: bodies.pop(0) if bodies else b"").idle(3.5)
    assert FrameDecoder().feed(desk.written) == [b"\xf1\1", b"\xf1\1"]


def test_a_trace_gives_the_same_bodies_again(tmp_path: Path) -> None:
    desk = Desk()
    writer = TraceWriter(tmp_path / "trace", desk, 10.0)
    desk.session = StreamSession(StreamConfig(), desk.take, traced(desk.connect, writer), desk)
    desk.play((10, ONE), (10, TWO[:3]), (2, TWO[3:]), (5, LOST)).idle(0.01).play((3, b"\x07" + ONE))
    desk.session.close()
    writer.close()
    again = list(replay(tmp_path / "trace"))
    assert [(a.body, a.latest_ns, a.opening) for a in again] == [(a.body, a.latest_ns, a.opening) for a in desk.arrivals]


def test_a_fault_of_the_consumers_own_ends_the_thread_and_is_raised_where_it_can_be_seen() -> None:
    desk = Desk()
    desk.script = [(0.0, ONE)] * 10

    def broken(arrival: Arrival) -> str:
        raise ZeroDivisionError("a bug in the device's module")

    driver = StreamDriver(StreamConfig(), broken, connect=desk.connect)
    driver.start()
    driver._thread.join(5.0)
    with pytest.raises(ZeroDivisionError):
        driver.check()
    assert desk.closed == 1
