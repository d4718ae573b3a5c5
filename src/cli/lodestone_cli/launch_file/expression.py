"""The part of `$(eval)` that runs here: literals, comparisons, `and`, `or`, `not`. Nothing is ever executed."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any

from .place import Place

_COMPARISONS: Mapping[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda left, right: left in right,
    ast.NotIn: lambda left, right: left not in right,
}
_LONGEST = 1000


class _Refused(Exception):
    """A part of an expression that is not evaluated here."""


def evaluate(text: str, place: Place) -> str:
    """The value of `text` as launch gives it: `str()` of what Python makes of the same expression.

    Raises InputError for anything but literals, comparisons and logic.
    """
    expected = "literals compared with == != < <= > >= in, joined by and, or, not"
    what = f"$(eval) of '{text}'"
    try:
        if len(text) > _LONGEST:
            raise _Refused(f"{len(text)} characters")
        return str(_value(ast.parse(text.strip(), mode="eval").body))
    except _Refused as error:
        remedy = "write strings in quotes, for instance '$(var x)' == 'true'"
        raise place.error(what, expected=expected, got=str(error), remedy=remedy) from None
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        got = getattr(error, "msg", None) or type(error).__name__
        remedy = "quote each string, also around $(var ...)"
        raise place.error(what, expected=expected, got=got, remedy=remedy) from None
    except TypeError as error:
        raise place.error(what, expected="operands of the same type", got=str(error), remedy="quote both sides") from None


def _value(node: ast.expr) -> Any:
    if isinstance(node, ast.Constant) and isinstance(node.value, (str, int, float, bool)):
        return node.value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return not _value(node.operand)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
        return -_value(node.operand)
    if isinstance(node, ast.BoolOp):
        return _logic(node)
    if isinstance(node, ast.Compare):
        return _comparison(node)
    raise _Refused(f"'{ast.unparse(node)}'")


def _logic(node: ast.BoolOp) -> Any:
    stop = isinstance(node.op, ast.Or)
    value: Any = None
    for part in node.values:
        value = _value(part)
        if bool(value) is stop:
            break
    return value


def _comparison(node: ast.Compare) -> bool:
    left = _value(node.left)
    for comparison, part in zip(node.ops, node.comparators, strict=True):
        if type(comparison) not in _COMPARISONS:
            raise _Refused(f"'{ast.unparse(node)}'")
        right = _value(part)
        if not _COMPARISONS[type(comparison)](left, right):
            return False
        left = right
    return True
