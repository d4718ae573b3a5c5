"""A thread of a driver: it begins on `start`, ends on `stop`, and keeps what ended it for who can end the process in order."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Final

from lodestone_core.device.faults import Stopped

STOP_S: Final = 3.0


class Worker(ABC):
    """May be used once. `on_news` is called on the thread: by `_work` as it sees fit, and when an exception has ended it."""

    def __init__(self, name: str, on_news: Callable[[], None]) -> None:
        self._stop = threading.Event()
        self._on_news = on_news
        self._crash: Exception | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin to look for what is to be read."""
        self._thread.start()

    def stop(self, limit_s: float = STOP_S) -> bool:
        """End, and wait for that up to `limit_s`; whether all was given back. What blocks for longer is left behind."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(limit_s)
        return not self._thread.is_alive()

    def check(self) -> None:
        """Raises what ended the thread, if anything did."""
        if self._crash is not None:
            raise self._crash

    @abstractmethod
    def _work(self) -> None:
        """All that is done on the thread, until `_stop` is set; gives everything back. Raises Stopped when told to stop meanwhile."""

    def _run(self) -> None:
        try:
            self._work()
        except Stopped:
            pass
        except Exception as error:
            self._crash = error
            self._on_news()
