"""Memory of a process that takes in images again and again; `environment.launch.yaml` has the same for what is no node."""

from __future__ import annotations

import ctypes
import os
from typing import Final

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_TRIM_BYTES: Final = 64 << 20
_MMAP_BYTES: Final = 32 << 20
_PIECE_BYTES: Final = 16 << 20


def keep_memory() -> bool:
    """Use memory that was freed again, instead of asking the system for zeroed pages each time; whether it is so.

    Where the environment says how (MALLOC_TRIM_THRESHOLD_, MALLOC_MMAP_THRESHOLD_), or the C library has no mallopt, nothing changes.
    By itself glibc gives the last images back as soon as some of them are freed, and each new one of 3 MB costs 768 page faults: in a
    subscriber of two such cameras they are half of its processor time.
    """
    if {"MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_"} & os.environ.keys():
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_M_TRIM_THRESHOLD, _TRIM_BYTES)) and bool(mallopt(_M_MMAP_THRESHOLD, _MMAP_BYTES))


def reserve_memory(megabytes: int = 48) -> None:
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
