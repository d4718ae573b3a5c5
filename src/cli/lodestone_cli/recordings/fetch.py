"""Download of recordings from their public sources (pooch), checked against the list before they are kept."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from lodestone_core.errors import InputError

from .places import VARIABLE, holdings
from .registry import RAW, RecordedFile, Recording

_TIMEOUT_S = 20


def fetch(recording: Recording, folder: Path, done: Callable[[str], None], server: str = RAW) -> tuple[RecordedFile, ...]:
    """Download what is missing below `folder`; returns what has to be placed by hand.

    `done` hears of each file that has come. A file that is here but differs from the list is left alone. Raises InputError, one sentence,
    when the network refuses, a download is not what the list says, or the folder cannot be written; what has come before stays.
    """
    by_hand = []
    for file in holdings(recording, folder).missing:
        url = recording.url(file, server)
        if url is None:
            by_hand.append(file)
        else:
            _download(url, file, folder / file.path)
            done(file.path)
    return tuple(by_hand)


def _download(url: str, file: RecordedFile, path: Path) -> None:
    import pooch
    from requests.exceptions import RequestException

    logger = pooch.get_logger()
    logger.setLevel(logging.ERROR)
    try:
        downloader = pooch.HTTPDownloader(timeout=_TIMEOUT_S)
        pooch.retrieve(url, known_hash=f"sha256:{file.sha256}", fname=path.name, path=path.parent, downloader=downloader)
    except RequestException as error:
        remedy = f"allow the network, or place the file at {path} ({VARIABLE} names the data folder)"
        raise InputError(f"download of {url}", expected="an answer", got=_reason(error), remedy=remedy) from error
    except ValueError as error:
        remedy = "try again; if it stays, the source has changed and must not be used"
        raise InputError(f"download of {url}", expected=f"SHA-256 {file.sha256}", got="another one", remedy=remedy) from error
    except OSError as error:
        remedy = f"choose a folder that can be written with {VARIABLE}"
        raise InputError(str(path), expected="a place to write to", got=error.strerror or str(error), remedy=remedy) from error


def _reason(error: Exception) -> str:
    response = getattr(error, "response", None)
    if response is not None:
        return f"HTTP status {response.status_code}"
    return {"ConnectTimeout": "no answer in time", "ReadTimeout": "no answer in time"}.get(type(error).__name__, "no connection")
