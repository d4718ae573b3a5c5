"""What a receiver at one rate makes of bytes that were sent at another (8 data bits, no parity, one stop bit)."""

from __future__ import annotations

from math import ceil

BITS_PER_BYTE = 10


def garble(data: bytes, sent_baud: int, heard_baud: int) -> list[tuple[int, bool]]:
    """Bytes as heard, each with whether its stop bit was there.

    The line is sampled as a UART does: a falling edge starts a byte, bits are read in the middle of the receiver's bit times.
    """
    levels = [bit for byte in data for bit in (0, *(byte >> i & 1 for i in range(8)), 1)]
    ratio = sent_baud / heard_baud  # sent bits in one of the receiver's bit times
    heard: list[tuple[int, bool]] = []
    position = 0.0
    while (edge := _falling_edge(levels, position)) is not None:
        samples = [_level(levels, edge + (i + 0.5) * ratio) for i in range(BITS_PER_BYTE)]
        if samples[0]:  # too short for a start bit
            position = edge + 0.5 * ratio
            continue
        heard.append((sum(bit << i for i, bit in enumerate(samples[1:9])), samples[9] == 1))
        position = edge + (BITS_PER_BYTE - 0.5) * ratio
    return heard


def _falling_edge(levels: list[int], position: float) -> int | None:
    """The next bit boundary after `position` at which the line goes from 1 to 0; it rests at 1 before and after."""
    for i in range(ceil(position), len(levels)):
        if levels[i] == 0 and (i == 0 or levels[i - 1] == 1):
            return i
    return None


def _level(levels: list[int], position: float) -> int:
    return levels[int(position)] if position < len(levels) else 1
