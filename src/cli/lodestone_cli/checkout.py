"""The checkout that this command belongs to, when there is one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

_MARK = Path("src", "core", "lodestone_core")


def find_checkout(start: Path | None = None) -> Path | None:
    """The folder of the repository: above `start` (default: the working directory), else above this file."""
    for folder in _candidates(start or Path.cwd()):
        if (folder / _MARK).is_dir():
            return folder
    return None


def _candidates(start: Path) -> Iterator[Path]:
    # An embedded set-up installs into .venv inside of the checkout, so this file lies below it too.
    for path in (start.absolute(), Path(__file__).absolute()):
        yield path
        yield from path.parents
