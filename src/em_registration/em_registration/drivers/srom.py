"""Virtual SROM: the image of a tool that carries no memory of its own, written to its port handle."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from em_registration.drivers import ndi_commands as ndi
from em_registration.drivers.link import Link
from em_registration.drivers.ndi_commands import SROM_CHUNK_BYTES
from lodestone_core.errors import InputError

SROM_BYTES: Final = 1024
_REMEDY: Final = "give the .rom file that came with the tool, or write one with the vendor's tool editor"


def read_rom(path: str | Path) -> bytes:
    """The 1024 bytes of a .rom file, padded with zeros. Raises InputError when it cannot be read, is empty or too long."""
    try:
        image = Path(path).expanduser().read_bytes()
    except OSError as error:
        raise InputError(str(path), expected="a .rom file that can be read", got=error.strerror, remedy=_REMEDY) from error
    if not 0 < len(image) <= SROM_BYTES:
        raise InputError(str(path), expected=f"1 to {SROM_BYTES} bytes", got=f"{len(image)} bytes", remedy=_REMEDY)
    return image.ljust(SROM_BYTES, b"\0")


def upload(link: Link, handle: int, image: bytes) -> None:
    """Write the image chunk by chunk. Raises DriverFault when the device refuses one."""
    for address in range(0, SROM_BYTES, SROM_CHUNK_BYTES):
        link.okay(ndi.write_srom(handle, address, image[address : address + SROM_CHUNK_BYTES]))
