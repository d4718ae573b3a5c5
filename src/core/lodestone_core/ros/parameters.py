"""ROS parameters of a configuration dataclass: one declaration, no second set of names, defaults or bounds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node
from rclpy.parameter import Parameter

from lodestone_core.config import Option, load_flat, options, to_flat

C = TypeVar("C")

_FOREIGN_PREFIX = "qos_overrides."


def declare_config(node: Node, cls: type[C]) -> C:
    """Declare every option of `cls` on the node; the configuration that its overrides (file, command line) describe.

    Parameters that the node has declared before are left alone. An override that nobody knows, of the wrong type or out
    of bounds raises InputError with the parameter's full name, and nothing is declared; a whole number is a float too.
    """
    leaves = {option.name: option for option in options(cls)}
    # The only way to see overrides that nobody declares: misspelled ones.
    overrides = {
        name: parameter
        for name, parameter in node._parameter_overrides.items()
        if not node.has_parameter(name) and not name.startswith(_FOREIGN_PREFIX)
    }
    config = load_flat(cls, _plain(leaves, overrides.values()), where=_where(node))
    for name, value in to_flat(config).items():
        node.declare_parameter(name, value, _descriptor(leaves[name], value), ignore_override=True)
    return config


def read_config(node: Node, cls: type[C], changes: Iterable[Parameter] = ()) -> C:
    """The configuration that the declared parameters describe now, with `changes` applied. Raises InputError."""
    leaves = {option.name: option for option in options(cls)}
    parameters = {name: node.get_parameter(name) for name in leaves}
    parameters |= {change.name: change for change in changes if change.name in leaves}
    return load_flat(cls, _plain(leaves, parameters.values()), where=_where(node))


def _where(node: Node) -> str:
    return f"parameters of {node.get_fully_qualified_name()}"


def _plain(leaves: Mapping[str, Option], parameters: Iterable[Parameter]) -> dict[str, Any]:
    values = {}
    for parameter in parameters:
        leaf, value = leaves.get(parameter.name), parameter.value
        # An empty list in a parameter file arrives without a type and without a value.
        values[parameter.name] = [] if value is None and leaf and leaf.sequence and not leaf.nullable else value
    return values


def _descriptor(leaf: Option, value: Any) -> ParameterDescriptor:
    unit = f" [{leaf.unit}]" if leaf.unit else ""
    descriptor = ParameterDescriptor(description=leaf.doc + unit, additional_constraints=_constraints(leaf))
    # A parameter keeps the type of its first value; None has none, and rclpy takes an empty list for bytes.
    descriptor.dynamic_typing = leaf.nullable or (leaf.sequence and not value)
    if leaf.sequence or descriptor.dynamic_typing or leaf.minimum is None or leaf.maximum is None:
        return descriptor
    if leaf.type is float:
        limits = FloatingPointRange(from_value=float(leaf.minimum), to_value=float(leaf.maximum), step=0.0)
        descriptor.floating_point_range = [limits]
    else:
        descriptor.integer_range = [IntegerRange(from_value=int(leaf.minimum), to_value=int(leaf.maximum), step=1)]
    return descriptor


def _constraints(leaf: Option) -> str:
    parts = ["one of " + ", ".join(map(str, leaf.choices))] if leaf.choices else []
    parts += [f"at least {leaf.minimum:g}"] if leaf.minimum is not None else []
    parts += [f"at most {leaf.maximum:g}"] if leaf.maximum is not None else []
    parts += [f"{leaf.length} elements"] if leaf.length is not None else []
    return ", ".join(parts)
