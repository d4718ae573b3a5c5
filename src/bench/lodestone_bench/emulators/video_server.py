"""One emulated camera or frame grabber: takes images by its own clock and sends them, or loses them as a device would."""

from __future__ import annotations

import math
from collections import Counter, deque
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from lodestone_bench.emulators.pixel_code import PixelCode, write_code
from lodestone_bench.emulators.video_config import VideoConfig
from lodestone_bench.emulators.video_faults import VideoFaults
from lodestone_bench.emulators.video_format import Ivf, VideoFormat, Y4m
from lodestone_bench.emulators.video_socket import Parcel, VideoSocket
from lodestone_core.time import ns_from_s

Image = NDArray[np.uint8]
LATE_S: Final = 0.01
"""An image that is ready so much after its time is counted as late: the machine is too slow, or did not run this process."""
MOST_BEHIND: Final = 3
"""Images that may be computed after their time; beyond that the machine is too slow, and they are missed."""


class FrameSource(Protocol):
    """What an emulated camera sees: a pure function of world time. The image may be reused by the source at the next call."""

    @property
    def width(self) -> int:
        """Columns of an image."""

    @property
    def height(self) -> int:
        """Rows of an image."""

    def frame(self, number: int, world_s: float) -> Image:
        """The image that is acquired at that time, (height, width) uint8."""


class _Ready(NamedTuple):
    release_s: float
    number: int
    image: Image


