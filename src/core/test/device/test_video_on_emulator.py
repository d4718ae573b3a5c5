"""The reader against emulated devices over sockets, with their faults: what comes through, what is said, and how soon it is well again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from lodestone_core.device.video import VideoReader
from lodestone_core.device.video_config import VideoConfig
from lodestone_core.device.video_status import VideoCause, VideoFrame

control = pytest.importorskip("lodestone_bench.emulators.control")
emulator = pytest.importorskip("lodestone_bench.emulators.video_emulator")
server = pytest.importorskip("lodestone_bench.emulators.video_server")
pattern = pytest.importorskip("lodestone_bench.emulators.moving_pattern")
pixel_code = pytest.importorskip("lodestone_bench.emulators.pixel_code")

RATE, SIZE = 25.0, (320, 240)
RECOVERY_S = 2.0


class Seen(NamedTuple):
    """One image: its frame, its own number and time, and when it came (world time)."""

    frame: VideoFrame
    number: int | None
    world_s: float
    at_s: float


class Rig:
    """An emulated camera in a thread, and a reader on it."""

    def __init__(self, folder: Path, times: bool = True, **config: Any) -> None:
        began = time.monotonic()
        self.clock: Callable[[], float] = lambda: time.monotonic() - began
        self.began_wall_s = time.time() - (time.monotonic() - began)
        url = f"unix:{folder}/camera"
        device = server.VideoServer(pattern.MovingPattern(*SIZE), url, server.VideoConfig(rate_hz=RATE, times=times))
        self.control = folder / "control"
        self.emulator = emulator.VideoEmulator({"camera": device}, self.clock, self.control)
        self.emulator.open()
        self.thread = threading.Thread(target=self.emulator.run)
        self.thread.start()
        self.seen: list[Seen] = []
        values = {"source": url, "width": SIZE[0], "height": SIZE[1], "rate_hz": RATE, "frozen_images": 5, **config}
        self.reader = VideoReader(VideoConfig(**values), self._take)
        self.reader.start()
        self.until(lambda: len(self.seen) > 5)

    def _take(self, frame: VideoFrame) -> None:
        code = pixel_code.read_code(frame.image)
        number, world_s = (None, float("nan")) if code is None else (code.number, code.world_ns * 1e-9)
        self.seen.append(Seen(frame, number, world_s, self.clock()))

    def ask(self, **request: Any) -> float:
        """Send a request; the world time at which that was."""
        assert control.send_request(self.control, **request)["ok"]
        return self.clock()

    def until(self, condition: Callable[[], bool], limit_s: float = 5.0) -> float:
        """Wait; the world time at which the condition held first."""
        end = time.monotonic() + limit_s
        while not condition():
            assert time.monotonic() < end, self.reader.status
            time.sleep(0.005)
        return self.clock()

    def named(self, cause: VideoCause) -> str:
        """Wait until the status names this cause; its text."""
        self.until(lambda: self.reader.status.cause is cause)
        return self.reader.status.problem

    def well_again(self, ended_s: float) -> None:
        """A whole image that was taken after the fault's end comes in time, and the status is clean."""
        at_s = self.until(lambda: self.reader.status.streaming and self.seen[-1].world_s > ended_s)
        assert at_s - ended_s < RECOVERY_S

    def stamp_errors_s(self) -> np.ndarray:
        """Stamp less true acquisition, of the images seen so far."""
        return np.array([one.frame.stamp_ns * 1e-9 - self.began_wall_s - one.world_s for one in self.seen if one.number is not None])

    def need_a_machine_in_time(self) -> None:
        """Leave the test where this machine did not run the emulated camera in time: its figures are the machine's then."""
        counts = self.emulator.devices["camera"].counts
        if self.emulator.host_stalls or counts["late"] + counts["missed"] > 2:
            pytest.skip("this machine is too busy for images at 25 Hz")

    def most_stamps_hold(self) -> bool:
        """Within 15 ms of the truth. Not all: this machine may not have run a side for a while; nor better than images came at all."""
        late_s = np.array([one.at_s - one.world_s for one in self.seen if one.number is not None])
        return bool(np.quantile(np.abs(self.stamp_errors_s()[8:]), 0.85) < max(0.015, np.quantile(late_s[8:], 0.85)))

    def stop(self) -> None:
        assert self.reader.stop()
        self.emulator.stop()
        self.thread.join(3.0)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """A camera whose images carry their times and its reader, up and running."""
    one = Rig(tmp_path)
    yield one
    one.stop()


