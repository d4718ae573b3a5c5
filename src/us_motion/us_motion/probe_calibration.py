"""Where the image lies on the probe: calibration files of the kind `us_probe`.

values:
  T_probe_image: [[...], [...], [...], [0, 0, 0, 1]]   # us_image in us_probe, 4x4, mm
"""

from __future__ import annotations

from pathlib import Path

from lodestone_core.calibration_file import load_calibration
from lodestone_core.checks import as_se3
from lodestone_core.errors import InputError
from lodestone_core.types import Array

KIND = "us_probe"


def load_probe_calibration(path: Path, rig: str = "") -> Array:
    """T_probe_image (4x4, mm) of a file. Raises InputError for another kind or rig, or a matrix that is no pose."""
    values = load_calibration(path, KIND, rig).values
    if "T_probe_image" not in values:
        raise InputError(f"{path}, values", expected="T_probe_image", got=", ".join(map(str, values)), remedy="calibrate the probe again")
    return as_se3(f"{path}, T_probe_image", values["T_probe_image"])
