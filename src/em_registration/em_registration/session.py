"""A registration session: fiducials come one at a time under a tool's tip; nothing collected is ever lost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from em_registration.config import SessionConfig
from em_registration.registration import Registration, registration_from
from em_registration.types import MISSING_POINT, Fiducial, Point, rows
from lodestone_core import se3
from lodestone_core.errors import InputError
from lodestone_core.files import write_atomically
from lodestone_core.types import ToolSample, ToolStatus
from lodestone_core.yaml_file import dump_yaml, read_yaml

Array = npt.NDArray[np.float64]
SESSION_FORMAT = "lodestone/em_session/1"


@dataclass
class Collection:
    """The samples of one tip resting on one fiducial."""

    fiducial: Fiducial
    tool: str
    tip_tool_mm: Array
    wanted: int
    points: list[Array] = field(default_factory=list)
    rotations: list[Array] = field(default_factory=list)

    def add(self, tool: ToolSample) -> None:
        """Take a valid sample of the tool; others are passed over."""
        if tool.name == self.tool and tool.status is ToolStatus.VALID and tool.T_tracker_tool is not None and not self.complete:
            self.points.append(se3.transform(tool.T_tracker_tool, self.tip_tool_mm))
            self.rotations.append(tool.T_tracker_tool[:3, :3])

    @property
    def complete(self) -> bool:
        """Whether enough samples have come."""
        return len(self.points) >= self.wanted

    @property
    def spread_mm(self) -> float:
        """RMS distance of the samples from their mean; NaN before the first."""
        if not self.points:
            return float("nan")
        points = np.array(self.points)
        return float(np.sqrt(((points - points.mean(axis=0)) ** 2).sum(axis=1).mean()))

    def result(self, config: SessionConfig) -> Fiducial:
        """The averaged fiducial. Raises InputError when the tip moved or samples are missing."""
        if not self.complete:
            raise InputError(
                f"fiducial {self.fiducial.name}",
                expected=f"{self.wanted} valid samples of tool {self.tool}",
                got=len(self.points),
                remedy="keep the tip on the fiducial and the tool inside the volume",
            )
        if self.spread_mm > config.max_spread_mm:
            raise InputError(
                f"fiducial {self.fiducial.name}",
                expected=f"a spread of at most {config.max_spread_mm:g} mm",
                got=f"{self.spread_mm:.2f} mm",
                remedy="hold the tip still, or calibrate the tip again",
            )
        x, y, z = np.mean(self.points, axis=0).tolist()
        return replace(
            self.fiducial,
            tool=self.tool,
            tracker_mm=(x, y, z),
            spread_mm=self.spread_mm,
            samples=len(self.points),
            T_tracker_tool=rows(self._mean_pose()),
        )

    def _mean_pose(self) -> Array:
        """Mean orientation (chordal) with the tip at the mean of the tips."""
        R = Rotation.from_matrix(np.array(self.rotations)).mean().as_matrix()
        return se3.make(R, np.mean(self.points, axis=0) - R @ self.tip_tool_mm)


class Session:
    """The fiducials of one registration, kept in a file that is rewritten whole after every change."""

    def __init__(self, name: str, path: Path, fiducials: Mapping[str, Fiducial] | None = None) -> None:
        self.name = name
        self.path = path
        self._fiducials: dict[str, Fiducial] = dict(fiducials or {})

    @classmethod
    def start(cls, name: str, folder: Path, planned: list[Fiducial]) -> Session:
        """A new session; an older one of the same name keeps its file."""
        _refuse_bad_name(name)
        seen: dict[str, Fiducial] = {}
        for fiducial in planned:
            if fiducial.name in seen or not fiducial.name:
                raise InputError("planned fiducials", expected="unique names", got=repr(fiducial.name), remedy="rename one of them")
            seen[fiducial.name] = Fiducial(fiducial.name, fiducial.image_mm)
        return cls.go_on(name, folder, seen.values())

    @classmethod
    def go_on(cls, name: str, folder: Path, fiducials: Iterable[Fiducial]) -> Session:
        """A new session that begins with fiducials which may have been collected already, in a file of its own."""
        _refuse_bad_name(name)
        number = 0
        path = folder / f"{name}.session.yaml"
        while path.exists():
            number += 1
            path = folder / f"{name}-{number}.session.yaml"
        session = cls(name, path, {fiducial.name: fiducial for fiducial in fiducials})
        session.write()
        return session

    @classmethod
    def read(cls, path: Path) -> Session:
        """A session from its file."""
        mapping = read_yaml(path)
        if not isinstance(mapping, dict) or mapping.get("format") != SESSION_FORMAT:
            raise InputError(str(path), expected=f"format {SESSION_FORMAT}", got=repr(mapping)[:60], remedy="give a session's file")
        fiducials = [Fiducial.from_mapping(item, str(path)) for item in mapping.get("fiducials", [])]
        return cls(str(mapping.get("name", path.stem)), path, {fiducial.name: fiducial for fiducial in fiducials})

    @property
    def fiducials(self) -> tuple[Fiducial, ...]:
        """In the order in which they were planned or added."""
        return tuple(self._fiducials.values())

    def planned(self, name: str) -> Fiducial:
        """A fiducial by name. Raises InputError that lists the known ones."""
        if name not in self._fiducials:
            known = ", ".join(self._fiducials) or "none"
            raise InputError(
                f"fiducial {name!r}",
                expected=f"one of: {known}",
                got=repr(name),
                remedy="plan it, or give its image point",
            )
        return self._fiducials[name]

    def collection(self, name: str, tool: str, image_mm: Point | None, wanted: int, model: Registration | None) -> Collection:
        """Begin to collect one fiducial; without an image point it must have been planned."""
        fiducial = self.planned(name) if image_mm is None else Fiducial(name, image_mm)
        tip = model.reference_mm(tool) if model else np.zeros(3)
        return Collection(replace(fiducial, tracker_mm=MISSING_POINT), tool, tip, wanted)

    def add(self, fiducial: Fiducial) -> None:
        """Add or replace one fiducial and write the file."""
        self._fiducials[fiducial.name] = fiducial
        self.write()

    def remove(self, name: str) -> None:
        """Remove one fiducial and write the file. Raises InputError when it is unknown."""
        self.planned(name)
        del self._fiducials[name]
        self.write()

    def write(self) -> None:
        """Write the session's file atomically."""
        fiducials = [fiducial.to_mapping() for fiducial in self.fiducials]
        write_atomically(self.path, dump_yaml({"format": SESSION_FORMAT, "name": self.name, "fiducials": fiducials}))


def _refuse_bad_name(name: str) -> None:
    if not name or not all(letter.isalnum() or letter in "-_" for letter in name):
        raise InputError("session name", expected="letters, digits, - and _", got=repr(name), remedy="choose another name")


def recorded_fiducials(path: Path) -> tuple[Fiducial, ...]:
    """The fiducials of a session's or a registration's file. Raises InputError when it is neither."""
    mapping = read_yaml(path)
    if isinstance(mapping, dict) and mapping.get("format") == SESSION_FORMAT:
        return Session.read(path).fiducials
    return registration_from(mapping, str(path)).fiducials
