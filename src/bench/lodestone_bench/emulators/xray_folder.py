"""A C-arm that exports its pictures into a folder: each file under another name until it is whole, unless a fault is asked for."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from lodestone_bench.c_arm.dicom_file import HeaderFaults, dicom_bytes
from lodestone_bench.c_arm.source import CArm
from lodestone_core.config import load_config, option
from lodestone_core.errors import InputError


@dataclass(frozen=True, slots=True)
class Counted:
    """Falls on the next files."""

    count: int = option(1, doc="on how many", minimum=1)


@dataclass(frozen=True, slots=True)
class WrongSid(Counted):
    """The header tells another distance from source to detector than there is."""

    mm: float = option(150.0, unit="mm", doc="too much", minimum=-500.0, maximum=500.0)


@dataclass(frozen=True, slots=True)
class WrongAngle(Counted):
    """The header tells another primary angle."""

    deg: float = option(12.0, unit="deg", doc="too much", minimum=-90.0, maximum=90.0)


@dataclass(frozen=True, slots=True)
class HalfWritten(Counted):
    """The file appears under its name before it is whole, and its rest comes later, or never."""

    finish_after_s: float | None = option(None, unit="s", doc="when the rest comes; null for never", minimum=0.0)


@dataclass(frozen=True, slots=True)
class OtherSize(Counted):
    """The picture is smaller."""

    pixels: int = option(256, unit="px", doc="columns and rows", minimum=16, maximum=4096)


@dataclass(frozen=True, slots=True)
class Stall:
    """No file comes."""

    for_s: float = option(1.0, unit="s", doc="for how long", minimum=0.0)


REQUESTS: Final[dict[str, type[Any]]] = {
    "wrong_sid": WrongSid,
    "wrong_angle": WrongAngle,
    "missing_tags": Counted,
    "half_written": HalfWritten,
    "file_size": OtherSize,
    "file_stall": Stall,
}


class XrayFolder:
    """Call `turn` often; it writes a file when one is due."""

    def __init__(self, c_arm: CArm, folder: Path, rate_hz: float, frames: int = 1, keep: int = 0) -> None:
        """`frames` pictures a file; the newest `keep` files stay, all for 0. Raises InputError for a folder that cannot be made."""
        self.counts: Counter[str] = Counter()
        self._c_arm, self._folder, self._period_s, self._frames = c_arm, folder, 1.0 / rate_hz, frames
        self._active: dict[str, Any] = {}
        self._left: Counter[str] = Counter()
        self._stalled_until_s = float("-inf")
        self._rest: list[tuple[float, Path, bytes]] = []
        self._run: list[npt.NDArray[np.uint16]] = []
        self._keep = keep
        self._written: deque[Path] = deque()
        self._next = -1
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(str(folder), expected="a folder", got=error.strerror, remedy="choose another --dicom") from error

    def request(self, name: str, fields: Mapping[str, Any], now_s: float) -> None:
        """Put a fault in force. Raises InputError for fields that make no sense."""
        fault = load_config(REQUESTS[name], fields, f"request {name}")
        if isinstance(fault, Stall):
            self._stalled_until_s = now_s + fault.for_s
            return
        self._active[name], self._left[name] = fault, fault.count

    def clear(self) -> None:
        """All faults end."""
        self._active.clear()
        self._left.clear()
        self._stalled_until_s = float("-inf")

    def turn(self, now_s: float) -> None:
        """Take a picture and write a file when either is due."""
        for entry in [entry for entry in self._rest if entry[0] <= now_s]:
            self._rest.remove(entry)
            with entry[1].open("ab") as file:
                file.write(entry[2])
        number = int(now_s // self._period_s)
        if number <= self._next:
            return
        self._next = number
        if now_s < self._stalled_until_s:
            return
        self._run.append(self._c_arm.grey(number, now_s))
        if len(self._run) >= self._frames:
            self._write(number, now_s)
            self._run.clear()

    def _write(self, number: int, now_s: float) -> None:
        config = self._c_arm.config
        view = config.view(now_s)
        sid, angle, bare, size = (self._take(name) for name in ("wrong_sid", "wrong_angle", "missing_tags", "file_size"))
        faults = HeaderFaults(sid.mm if sid else 0.0, angle.deg if angle else 0.0, bare is not None)
        pictures = [picture[: size.pixels, : size.pixels] for picture in self._run] if size else self._run
        content = dicom_bytes(pictures, config, (config.primary_deg[view], config.secondary_deg[view]), number, faults)
        path = self._folder / f"XA{number:08d}.dcm"
        self._written.append(path)
        while self._keep and len(self._written) > self._keep:
            self._written.popleft().unlink(missing_ok=True)
        half = self._take("half_written")
        self.counts["files"] += 1
        if half is not None:
            path.write_bytes(content[: len(content) // 2])
            if half.finish_after_s is not None:
                self._rest.append((now_s + half.finish_after_s, path, content[len(content) // 2 :]))
            return
        draft = path.with_name(f".{path.name}.part")
        draft.write_bytes(content)
        draft.replace(path)

    def _take(self, name: str) -> Any:
        """The fault that falls on this file, used up by one."""
        if self._left[name] <= 0:
            return None
        self._left[name] -= 1
        return self._active[name]
