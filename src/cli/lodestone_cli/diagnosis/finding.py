"""One line of the doctor's table."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Level(IntEnum):
    """How bad it is. WARN: something works less well or a part is missing; FAIL: the bench will not run."""

    OK = 0
    WARN = 1
    FAIL = 2


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, what was found, and what to do (empty when nothing has to be done)."""

    subject: str
    level: Level
    found: str
    remedy: str = ""
