"""Where recordings lie on this machine, and whether they are what the list says."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lodestone_cli.checkout import find_checkout
from lodestone_core.errors import InputError

from .registry import RecordedFile, Recording

VARIABLE = "LODESTONE_DATA"


@dataclass(frozen=True, slots=True)
class Holdings:
    """Which files of a recording are here as listed, which are missing, and which differ from the list."""

    present: tuple[RecordedFile, ...]
    missing: tuple[RecordedFile, ...]
    different: tuple[RecordedFile, ...]

    @property
    def complete(self) -> bool:
        """Every file is here and is what the list says."""
        return not self.missing and not self.different


def data_folder(environment: Mapping[str, str]) -> Path:
    """The folder of LODESTONE_DATA, else `data/` in the checkout; it need not exist.

    Raises InputError when there is neither.
    """
    if environment.get(VARIABLE):
        return Path(environment[VARIABLE])
    checkout = find_checkout()
    if checkout is None:
        remedy = f"set {VARIABLE} to a folder for recordings"
        raise InputError("data folder", expected=f"{VARIABLE}, or a checkout to hold data/", got="neither", remedy=remedy)
    return checkout / "data"


def holdings(recording: Recording, folder: Path) -> Holdings:
    """Compare the files below `folder` with the list, by their SHA-256."""
    sorted_files: tuple[list[RecordedFile], ...] = ([], [], [])
    for file in recording.files:
        found = file_sha256(folder / file.path)
        sorted_files[0 if found == file.sha256 else 1 if found is None else 2].append(file)
    present, missing, different = map(tuple, sorted_files)
    return Holdings(present, missing, different)


def file_sha256(path: Path) -> str | None:
    """Hexadecimal SHA-256 of a file; None when there is none."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
    except OSError as error:
        remedy = "check the file's permissions"
        raise InputError(str(path), expected="a readable file", got=error.strerror or str(error), remedy=remedy) from error
