"""Real-time scheduling of a node's process, where it is asked for and allowed.

On two cores a frame crosses four processes; each of them waits for a processor behind whatever else runs. With a real-time priority it
does not. Threads of the middleware inherit it, so it is set before they are made.
"""

from __future__ import annotations

import os

from lodestone_core.errors import InputError

VARIABLE = "LODESTONE_REALTIME_PRIORITY"


def use_realtime_priority() -> str:
    """Schedule this process round-robin with the priority in the environment (1 to 99; unset, empty or 0: as usual).

    Returns a warning with the remedy when this user may not, else an empty string. Raises InputError for a bad value.
    """
    text = os.environ.get(VARIABLE, "0") or "0"
    if not text.isdigit() or int(text) > 99:
        raise InputError(VARIABLE, expected="a whole number from 0 to 99", got=repr(text), remedy="correct or unset it")
    if int(text) == 0:
        return ""
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(int(text)))
    except PermissionError:
        return f"real-time priority {text} is not allowed: add '@realtime - rtprio 99' to /etc/security/limits.conf and join that group"
    return ""
