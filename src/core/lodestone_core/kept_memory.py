"""Memory of a process that takes in images again and again; `environment.launch.yaml` has the same for what is no node."""

from __future__ import annotations

import ctypes
import os
from typing import Final

_TRIM_BYTES: Final = 256 << 20
_PIECE_BYTES: Final = 16 << 20
IMAGES_MB: Final = 96
"""What two cameras of 3 MB need at most: what is decoded, what messages lie in, and what the middleware keeps for slow readers of both."""
SETTINGS: Final = {"MALLOC_TRIM_THRESHOLD_": (-1, _TRIM_BYTES), "MALLOC_MMAP_THRESHOLD_": (-3, 32 << 20), "MALLOC_ARENA_MAX": (-8, 1)}
"""By the variable that says otherwise: parameter of mallopt (malloc.h) and its value."""


def keep_memory() -> bool:
    """Use memory that was freed again, instead of asking the system for zeroed pages each time; whether the C library does.

    By itself glibc gives the last images back as soon as some of them are freed, and each new one of 3 MB costs 768 page faults: in a
    subscriber of two such cameras they are half of its processor time. All threads share one pool, so that none keeps what another needs;
    call this before there are any. What the environment says holds.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if mallopt is None:
        return False
    taken = [mallopt(parameter, value) for name, (parameter, value) in SETTINGS.items() if name not in os.environ]
    return all(taken)


def reserve_memory(megabytes: int = IMAGES_MB) -> None:
    """Have this much at once, and at most what is kept: what small things break up of it would else be asked for bit by bit."""
    megabytes = min(megabytes, (_TRIM_BYTES - _PIECE_BYTES) >> 20)
    libc = ctypes.CDLL(None)
    libc.malloc.argtypes, libc.malloc.restype = [ctypes.c_size_t], ctypes.c_void_p
    libc.free.argtypes = [ctypes.c_void_p]
    pieces = [libc.malloc(_PIECE_BYTES) for _ in range((megabytes << 20) // _PIECE_BYTES)]
    for piece in pieces:
        if piece:
            ctypes.memset(piece, 0, _PIECE_BYTES)
        libc.free(piece)
