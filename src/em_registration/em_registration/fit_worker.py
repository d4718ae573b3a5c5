"""The process that fits: one job a line on standard input, one answer a line on standard output, as JSON; ends with its input.

What arrives and leaves is plain values; the numbers come back to the last bit.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from collections.abc import Mapping
from typing import IO, Any

_NICENESS = 10


def step_behind() -> None:
    """Give way to the data path: no real-time priority inherited from the node, and a low one of one's own."""
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    with contextlib.suppress(OSError):
        os.nice(_NICENESS)


def serve(jobs: IO[str], answers: IO[str]) -> None:
    """Answer jobs until there are no more."""
    # Imported after stepping behind: loading numpy is most of a start.
    from em_registration.fit_wire import answer

    answers.write(json.dumps({"ready": True}) + "\n")
    answers.flush()
    for line in jobs:
        reply: Mapping[str, Any] = answer(json.loads(line))
        answers.write(json.dumps(reply) + "\n")
        answers.flush()


def main() -> int:
    """Serve on standard input and output."""
    step_behind()
    # A terminal and a launcher interrupt the whole group; this process ends when the node closes its input.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    serve(sys.stdin, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
