"""The records of an MCAP file. Format: https://mcap.dev/spec. A chunk counts only when its checksum holds."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import zstandard
from mcap import records
from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.stream_reader import breakup_chunk

MAGIC = b"\x89MCAP0\r\n"
HEAD = struct.Struct("<BQ")
"""What every record begins with: opcode, and length of what follows."""
DAMAGED = (McapError, ValueError, struct.error, zstandard.ZstdError, RuntimeError, EOFError, MemoryError)
"""What damaged bytes make mcap, zstandard and lz4 raise; a checksum that does not hold is a ValueError."""
_FOOTER_BYTES = 37

_PARSERS: dict[int, Callable[[ReadDataStream, int], Any]] = {
    Opcode.SCHEMA: lambda stream, _: records.Schema.read(stream),
    Opcode.CHANNEL: lambda stream, _: records.Channel.read(stream),
    Opcode.MESSAGE: lambda stream, length: records.Message.read(stream, length),
    Opcode.CHUNK: lambda stream, _: records.Chunk.read(stream),
}


def is_mcap(path: Path) -> bool:
    """Whether the file begins as an MCAP file does; one that was cut off inside the first bytes counts."""
    with path.open("rb") as stream:
        head = stream.read(len(MAGIC))
    return MAGIC.startswith(head) if path.suffix == ".mcap" else head == MAGIC


def has_footer(path: Path) -> bool:
    """Whether the writer has finished the file: footer and magic stand at its end."""
    with path.open("rb") as stream:
        if path.stat().st_size < len(MAGIC) + _FOOTER_BYTES:
            return False
        stream.seek(-_FOOTER_BYTES, 2)
        tail = stream.read()
    return tail[0] == Opcode.FOOTER and tail.endswith(MAGIC)


def whole_records(data: bytes) -> Iterator[Any]:
    """Schemas, channels and messages in `data` (whole top-level records), those inside chunks too. Raises what DAMAGED names."""
    offset = 0
    while offset < len(data):
        opcode, length = HEAD.unpack_from(data, offset)
        offset += HEAD.size
        if opcode in _PARSERS:
            record = _PARSERS[opcode](ReadDataStream(BytesIO(data[offset : offset + length])), length)
            if isinstance(record, records.Chunk):
                yield from _inside(record)
            else:
                yield record
        offset += length


def _inside(chunk: Any) -> list[Any]:
    found: list[Any] = breakup_chunk(chunk, validate_crc=True)
    # Some writers store no checksum; what decompresses to another size is damaged all the same.
    if not chunk.compression and len(chunk.data) != chunk.uncompressed_size:
        raise ValueError(f"{len(chunk.data)} bytes instead of {chunk.uncompressed_size}")
    return found
