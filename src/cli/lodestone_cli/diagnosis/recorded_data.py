"""The public recordings."""

from __future__ import annotations

from collections.abc import Mapping

from lodestone_cli.recordings.places import data_folder, holdings
from lodestone_cli.recordings.registry import recordings
from lodestone_core.errors import InputError

from .finding import Finding, Level


def recorded_data(environment: Mapping[str, str]) -> Finding:
    """Which recordings are complete in the data folder."""
    try:
        folder = data_folder(environment)
    except InputError as error:
        return Finding("recordings", Level.WARN, error.got, error.remedy)
    lacking = [name for name, recording in recordings().items() if not holdings(recording, folder).complete]
    if lacking:
        found = f"not complete in {folder}: {', '.join(lacking)}"
        return Finding("recordings", Level.WARN, found, f"lodestone data --fetch {' '.join(lacking)}")
    return Finding("recordings", Level.OK, f"all {len(recordings())} in {folder}")
