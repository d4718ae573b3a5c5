"""How an emulated camera or frame grabber sends its images, and what can go wrong with it on request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from lodestone_bench.emulators.request_fields import Nothing
from lodestone_core.config import load_config, option
from lodestone_core.errors import InputError

_FOREVER_S: Final = float("inf")


@dataclass(frozen=True, slots=True)
class VideoConfig:
    """Manners of the device. Its clock counts images from the beginning of the world: number n is acquired at phase + n / rate."""

    rate_hz: float = option(10.0, unit="Hz", doc="images a second, by the device's clock", minimum=0.1, maximum=1000.0)
    drift_ppm: float = option(0.0, unit="ppm", doc="how much faster than the world the device's clock runs", minimum=-1e4, maximum=1e4)
    phase_s: float = option(0.0, unit="s", doc="acquisition of image 0 in world time", minimum=0.0)
    latency_s: float = option(0.0, unit="s", doc="from the acquisition to the first byte on the way", minimum=0.0, maximum=10.0)
    ahead_s: float = option(
        0.02, unit="s", doc="how long before its acquisition an image is computed, so that it is ready in time", minimum=0.0
    )
    buffers: int = option(2, doc="images that wait for a slow reader; further ones are dropped", minimum=1, maximum=16)
    times: bool = option(True, doc="each image carries its time on the device's clock (IVF); false: none does (Y4M)")
    code: bool = option(True, doc="number and time in the first pixels, see pixel_code")

    @property
    def period_s(self) -> float:
        """World seconds from image to image."""
        return 1.0 / (self.rate_hz * (1.0 + self.drift_ppm * 1e-6))


@dataclass(frozen=True, slots=True)
class Timed:
    """Holds from now on for a while."""

    for_s: float = option(_FOREVER_S, unit="s", doc="for how long", minimum=0.0)


@dataclass(frozen=True, slots=True)
class Counted:
    """Falls on the next images."""

    count: int = option(1, doc="on how many", minimum=1)


@dataclass(frozen=True, slots=True)
class Rate(Timed):
    """Only one image in `divisor` is taken."""

    divisor: int = option(2, doc="2 for half the rate", minimum=2, maximum=100)


@dataclass(frozen=True, slots=True)
class Drop(Timed):
    """Images get lost on the way."""

    probability: float = option(1.0, doc="chance for each image", minimum=0.0, maximum=1.0)


@dataclass(frozen=True, slots=True)
class Corrupt(Counted):
    """Bytes of the next images are replaced at random."""

    bytes: int = option(64, doc="how many bytes of each image", minimum=1)
    marker: bool = option(False, doc="the marker ahead of the image too, which puts a reader out of step")


@dataclass(frozen=True, slots=True)
class Truncate(Counted):
    """The next images break off, and the next marker comes where grey values are due."""

    keep: float = option(0.5, doc="share of the image that is sent", minimum=0.0, maximum=0.999)


@dataclass(frozen=True, slots=True)
class Size:
    """The device starts anew with images of another size, cut or with black margins."""

    width: int = option(1024, unit="px", doc="width", minimum=128, maximum=8192)
    height: int = option(768, unit="px", doc="height", minimum=1, maximum=8192)


@dataclass(frozen=True, slots=True)
class Latency:
    """Images come so much later from now on."""

    ms: float = option(100.0, unit="ms", doc="beyond the configured latency", minimum=0.0, maximum=10000.0)


@dataclass(frozen=True, slots=True)
class Unplug:
    """The address vanishes, and the reader with it."""

    replug_after_s: float | None = option(None, unit="s", doc="when it comes back; null for on request only", minimum=0.0)


TIMED: Final = ("stall", "freeze", "black", "refuse")
REQUESTS: Final[dict[str, type[Any]]] = {
    **dict.fromkeys(TIMED, Timed),
    "rate": Rate,
    "drop": Drop,
    "corrupt": Corrupt,
    "truncate": Truncate,
    "size": Size,
    "latency": Latency,
    "unplug": Unplug,
    **dict.fromkeys(("swap", "replug", "clear", "state", "statistics", "quit"), Nothing),
}


@dataclass(frozen=True, slots=True)
class Request:
    """A request that was understood; `camera` names one of several, "" all of them."""

    name: str
    camera: str
    fields: Any


def parse_request(request: Mapping[str, Any], cameras: tuple[str, ...]) -> Request:
    """The request in a mapping `{"do": NAME, "camera": WHICH, ...}`. Raises InputError that names what is wrong with it."""
    name, camera = request.get("do"), request.get("camera", "")
    kind = REQUESTS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise InputError("request: do", expected="one of " + ", ".join(REQUESTS), got=name, remedy="name one of them")
    if camera not in ("", *cameras):
        raise InputError("request: camera", expected="one of " + ", ".join(cameras), got=camera, remedy="name one of them, or none for all")
    fields = {key: value for key, value in request.items() if key not in ("do", "camera")}
    return Request(str(name), str(camera), load_config(kind, fields, f"request {name}"))
