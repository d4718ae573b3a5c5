"""Files that appear in a folder, each once and only when it is whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_UNFINISHED = (".part", ".tmp", ".partial", ".crdownload")


@dataclass(slots=True)
class _Seen:
    size: int
    modified_ns: int
    since_s: float
    done: bool = False


class FolderWatch:
    """`poll` names the files that have become whole since the last call, sorted by time of modification, then name.

    A file is whole when neither its size nor its time has changed for `settle_s`, and it is not empty. A file that is written again is
    named again. Names that begin with a dot or end like an unfinished transfer are left alone, folders too.
    """

    def __init__(self, folder: Path, settle_s: float, clock: Callable[[], float], existing: bool = False) -> None:
        self._folder = folder
        self._settle_s = settle_s
        self._clock = clock
        self._skip_first = not existing
        self._seen: dict[str, _Seen] = {}

    def poll(self) -> list[Path]:
        """Raises OSError when the folder cannot be read."""
        now_s = self._clock()
        found = self._look()
        self._seen = {name: seen for name, seen in self._seen.items() if name in found}
        whole: list[tuple[int, str]] = []
        for name, (size, modified_ns) in found.items():
            seen = self._seen.get(name)
            if seen is None or (seen.size, seen.modified_ns) != (size, modified_ns):
                self._seen[name] = _Seen(size, modified_ns, now_s, done=self._skip_first)
            elif not seen.done and size > 0 and now_s - seen.since_s >= self._settle_s:
                seen.done = True
                whole.append((modified_ns, name))
        self._skip_first = False
        return [self._folder / name for _, name in sorted(whole)]

    def _look(self) -> dict[str, tuple[int, int]]:
        found = {}
        for path in self._folder.iterdir():
            if path.name.startswith(".") or path.suffix.lower() in _UNFINISHED:
                continue
            try:
                entry = path.stat()
                if path.is_file():
                    found[path.name] = (entry.st_size, entry.st_mtime_ns)
            except OSError:
                continue  # it vanished while we looked
        return found