class VideoServer:
    """A device at its address. All times are seconds of the world; nothing blocks. Call `turn` at `due_s` at the latest."""

    def __init__(self, source: FrameSource, url: str, config: VideoConfig | None = None, seed: int = 0) -> None:
        """Raises InputError for a bad address."""
        self.config = config or VideoConfig()
        self.socket = VideoSocket(url)
        self.faults = VideoFaults(seed)
        self._format: VideoFormat = Ivf() if self.config.times else Y4m()
        self.counts: Counter[str] = Counter()
        self.replug_at_s: float | None = None
        self.plugged_in = False
        self._source = source
        self._shape = (source.height, source.width)
        self._ready: deque[_Ready] = deque()
        self._free: list[Image] = [np.full(self._shape, 0, np.uint8) for _ in range(self.config.buffers + MOST_BEHIND)]
        self._frozen: Image | None = None
        self._next = 0
        self._refusing = self._stalled = False

    @property
    def source(self) -> FrameSource:
        """What it sees."""
        return self._source

    def look_at(self, source: FrameSource) -> None:
        """See something else from now on, cut or with black margins where it has another size."""
        self._source = source

    def open(self, now_s: float) -> None:
        """Plug it in. Raises InputError when the address cannot be had."""
        self.socket.listen()
        self.plugged_in = True
        self._next = max(self._next, math.ceil((now_s - self.config.phase_s) / self.config.period_s))

    def close(self) -> None:
        """Leave no path behind."""
        self.socket.refuse(keep_path=False)

    def unplug(self, replug_at_s: float | None) -> None:
        """The address vanishes, for good or for a while."""
        self.socket.refuse(keep_path=False)
        self.plugged_in, self.replug_at_s = False, replug_at_s

    def resize(self, width: int, height: int) -> None:
        """Start anew with images of another size."""
        self._shape = (height, width)
        self._free.clear()
        self._frozen = None
        self._drop_ready()
        self.socket.hang_up()

    def due_s(self) -> float:
        """When `turn` is next needed if nothing happens on the sockets."""
        times = [self._acquired_s(self._next) - self.config.ahead_s]
        times += [self._ready[0].release_s] if self._ready else []
        times += [self.replug_at_s] if self.replug_at_s is not None else []
        times += [self.faults.end_s("refuse")] if self._refusing else []
        times += [self.faults.end_s("stall")] if self._stalled else []
        return min(times)

    def readers(self) -> list[Any]:
        """Sockets to wait on."""
        return [] if self._stalled else list(self.socket.readers())

    def writers(self) -> list[Any]:
        """Sockets to wait on until they can be written."""
        return [] if self._stalled else list(self.socket.writers())

    def turn(self, now_s: float, readable: list[Any]) -> None:
        """Do what is due: connections, the next image, images on their way."""
        self._follow_faults(now_s)
        if not self._stalled and self.socket.service(readable):
            self.socket.put(Parcel([self._format.header(self._shape[1], self._shape[0], self.config.rate_hz)], -1))
        self._take_image(now_s)
        self._release(now_s)
        if not self._stalled:
            self.counts["sent"] += len(self.socket.send())

    def statistics(self) -> dict[str, Any]:
        """Counts since the start, see docs/bench.md."""
        names = ("produced", "sent", "lost", "dropped", "unseen", "missed", "late")
        counts = {f"frames_{name}": self.counts[name] for name in names}
        return {**counts, "connections": self.socket.connections, "bytes_sent": self.socket.bytes_sent}

    def state(self, now_s: float) -> dict[str, Any]:
        """What holds now."""
        height, width = self._shape
        state = {"plugged_in": self.plugged_in, "connected": self.socket.connected, "waiting": self.socket.waiting}
        return {**state, "width": width, "height": height, "next_number": self._next, "faults": self.faults.names(now_s)}

    def _follow_faults(self, now_s: float) -> None:
        if self.replug_at_s is not None and now_s >= self.replug_at_s:
            self.replug_at_s = None
            self.open(now_s)
        refusing = self.faults.holds("refuse", now_s)
        if refusing and not self._refusing and self.plugged_in:
            self.socket.refuse(keep_path=True)
        if self._refusing and not refusing and self.plugged_in:
            self.socket.listen()
        self._refusing = refusing
        self._stalled = self.faults.holds("stall", now_s)

    def _acquired_s(self, number: int) -> float:
        return self.config.phase_s + number * self.config.period_s

    def _device_us(self, number: int) -> int:
        """The device's own time of an image: by its clock the rate is exact."""
        return round(1e6 * number / self.config.rate_hz)

    def _take_image(self, now_s: float) -> None:
        """The next image that is due; late where the machine did not run this process in time, since a device would have taken it."""
        due = math.floor((now_s + self.config.ahead_s - self.config.phase_s) / self.config.period_s + 1e-9)
        if due < self._next:
            return
        number = max(self._next, due - MOST_BEHIND)
        self.counts["missed"] += number - self._next
        self._next = number + 1
        acquired_s = self._acquired_s(number)
        if not self.faults.takes(number, acquired_s) or not self.plugged_in:
            return
        self.counts["produced"] += 1
        if not self.socket.connected:
            self.counts["unseen"] += 1
        elif self.faults.loses(acquired_s):
            self.counts["lost"] += 1
        else:
            release_s = acquired_s + self.config.latency_s + self.faults.extra_latency_s
            self._ready.append(_Ready(release_s, number, self._image(number, acquired_s)))

    def _image(self, number: int, acquired_s: float) -> Image:
        out = self._free.pop() if self._free else np.empty(self._shape, np.uint8)
        if self.faults.holds("freeze", acquired_s) and self._frozen is not None:
            np.copyto(out, self._frozen)
            return out
        if self.faults.holds("black", acquired_s):
            out[:] = 0
        else:
            _fit(self._source.frame(number, acquired_s), out)
        if self.config.code:
            write_code(out, PixelCode(number, ns_from_s(acquired_s)))
        self._frozen = out.copy() if self.faults.holds("freeze", acquired_s) else None
        return out

    def _release(self, now_s: float) -> None:
        while self._ready and self._ready[0].release_s <= now_s:
            release_s, number, image = self._ready.popleft()
            if not self.socket.connected or self.socket.waiting >= self.config.buffers:
                self.counts["dropped" if self.socket.connected else "unseen"] += 1
                self._free.append(image)
                continue
            self.counts["late"] += now_s - release_s > LATE_S
            parts = self.faults.damage(self._format.marker(image.size, self._device_us(number)), image)
            self.socket.put(Parcel(parts, number, lambda image=image: self._take_back(image)))  # type: ignore[misc]

    def _take_back(self, image: Image) -> None:
        if image.shape == self._shape:
            self._free.append(image)

    def _drop_ready(self) -> None:
        self.counts["unseen"] += len(self._ready)
        self._ready.clear()


def _fit(image: Image, out: Image) -> None:
    """The image as it is, or cut and with black margins where the sizes differ."""
    if image.shape == out.shape:
        np.copyto(out, image)
        return
    height, width = min(image.shape[0], out.shape[0]), min(image.shape[1], out.shape[1])
    out[:] = 0
    out[:height, :width] = image[:height, :width]
