"""A device clock that stands still while this process is not run.

A real device goes on while the host is frozen (a virtual machine that is not scheduled, a laptop that swaps), and then frames are lost
that no driver could have had. On one machine the emulated device is frozen as well, and its frames would come out as lost by a driver
that never had a chance. With this clock the device pauses too; how often and for how long is told in its statistics.
"""

from __future__ import annotations

import threading
import time

TICK_S = 0.004
LONGEST_S = 0.012
"""A tick that is later than this means that the machine had no processor for a thread that needs next to none of it."""


class HostClock:
    """Monotonic seconds without the times in which the machine stood still."""

    def __init__(self) -> None:
        self.stalls = 0
        self.stalled_s = 0.0
        self._lock = threading.Lock()
        self._ticked_s = time.monotonic()
        threading.Thread(target=self._tick, name="host clock", daemon=True).start()

    def __call__(self) -> float:
        """Seconds now."""
        with self._lock:
            now_s = time.monotonic()
            self._look(now_s)
            return now_s - self.stalled_s

    def _tick(self) -> None:
        while True:
            time.sleep(TICK_S)
            with self._lock:
                now_s = time.monotonic()
                self._look(now_s)
                self._ticked_s = now_s

    def _look(self, now_s: float) -> None:
        late_s = now_s - self._ticked_s
        if late_s > LONGEST_S:
            self.stalls += 1
            self.stalled_s += late_s - TICK_S
            self._ticked_s = now_s
