"""Files that are whole or not there."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from lodestone_core.errors import InputError


def write_atomically(path: Path, text: str) -> None:
    """A reader sees the old file or the new one, never half of it. Raises InputError when the folder cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "w", encoding="utf-8") as output:
            output.write(text)
            output.flush()
            os.fsync(output.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except OSError as error:
        raise InputError(
            str(path),
            expected="a file that can be written",
            got=error.strerror,
            remedy="choose another path or mend its permissions",
        ) from error
