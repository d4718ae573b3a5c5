"""The $(...) grammar gives what launch's own grammar gives; golden values were produced with grammar.lark of launch 3.4.3."""

from __future__ import annotations

from pathlib import Path

import pytest

from lodestone_cli.launch_file.place import Place
from lodestone_cli.launch_file.substitutions import Call, Text, is_plain, parse
from lodestone_core.errors import InputError

PLACE = Place(Path("some.launch.yaml"), 7)


def test_text_without_substitutions_stays_as_it_is() -> None:
    assert parse("a 'b' \"c\" (d) $e $", PLACE) == (Text("a 'b' \"c\" (d) $e $"),)
    assert parse("", PLACE) == ()


def test_a_substitution_has_a_name_and_arguments_separated_by_one_space() -> None:
    assert parse("x$(env HOME here)y", PLACE) == (Text("x"), Call("env", ((Text("HOME"),), (Text("here"),))), Text("y"))
    assert parse("$(dirname)", PLACE) == (Call("dirname", ()),)


def test_quoted_arguments_hold_spaces_and_substitutions() -> None:
    expected = Call("eval", ((Text("'"), Call("var", ((Text("a"),),)), Text("' == 'x y'")),))
    assert parse("""$(eval "'$(var a)' == 'x y'")""", PLACE) == (expected,)


def test_substitutions_nest_without_quotes() -> None:
    inner = Call("env", ((Text("A"),), (Call("dirname", ()), Text("/b"))))
    assert parse("$(env A $(dirname)/b)", PLACE) == (inner,)


def test_a_backslash_takes_the_meaning_from_the_next_character() -> None:
    assert parse(r"\$(var x)", PLACE) == (Text("$(var x)"),)
    assert parse(r"$(var a\))", PLACE) == (Call("var", ((Text("a)"),),)),)


@pytest.mark.parametrize("text", ["$(", "$()", "$(var", "$(var  x)", "$(var x )", "$(var 'x)", "$(1)", "$(var (x))"])
def test_a_malformed_substitution_is_refused_with_file_and_line(text: str) -> None:
    with pytest.raises(InputError, match=r"some\.launch\.yaml:7"):
        parse(text, PLACE)


def test_only_a_value_without_substitutions_is_plain() -> None:
    assert is_plain(parse("5", PLACE))
    assert not is_plain(parse("$(var five)", PLACE))
