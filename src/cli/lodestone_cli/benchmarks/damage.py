"""Ways in which bytes of a message are damaged on a line, for benchmarks that look for what a parser lets through."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

Damage = Callable[[Random, bytes, bytes], bytes]
"""From a message and another one to what comes instead."""


def flip_bits(random: Random, message: bytes, other: bytes) -> bytes:
    """One to eight bits."""
    damaged = bytearray(message)
    for _ in range(random.randint(1, 8)):
        at = random.randrange(8 * len(damaged))
        damaged[at // 8] ^= 1 << at % 8
    return bytes(damaged)


def replace_bytes(random: Random, message: bytes, other: bytes) -> bytes:
    """A stretch of up to sixteen."""
    at = random.randrange(len(message))
    length = random.randint(1, 16)
    return message[:at] + random.randbytes(len(message[at : at + length])) + message[at + length :]


def truncate(random: Random, message: bytes, other: bytes) -> bytes:
    """Its end is lost."""
    return message[: random.randrange(len(message))]


def lose_head(random: Random, message: bytes, other: bytes) -> bytes:
    """Its beginning is lost."""
    return message[random.randint(1, len(message)) :]


def lose_middle(random: Random, message: bytes, other: bytes) -> bytes:
    """Any stretch is lost."""
    begin, end = sorted((random.randrange(len(message)), random.randrange(len(message) + 1)))
    return message[:begin] + message[end:]


def insert(random: Random, message: bytes, other: bytes) -> bytes:
    """Up to 24 bytes too many."""
    at = random.randrange(len(message) + 1)
    return message[:at] + random.randbytes(random.randint(1, 24)) + message[at:]


def splice(random: Random, message: bytes, other: bytes) -> bytes:
    """The beginning of one and the end of another."""
    return message[: random.randrange(len(message))] + other[random.randrange(len(other)) :]


def noise(random: Random, message: bytes, other: bytes) -> bytes:
    """Nothing of it."""
    return random.randbytes(random.randint(1, 300))


COMMON: dict[str, Damage] = {
    "bits flipped": flip_bits,
    "bytes replaced": replace_bytes,
    "truncated": truncate,
    "head lost": lose_head,
    "middle lost": lose_middle,
    "bytes inserted": insert,
}
LAST: dict[str, Damage] = {"two spliced": splice, "noise": noise}
