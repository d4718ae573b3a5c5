"""An arm out of its URDF: the chain from base to tip, or one sentence on why there is none.

urdf_parser_py reads the XML. Meanings are those of the URDF specification: lengths in metres, `rpy` about fixed axes x, y, z, an axis in
the joint's own frame, x where none stands.
"""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation
from urdf_parser_py.urdf import Robot

from lodestone_core import se3
from lodestone_core.errors import InputError
from lodestone_core.types import Array
from lodestone_core.units import mm_from_m
from us_motion.kinematics import Chain, Joint

_KINDS = ("revolute", "continuous", "fixed")


def read_chain(path: Path, base: str, tip: str) -> Chain:
    """The chain of a URDF file. Raises InputError when it cannot be read or holds no such chain."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(str(path), expected="a URDF file that can be read", got=str(error), remedy="correct `urdf`") from error
    return parse_chain(text, base, tip, str(path))


def parse_chain(text: str, base: str, tip: str, where: str = "URDF") -> Chain:
    """The chain from link `base` to link `tip`; `where` names the text in errors. Raises InputError."""
    joints = _joints_by_child(_robot(text, where), where)
    path: list[Any] = []
    link = tip
    while link != base:
        if link not in joints:
            got = f"{tip} hangs below {link}" if path else f"no joint with the child {tip}"
            raise InputError(
                where, expected=f"a chain from {base} to {tip}", got=got, remedy="correct the names of base and tip, or the file"
            )
        if joints[link] in path:
            raise InputError(where, expected="a tree", got=f"a loop through {link}", remedy="give each link one parent, the base none")
        path.append(joints[link])
        link = joints[link].parent
    if not path:
        raise InputError(where, expected="a tip below the base", got=f"{base} for both", remedy="correct the names of base and tip")
    return Chain(tuple(_joint(joint, f"{where}, joint {joint.name}") for joint in reversed(path)))


def _robot(text: str, where: str) -> Any:
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise InputError(where, expected="a URDF without a DOCTYPE", got="one with entities", remedy="write the numbers out")
    try:
        # The parser writes what it does not know to stderr, and leaves it out: a tag of another tool is no error.
        with contextlib.redirect_stderr(io.StringIO()):
            return Robot.from_xml_string(text.encode())
    except Exception as error:  # it raises whatever its parts raise: lxml's, ParseError, AssertionError, ValueError
        text = " ".join(str(error).split()) or type(error).__name__
        raise InputError(where, expected="a URDF", got=text, remedy="`check_urdf` of liburdfdom-tools names the line") from error


def _joints_by_child(robot: Any, where: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    names: set[str] = set()
    for joint in robot.joints:
        if joint.child in found:
            got = f"{found[joint.child].name} and {joint.name}"
            raise InputError(f"{where}, link {joint.child}", expected="one parent", got=got, remedy="remove one of the joints")
        if joint.name in names:
            raise InputError(f"{where}, joint {joint.name}", expected="a name of its own", got="two of it", remedy="rename one")
        found[joint.child] = joint
        names.add(joint.name)
    return found


def _joint(joint: Any, where: str) -> Joint:
    if joint.type not in _KINDS:
        remedy = "an arm with encoders on turning joints is all that is known here"
        raise InputError(where, expected="one of " + ", ".join(_KINDS), got=joint.type, remedy=remedy)
    if joint.mimic is not None:
        raise InputError(
            where, expected="a joint with an encoder", got=f"one that mimics {joint.mimic.joint}", remedy="model it as its own"
        )
    T = _origin(joint.origin, where)
    if joint.type == "fixed":
        return Joint(joint.name, joint.parent, joint.child, T, None)
    lower, upper = (-np.inf, np.inf) if joint.type == "continuous" else _limits(joint.limit, where)
    return Joint(joint.name, joint.parent, joint.child, T, _axis(joint.axis, where), lower, upper)


def _origin(origin: Any, where: str) -> Array:
    xyz = _vector([0.0, 0.0, 0.0] if origin is None or origin.xyz is None else origin.xyz, f"{where}, origin xyz")
    rpy = _vector([0.0, 0.0, 0.0] if origin is None or origin.rpy is None else origin.rpy, f"{where}, origin rpy")
    return se3.make(Rotation.from_euler("xyz", rpy).as_matrix(), mm_from_m(xyz))


def _axis(axis: Any, where: str) -> Array:
    vector = _vector([1.0, 0.0, 0.0] if axis is None else axis, f"{where}, axis")
    length = float(np.linalg.norm(vector))
    if length < 1e-6:
        raise InputError(f"{where}, axis", expected="a direction", got=vector.tolist(), remedy="give the axis that it turns about")
    return vector / length


def _limits(limit: Any, where: str) -> tuple[float, float]:
    lower, upper = (None, None) if limit is None else (limit.lower, limit.upper)
    lower, upper = lower or 0.0, upper or 0.0  # either is 0 where it does not stand
    if not (np.isfinite([lower, upper]).all() and lower < upper):
        remedy = "give the ends of the joint in rad, or make it continuous"
        raise InputError(f"{where}, limit", expected="lower below upper", got=f"{lower} and {upper}", remedy=remedy)
    return float(lower), float(upper)


def _vector(value: Any, where: str) -> Array:
    vector = np.asarray(value, dtype=np.float64)
    if vector.shape != (3,) or not np.isfinite(vector).all():
        raise InputError(where, expected="three finite numbers", got=value, remedy="correct the line")
    return vector
