"""Ends the process groups of a runner that was killed.

Started as a script of its own, with the runner's pipe as standard input: `+123` and `-123` tell of a group that began or
ended. The pipe closes when the runner is gone, however it went; then every group still known is killed. Imports nothing
of ours, so that it starts fast and needs no path.
"""

import os
import signal
import sys


def main() -> None:
    """Follow the pipe to its end, then kill."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    groups: set[int] = set()
    for line in sys.stdin:
        if line.startswith("+"):
            groups.add(int(line[1:]))
        else:
            groups.discard(int(line[1:]))
    for group in groups:
        try:
            os.killpg(group, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            continue


if __name__ == "__main__":
    main()
