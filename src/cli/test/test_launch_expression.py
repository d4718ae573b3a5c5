"""$(eval) compares literals and nothing else; every value equals what Python gives, and nothing is executed."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lodestone_cli.launch_file.expression import evaluate
from lodestone_cli.launch_file.place import Place
from lodestone_core.errors import InputError

PLACE = Place(Path("some.launch.yaml"), 3)
LITERALS = st.one_of(st.booleans(), st.integers(-9, 9), st.sampled_from(["a", "b", "true"]).map(repr)).map(str)


def expressions() -> st.SearchStrategy[str]:
    equal = st.tuples(LITERALS, st.sampled_from(["==", "!="]), LITERALS).map(" ".join)

    def joined(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        logic = st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(" ".join)
        return st.one_of(logic, inner.map(lambda text: f"not {text}"), inner.map(lambda text: f"({text})"))

    return st.recursive(st.one_of(LITERALS, equal), joined, max_leaves=6)


@given(expressions())
def test_the_value_is_what_python_gives(text: str) -> None:
    code = compile(ast.parse(text, mode="eval"), "<test>", "eval")
    assert evaluate(text, PLACE) == str(eval(code, {"__builtins__": {}}))


@pytest.mark.parametrize(
    ("text", "value"),
    [("'a' == 'a'", "True"), ("1 < 2 <= 2", "True"), ("2 > 3", "False"), ("'a' in 'cab'", "True"), ("-1 == 1", "False"), ("'x'", "x")],
)
def test_comparisons_and_strings(text: str, value: str) -> None:
    assert evaluate(text, PLACE) == value


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "true",
        "(1).__class__",
        "[1]",
        "f'{1}'",
        "1 + 1",
        "9 ** 9 ** 9",
        "'a' if True else 'b'",
        "lambda: 1",
        "(x := 1)",
        "b'bytes'",
        "None",
        "1 < 'a'",
        "1 == ",
        "not " * 400 + "1",
        "",
    ],
)
def test_anything_else_is_refused_with_file_and_line(text: str) -> None:
    with pytest.raises(InputError, match=r"some\.launch\.yaml:3: \$\(eval\)"):
        evaluate(text, PLACE)
