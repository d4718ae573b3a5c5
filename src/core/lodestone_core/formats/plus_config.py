"""Calibrations of a PLUS device set: transforms and phantom landmarks in XML (PlusToolkit; also `*.results.xml`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt

from lodestone_core.errors import InputError
from lodestone_core.formats.text import parse_numbers, unreadable

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class CoordinateTransform:
    """One entry of CoordinateDefinitions: matrix (4, 4) from its `From` to its `To` frame, mm; it may hold a scale.

    `error` is the residual that PLUS wrote beside it (mm), NaN when there is none.
    """

    matrix: Array
    error: float


@dataclass(frozen=True, slots=True, eq=False)
class PlusConfig:
    """What a device set defines; transforms by (target, source), `landmarks_phantom` (N, 3) in mm in their order."""

    path: Path
    transforms: Mapping[tuple[str, str], CoordinateTransform]
    landmark_names: tuple[str, ...]
    landmarks_phantom: Array

    def transform(self, target: str, source: str) -> CoordinateTransform:
        """The transform `source` -> `target`; raises InputError when the file does not define it."""
        try:
            return self.transforms[target, source]
        except KeyError:
            known = ", ".join(f"{s} to {t}" for t, s in self.transforms) or "none"
            expected = f"a Transform From={source!r} To={target!r}"
            raise InputError(str(self.path), expected=expected, got=known, remedy="give a calibrated device set") from None


def read_plus_config(path: Path) -> PlusConfig:
    """A device-set or results XML of PLUS. Raises InputError when it is missing or malformed."""
    what = "an XML file with the root PlusConfiguration"
    try:
        root = ElementTree.parse(path).getroot()
    except OSError as error:
        raise unreadable(path, what, error) from error
    except ElementTree.ParseError as error:
        raise InputError(f"{path}:{error.position[0]}", expected=what, got=str(error), remedy="mend that line") from error
    if root.tag != "PlusConfiguration":
        raise InputError(str(path), expected=what, got=f"the root {root.tag}", remedy="give a PLUS device set")
    transforms = [_transform(path, element) for element in root.iterfind("CoordinateDefinitions/Transform")]
    landmarks = list(root.iterfind("PhantomDefinition/Geometry/Landmarks/Landmark"))
    names = tuple(_attribute(path, element, "Name") for element in landmarks)
    points = [_numbers(path, element, "Position", 3) for element in landmarks]
    return PlusConfig(path, dict(transforms), names, np.array(points, dtype=np.float64).reshape(-1, 3))


def _transform(path: Path, element: ElementTree.Element) -> tuple[tuple[str, str], CoordinateTransform]:
    key = (_attribute(path, element, "To"), _attribute(path, element, "From"))
    matrix = np.array(_numbers(path, element, "Matrix", 16)).reshape(4, 4)
    error = _numbers(path, element, "Error", 1)[0] if "Error" in element.attrib else float("nan")
    return key, CoordinateTransform(matrix, error)


def _numbers(path: Path, element: ElementTree.Element, name: str, count: int) -> list[float]:
    tokens = _attribute(path, element, name).split()
    where = f"{count} number{'s' if count > 1 else ''} in {_shown(element)} {name}"
    if len(tokens) != count:
        raise InputError(str(path), expected=where, got=f"{len(tokens)}", remedy="mend that element")
    return parse_numbers(path, 1, tokens, where)


def _attribute(path: Path, element: ElementTree.Element, name: str) -> str:
    value = element.get(name)
    if value is None:
        raise InputError(str(path), expected=f"{_shown(element)} with {name}", got="none", remedy="mend that element")
    return value


def _shown(element: ElementTree.Element) -> str:
    named = " ".join(f'{key}="{element.get(key)}"' for key in ("Name", "From", "To") if key in element.attrib)
    return f"<{element.tag} {named}>" if named else f"<{element.tag}>"
