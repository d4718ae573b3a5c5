"""One file to X-ray frames: DICOM by its preamble, anything else by OpenCV."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from lodestone_core.errors import InputError
from lodestone_core.time import ns_from_s
from xray_registration.drivers.config import FolderConfig
from xray_registration.drivers.dicom import read_dicom
from xray_registration.drivers.header import XrayHeader

_PREAMBLE = 128
_MAGIC = b"DICM"


@dataclass(frozen=True, slots=True, eq=False)
class XrayFrame:
    """One picture (rows, columns) uint8 or uint16, its acquisition on the host's clock (ns), and what its header says."""

    stamp_ns: int
    image: npt.NDArray[Any]
    header: XrayHeader
    is_dicom: bool

    def turned_round(self) -> XrayFrame:
        """The mirror image: as seen from the source when the device shows it as radiologists look at it."""
        return replace(self, image=np.ascontiguousarray(self.image[:, ::-1]))


def read_picture(path: Path, config: FolderConfig) -> list[XrayFrame]:
    """The frames of a file in order. Raises InputError, which never holds the file's name: names of files may name patients."""
    try:
        entry = path.stat()
        if entry.st_size > config.max_mb * 1e6:
            remedy = "raise folder.max_mb, or export fewer frames a file"
            raise InputError("file", expected=f"at most {config.max_mb:g} MB", got=f"{entry.st_size / 1e6:.0f} MB", remedy=remedy)
        content = path.read_bytes()
    except OSError as error:
        raise InputError("file", expected="one that can be read", got=error.strerror, remedy="check its permissions") from None
    taken_ns = entry.st_mtime_ns - ns_from_s(config.latency_s)
    if content[_PREAMBLE : _PREAMBLE + len(_MAGIC)] == _MAGIC:
        found = read_dicom(content, config.angle_increments)
        return [
            XrayFrame(taken_ns + ns_from_s(offset), image, header, True)
            for offset, image, header in zip(found.offsets_s, found.frames, found.headers, strict=True)
        ]
    image = _decode(content)
    return [XrayFrame(taken_ns, image, XrayHeader((image.shape[1], image.shape[0])), False)]


def _decode(content: bytes) -> npt.NDArray[Any]:
    try:
        image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        image = None
    if image is None:
        remedy = "put DICOM, PNG, PGM or TIFF files there; a file that is being written belongs under another name until it is whole"
        raise InputError("file", expected="a picture", got="something else, or a part of one", remedy=remedy)
    if image.ndim != 2 or image.dtype not in (np.uint8, np.uint16):
        remedy = "export grey pictures of 8 or 16 bits"
        raise InputError("picture", expected="one grey channel of 8 or 16 bits", got=f"{image.shape} {image.dtype}", remedy=remedy)
    return np.asarray(image)