@pytest.fixture
def plain_rig(tmp_path: Path) -> Iterator[Rig]:
    """The same with images that carry no times."""
    one = Rig(tmp_path, times=False)
    yield one
    one.stop()


@pytest.fixture(params=["rig", "plain_rig"])
def either(request: pytest.FixtureRequest) -> Rig:
    """Each of the two."""
    rig = request.getfixturevalue(request.param)
    assert isinstance(rig, Rig)
    return rig


@pytest.mark.parametrize(
    "fault",
    [
        {"do": "stall", "for_s": 0.7},
        {"do": "latency", "ms": 200.0},
        {"do": "drop", "probability": 0.5, "for_s": 0.7},
        {"do": "truncate", "count": 3, "keep": 0.4},
        {"do": "unplug", "replug_after_s": 0.3},
        {"do": "rate", "divisor": 3, "for_s": 0.7},
    ],
)
def test_with_times_no_stamp_is_ever_wrong(rig: Rig, fault: dict[str, Any]) -> None:
    rig.ask(**fault)
    time.sleep(1.5)
    rig.need_a_machine_in_time()
    assert rig.seen[-1].world_s > rig.clock() - 0.5
    errors_s = rig.stamp_errors_s()
    assert errors_s.min() > -0.001 and errors_s.max() < 0.015


def test_with_times_lost_images_are_counted_to_the_last(rig: Rig) -> None:
    time.sleep(0.4)
    rig.ask(do="drop", for_s=0.5, probability=0.6)
    time.sleep(1.0)
    # The frames know of every number that is missing, whether the emulator or this machine lost it; the first may have waited.
    gaps = np.diff(np.array([one.number for one in rig.seen], int)) - 1
    assert gaps.sum() > 4 and gaps.tolist() == [one.frame.skipped for one in rig.seen[1:]]


def test_every_image_comes_once_whole_and_with_its_time(either: Rig) -> None:
    rig = either
    time.sleep(1.2)
    rig.need_a_machine_in_time()
    numbers = [one.number for one in rig.seen]
    assert None not in numbers
    counts = rig.emulator.devices["camera"].counts
    excused = counts["missed"] + counts["dropped"] + rig.reader.counters.unstamped  # this machine may stop for a while
    assert (np.diff(np.array(numbers, int)) >= 1).all() and numbers[-1] - numbers[0] + 1 - len(numbers) <= excused
    assert rig.most_stamps_hold()
    assert rig.reader.status.streaming and rig.reader.rate_hz == pytest.approx(RATE, rel=0.1)
    assert (rig.reader.status.width, rig.reader.status.height) == SIZE


def test_a_short_stall_is_named_and_leaves_no_wrong_time(plain_rig: Rig) -> None:
    rig = plain_rig
    time.sleep(0.5)
    rig.ask(do="stall", for_s=0.7)
    ended_s = rig.clock() + 0.7
    assert "no image comes" in rig.named(VideoCause.STALLED)
    rig.well_again(ended_s)
    rig.need_a_machine_in_time()
    assert rig.reader.counters.losses == 0
    # The first image after the stall cannot be told from one after a loss: it is called newer than it is by the images that waited.
    errors_s = np.abs(rig.stamp_errors_s())
    assert (errors_s > 0.1).sum() <= 1 and errors_s.max() < 0.8


def test_a_stall_beyond_the_time_out_opens_the_source_again(rig: Rig) -> None:
    rig.ask(do="stall", for_s=1.6)
    ended_s = rig.clock() + 1.6
    rig.until(lambda: rig.reader.counters.losses > 0)
    rig.well_again(ended_s)
    assert rig.reader.counters.openings >= 2


