"""The checked-in list of recordings: source, commit, licence and SHA-256 of every file."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from urllib.parse import quote

import yaml

from lodestone_cli.launch_file.place import nearest
from lodestone_core.errors import InputError

RAW = "https://raw.githubusercontent.com"


@dataclass(frozen=True, slots=True)
class RecordedFile:
    """One file: `path` below the data folder, `source` in the repository (None: it has to be placed by hand)."""

    path: str
    sha256: str
    source: str | None


@dataclass(frozen=True, slots=True)
class Recording:
    """What was measured once and published: a GitHub repository at one commit."""

    name: str
    measured: str
    repository: str
    commit: str
    licence: str
    files: tuple[RecordedFile, ...]

    @property
    def sha256(self) -> str:
        """SHA-256 over the lines `<sha256>  <path>` of all files in order, as `sha256sum` prints them."""
        lines = "".join(f"{file.sha256}  {file.path}\n" for file in self.files)
        return hashlib.sha256(lines.encode()).hexdigest()

    def url(self, file: RecordedFile, server: str = RAW) -> str | None:
        """Where the file can be downloaded; None when it has to be placed by hand."""
        return f"{server}/{self.repository}/{self.commit}/{quote(file.source)}" if file.source else None


@cache
def recordings() -> Mapping[str, Recording]:
    """All recordings by name, in the order of the list."""
    text = resources.files(__package__).joinpath("registry.yaml").read_text(encoding="utf-8")
    table = yaml.safe_load(text)
    return {name: _recording(name, entry) for name, entry in table.items()}


def select(names: Sequence[str]) -> tuple[Recording, ...]:
    """The recordings of these names, all for none. Raises InputError for an unknown one."""
    known = recordings()
    for name in names:
        if name not in known:
            raise InputError("recording", expected="a name of the list", got=f"'{name}'", remedy=nearest(name, known))
    return tuple(known[name] for name in names) if names else tuple(known.values())


def _recording(name: str, entry: Mapping[str, object]) -> Recording:
    folder, below = entry["folder"], str(entry["below"])
    elsewhere, by_hand = entry.get("at", {}), entry.get("by_hand", [])
    files = entry["files"]
    assert isinstance(elsewhere, dict) and isinstance(by_hand, list) and isinstance(files, dict)
    found = []
    for local, sha256 in files.items():
        source = elsewhere.get(local, f"{below}/{local}" if below else local)
        found.append(RecordedFile(f"{folder}/{local}", sha256, None if local in by_hand else source))
    texts = {key: str(entry[key]) for key in ("measured", "repository", "commit", "licence")}
    return Recording(name=name, files=tuple(found), **texts)
