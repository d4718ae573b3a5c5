"""The homing of an arm, kept in a file: after a restart of the driver it holds as long as the device has kept its power.

A device counts on while nobody listens. Whether it has kept its power is told by its own clock: the time at which it was started, on the
host's clock, must still be the same. The file names the device, that time, and each joint's reference as the device counts.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lodestone_core.errors import InputError
from lodestone_core.files import write_atomically
from lodestone_core.time import NS_PER_S
from lodestone_core.yaml_file import dump_yaml, parse_yaml
from us_motion.drivers.encoder_frames import EncoderHello
from us_motion.drivers.joint_counter import JointCounter
from us_motion.types import JointStatus

FORMAT: Final = 1
# A microcontroller's crystal is within 100 ppm; so is the host's.
_DRIFT: Final = 200e-6
_TOLERANCE_NS: Final = NS_PER_S


@dataclass(frozen=True, slots=True)
class Home:
    """What the file holds; a reference is a raw count of the device and the number of the index pulse that it is."""

    device: str
    boot_ns: int
    uptime_us: int
    references: Mapping[str, tuple[int, int]]


class StoredHome:
    """`restore` and `keep` run on the driver's thread and touch no disk; `flush` does, on the node's."""

    def __init__(self, path: Path) -> None:
        """Read the file if there is one. Raises InputError for one that is none of this kind."""
        self._path = path
        self._home = read_home(path) if path.exists() else None
        self._key: tuple[tuple[str, int], ...] = ()
        self._pending: deque[str] = deque(maxlen=1)
        self.said = ""
        """What became of the file when the device was heard, for people."""

    def restore(self, hello: EncoderHello, boot_ns: int, uptime_us: int, counters: dict[str, JointCounter]) -> None:
        """Give each counter without a reference the one that was kept, if device, uptime and joint are still the same."""
        home = self._home
        if home is None or all(counter.homed for counter in counters.values()):
            return
        self.said = _why_not(home, hello, boot_ns, uptime_us)
        if self.said:
            return
        waiting = {name: counter for name, counter in counters.items() if not counter.homed}
        restored = [name for name, kept in home.references.items() if name in waiting and waiting[name].restore(*kept)]
        self.said = f"homed from {self._path}: {', '.join(restored)}" if restored else ""

    def keep(self, hello: EncoderHello, boot_ns: int, uptime_us: int, counters: dict[str, JointCounter]) -> None:
        """Note the references when one has changed, or has come into question."""
        good = {name: counter for name, counter in counters.items() if not counter.status & ~JointStatus.LIMIT}
        key = tuple((name, counter.changes) for name, counter in good.items())
        if key == self._key or not (good or self._key):
            return
        self._key = key
        references = {name: (counter.raw_reference(), counter.turn or 0) for name, counter in good.items()}
        self._home = Home(hello.name, boot_ns, uptime_us, references)
        plain = {name: list(kept) for name, kept in references.items()}
        entry = {"format": FORMAT, "device": hello.name, "boot_ns": boot_ns, "uptime_us": uptime_us, "references": plain}
        self._pending.append(dump_yaml(entry))

    def flush(self) -> None:
        """Write what was noted; a file that cannot be written is told in `said`: the arm works without."""
        while self._pending:
            try:
                write_atomically(self._path, self._pending.popleft())
            except InputError as error:
                self.said = str(error)


def read_home(path: Path) -> Home:
    """The content of a file. Raises InputError for one that is none of this kind."""
    remedy = "remove the file and move each joint over its index"
    try:
        tree = parse_yaml(path.read_text(encoding="utf-8"), str(path))
        numbers = [tree["boot_ns"], tree["uptime_us"], *(number for pair in tree["references"].values() for number in pair)]
        references = {str(name): (pair[0], pair[1]) for name, pair in tree["references"].items()}
        plain = all(type(number) is int for number in numbers) and all(len(pair) == 2 for pair in tree["references"].values())
    except OSError as error:
        raise InputError(str(path), expected="a file that can be read", got=error.strerror, remedy=remedy) from error
    except (KeyError, IndexError, TypeError, AttributeError, UnicodeDecodeError) as error:
        raise InputError(str(path), expected="the kept homing of an arm", got=repr(error), remedy=remedy) from error
    if tree.get("format") != FORMAT or not plain:
        raise InputError(str(path), expected=f"format {FORMAT} with whole numbers", got=tree.get("format"), remedy=remedy)
    return Home(str(tree["device"]), tree["boot_ns"], tree["uptime_us"], references)


def _why_not(home: Home, hello: EncoderHello, boot_ns: int, uptime_us: int) -> str:
    """Why the kept homing does not hold for this device; empty when it does."""
    if home.device != hello.name:
        return f"the kept homing is of {home.device}, this is {hello.name}"
    between_ns = boot_ns + uptime_us * 1000 - (home.boot_ns + home.uptime_us * 1000)
    off_ns = boot_ns - home.boot_ns
    if uptime_us < home.uptime_us or abs(off_ns) > _TOLERANCE_NS + _DRIFT * abs(between_ns):
        return "the kept homing does not hold: the device has been without power since, or the host's clock was set"
    return ""