def test_half_the_rate_is_named_and_so_is_its_end(either: Rig) -> None:
    rig = either
    rig.ask(do="rate", divisor=2, for_s=1.5)
    ended_s = rig.clock() + 1.5
    assert "Hz in place of 25 Hz" in rig.named(VideoCause.SLOW)
    rig.well_again(ended_s)
    rig.need_a_machine_in_time()
    assert rig.most_stamps_hold()


def test_lost_images_are_counted_by_the_gaps_that_they_leave(plain_rig: Rig) -> None:
    rig = plain_rig
    time.sleep(0.4)
    rig.ask(do="drop", for_s=0.3)
    time.sleep(1.0)
    rig.need_a_machine_in_time()
    numbers = np.array([one.number for one in rig.seen], int)
    lost = int((np.diff(numbers) - 1).sum())
    # An image that this machine held up by nearly a period looks like one after a loss: the count is an inference.
    assert lost > 4 and abs(lost - rig.reader.counters.skipped) <= 2


def test_an_unplugged_camera_is_called_missing_and_found_again(rig: Rig) -> None:
    rig.ask(do="unplug", replug_after_s=0.6)
    ended_s = rig.clock() + 0.6
    assert "does not exist" in rig.named(VideoCause.MISSING)
    rig.well_again(ended_s)


def test_refused_connections_are_tried_until_they_are_taken(rig: Rig) -> None:
    rig.ask(do="refuse", for_s=0.6)
    ended_s = rig.clock() + 0.6
    assert "does not open" in rig.named(VideoCause.NOT_OPENED)
    rig.well_again(ended_s)


def test_another_size_is_named_and_its_images_are_marked(rig: Rig) -> None:
    rig.ask(do="size", width=200, height=100)
    assert "200x100 in place of 320x240" in rig.named(VideoCause.SIZE)
    rig.until(lambda: not rig.seen[-1].frame.as_expected)
    assert rig.seen[-1].frame.image.shape == (100, 200)
    began_s = rig.ask(do="size", width=320, height=240)
    rig.well_again(began_s)
    assert rig.seen[-1].frame.as_expected


def test_a_frozen_image_is_named_and_not_handed_on_again(rig: Rig) -> None:
    rig.ask(do="freeze", for_s=1.0)
    ended_s = rig.clock() + 1.0
    rig.named(VideoCause.FROZEN)
    rig.well_again(ended_s)
    numbers = [one.number for one in rig.seen]
    assert len(numbers) == len(set(numbers)) and rig.reader.counters.repeats > 15


def test_black_images_are_named_and_marked(rig: Rig) -> None:
    rig.ask(do="black", for_s=0.6)
    ended_s = rig.clock() + 0.6
    rig.named(VideoCause.BLACK)
    assert rig.seen[-1].frame.black
    rig.well_again(ended_s)


@pytest.mark.parametrize("fault", [{"do": "truncate", "keep": 0.4}, {"do": "corrupt", "bytes": 4, "marker": True}])
def test_a_stream_out_of_step_is_begun_anew(either: Rig, fault: dict[str, Any]) -> None:
    rig = either
    began_s = rig.ask(**fault)
    rig.until(lambda: rig.reader.counters.openings > 1)
    rig.well_again(began_s + 0.1)
    torn = [one for one in rig.seen if one.number is None]
    assert len(torn) <= 1  # the damaged image itself may come; none of those behind it does


def test_a_reader_that_is_held_up_keeps_the_times_of_images_that_waited(tmp_path: Path) -> None:
    one = Rig(tmp_path)
    held = threading.Event()
    take = one.reader._on_frame

    def slow(frame: VideoFrame) -> None:
        take(frame)
        if len(one.seen) == 30 and not held.is_set():
            held.set()
            time.sleep(0.1)

    one.reader._on_frame = slow
    one.until(lambda: len(one.seen) > 36)
    assert one.most_stamps_hold()
    one.stop()
