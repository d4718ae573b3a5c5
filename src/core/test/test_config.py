"""Configurations: one declaration, read by YAML, ROS parameters and docs; bad input gives one sentence."""

from __future__ import annotations

import array
from dataclasses import FrozenInstanceError, dataclass
from enum import Enum, IntEnum
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from lodestone_core.config import (
    REQUIRED,
    load_config,
    load_flat,
    markdown_table,
    option,
    options,
    parse_config,
    section,
    to_flat,
    to_mapping,
)
from lodestone_core.errors import InputError
from lodestone_core.yaml_file import dump_yaml, parse_yaml


class Mode(Enum):
    FAST = "fast"
    SAFE = "safe"


class Level(IntEnum):
    LOW = 1
    HIGH = 2


@dataclass(frozen=True, slots=True)
class Pivot:
    max_residual_mm: float = option(1.0, unit="mm", doc="samples further off are outliers", minimum=0.0, maximum=10.0)
    iterations: int = option(20, doc="most iterations", minimum=1)


@dataclass(frozen=True, slots=True)
class Rig:
    port: str = option("/dev/ttyUSB0", doc="serial port")
    tip_mm: tuple[float, float, float] = option((0.0, 0.0, 10.0), unit="mm", doc="tip in the tool's frame")
    tools: tuple[str, ...] = option((), doc="names of the tools")
    handles: list[int] = option([10, 11], doc="port handles", minimum=1, maximum=255)
    mode: Mode = option(Mode.SAFE, doc="how careful to be")
    level: Level = option(Level.LOW, doc="an enum without texts")
    reply: Literal["BX", "TX"] = option("BX", doc="kind of reply")
    baud: int = option(115200, unit="Bd", doc="speed of the line", choices=(9600, 115200))
    limit_s: float | None = option(None, unit="s", doc="time limit; none when null", minimum=0.0)
    model: Path = option(Path("model.yaml"), doc="registration to load")
    loop: bool = option(False, doc="play again at the end")
    pivot: Pivot = section(Pivot)
    strict_pivot: Pivot = section(Pivot, max_residual_mm=0.5)


@dataclass(frozen=True, slots=True)
class NeedsSerial:
    serial: str = option(REQUIRED, doc="serial number of the tool")


@dataclass(frozen=True, slots=True)
class Outer:
    tool: NeedsSerial = section(NeedsSerial)


def test_nothing_given_means_all_defaults() -> None:
    assert load_config(Rig) == load_config(Rig, {}) == Rig()


def test_given_values_replace_defaults_and_the_rest_stays() -> None:
    rig = load_config(Rig, {"port": "/dev/ttyS1", "pivot": {"iterations": 5}, "strict_pivot": {"iterations": 7}})
    assert rig.port == "/dev/ttyS1"
    assert rig.pivot == Pivot(iterations=5)
    assert rig.strict_pivot == Pivot(max_residual_mm=0.5, iterations=7), "a section keeps its own defaults"


def test_values_come_back_in_the_declared_types() -> None:
    values = {"tip_mm": [1, 2, 3], "tools": ["a"], "mode": "fast", "level": "high", "model": "m.yaml", "limit_s": 2}
    rig = load_config(Rig, values)
    assert rig.tip_mm == (1.0, 2.0, 3.0) and all(isinstance(x, float) for x in rig.tip_mm)
    assert rig.tools == ("a",)
    assert rig.mode is Mode.FAST and rig.level is Level.HIGH
    assert rig.model == Path("m.yaml")
    assert rig.limit_s == 2.0 and isinstance(rig.limit_s, float)
    assert load_config(Rig, {"limit_s": None}).limit_s is None


def test_arrays_as_ros_and_numpy_hand_them_out_are_accepted() -> None:
    assert load_config(Rig, {"tip_mm": array.array("d", [1, 2, 3])}).tip_mm == (1.0, 2.0, 3.0)
    assert load_config(Rig, {"baud": np.int64(9600)}).baud == 9600
    assert type(load_config(Rig, {"baud": np.int64(9600)}).baud) is int


def test_an_empty_list_is_an_empty_sequence() -> None:
    assert load_config(Rig, {"tools": [], "handles": []}).tools == ()
    assert load_config(Rig, {"handles": []}).handles == []


@pytest.mark.parametrize(
    ("values", "parts"),
    [
        ({"prot": "x"}, ["unknown key", "prot", "did you mean port?"]),
        ({"pivot": {"max_residul_mm": 1}}, ["pivot.max_residul_mm", "did you mean pivot.max_residual_mm?"]),
        ({"pivot": {"zzz": 1}}, ["pivot.zzz", "max_residual_mm, iterations", "remove it"]),
        ({"pivot": 3}, ["pivot", "a mapping", "3 (a whole number)"]),
        ({"pivot": {"max_residual_mm": -1}}, ["pivot.max_residual_mm", "a number in mm between 0 and 10", "-1"]),
        ({"pivot": {"max_residual_mm": "1 mm"}}, ["a number in mm", "1 mm (a text)", "default (1.0)"]),
        ({"pivot": {"max_residual_mm": True}}, ["a number in mm", "true (a boolean)"]),
        ({"pivot": {"max_residual_mm": float("nan")}}, ["a number in mm", "nan"]),
        ({"pivot": {"max_residual_mm": None}}, ["a number in mm", "got null"]),
        ({"pivot": {"iterations": 2.5}}, ["a whole number of at least 1", "2.5 (a number)"]),
        ({"tip_mm": [1.0, 2.0]}, ["a list of 3 numbers in mm", "[1.0, 2.0] (a list)"]),
        ({"tip_mm": "123"}, ["a list of 3 numbers"]),
        ({"tip_mm": [1.0, "a", 2.0]}, ["a list of 3 numbers"]),
        ({"handles": [0]}, ["a list of whole numbers, each between 1 and 255"]),
        ({"tools": "probe"}, ["tools", "a list of texts", "probe (a text)"]),
        ({"mode": "fats"}, ["a text one of fast, safe", "did you mean fast?"]),
        ({"level": 2}, ["one of low, high"]),
        ({"reply": "BB"}, ["one of BX, TX"]),
        ({"baud": 1200}, ["one of 9600, 115200"]),
        ({"port": 5}, ["a text", 'put it in quotes: "5"']),
        ({"loop": "yes"}, ["true or false", "yes (a text)"]),
        ({"limit_s": -2.0}, ["of at least 0 or null"]),
        ([1], ["a mapping", "[1] (a list)"]),
    ],
)
def test_what_does_not_fit_is_refused_with_key_expected_got_and_remedy(values: object, parts: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        load_config(Rig, values, where="rig.yaml")  # type: ignore[arg-type]
    text = str(caught.value)
    assert text.startswith("rig.yaml") and "\n" not in text
    for part in parts:
        assert part in text


def test_a_required_value_is_asked_for_by_name_also_inside_a_section() -> None:
    with pytest.raises(InputError, match=r"tool\.serial: expected a text, got nothing; give it \(serial number"):
        load_config(Outer, {})
    assert load_config(Outer, {"tool": {"serial": "34"}}).tool.serial == "34"
    assert next(options(Outer)).default is REQUIRED


def test_a_configuration_comes_back_from_its_mapping_its_flat_form_and_yaml() -> None:
    rig = Rig(tools=("a", "b"), mode=Mode.FAST, limit_s=0.5, pivot=Pivot(max_residual_mm=1e-3))
    assert load_config(Rig, to_mapping(rig)) == rig
    assert load_flat(Rig, to_flat(rig)) == rig
    assert parse_config(Rig, dump_yaml(to_mapping(rig))) == rig


def test_flat_names_are_those_of_the_options() -> None:
    assert list(to_flat(Rig())) == [leaf.name for leaf in options(Rig)]
    with pytest.raises(InputError, match="not both"):
        load_flat(Rig, {"pivot": 1, "pivot.iterations": 2})


def test_options_tell_a_ros_node_all_that_it_must_declare() -> None:
    found = {leaf.name: leaf for leaf in options(Rig)}
    residual = found["pivot.max_residual_mm"]
    assert (residual.type, residual.default, residual.unit) == (float, 1.0, "mm")
    assert (residual.minimum, residual.maximum) == (0.0, 10.0)
    assert residual.doc == "samples further off are outliers"
    assert found["strict_pivot.max_residual_mm"].default == 0.5
    assert (found["tip_mm"].type, found["tip_mm"].sequence, found["tip_mm"].length) == (float, True, 3)
    assert found["tools"].default == [] and found["tools"].type is str
    assert found["mode"].choices == ("fast", "safe") and found["mode"].default == "safe"
    assert found["level"].default == "low"
    assert found["baud"].choices == (9600, 115200)
    assert found["limit_s"].nullable and found["limit_s"].default is None and found["limit_s"].type is float
    assert found["model"].type is str and found["model"].default == "model.yaml"


def test_the_docs_table_has_one_line_per_option() -> None:
    table = markdown_table(Rig).splitlines()
    assert len(table) == 2 + len(list(options(Rig)))
    row = "| `pivot.max_residual_mm` | float | `1.0` | mm | between 0 and 10 | samples further off are outliers |"
    assert row in table
    assert any("`tools` | str[] | `[]`" in line for line in table)


def test_a_configuration_is_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        Rig().port = "x"  # type: ignore[misc]


def test_an_option_without_a_line_of_doc_is_refused() -> None:
    with pytest.raises(TypeError, match="doc"):
        option(1.0, unit="mm")


def test_a_yaml_file_is_read_plain_or_as_a_ros_parameter_file(tmp_path: Path) -> None:
    plain, ros = tmp_path / "plain.yaml", tmp_path / "ros.yaml"
    plain.write_text("pivot:\n  max_residual_mm: 1e-3\n  iterations: 4\n")
    ros.write_text("/**:\n  ros__parameters:\n    pivot:\n      max_residual_mm: 1e-3\n      iterations: 4\n")
    assert load_config(Rig, plain) == load_config(Rig, str(ros)) == Rig(pivot=Pivot(1e-3, 4))
    plain.write_text("# only a comment\n")
    assert load_config(Rig, plain) == Rig()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("port: a\npivot: [1, 2\nloop: true\n", 3),
        ("a: 1\n\tb: 2\n", 2),
        ('port: "a\n', 2),
        ("a: 1\na: 2\n", 2),
        ("a: b: c\n", 1),
    ],
)
def test_malformed_yaml_gives_one_sentence_with_the_line(tmp_path: Path, text: str, line: int) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        load_config(Rig, path)
    assert f"broken.yaml, line {line}, column " in str(caught.value)
    assert ": expected well-formed YAML, got " in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.yaml: expected a readable YAML file, got No such file"):
        load_config(Rig, tmp_path / "nowhere.yaml")
    with pytest.raises(InputError, match="Is a directory"):
        load_config(Rig, tmp_path)
    (tmp_path / "latin.yaml").write_bytes(b"port: \xe4\n")
    with pytest.raises(InputError, match="UTF-8, got byte 0xe4 at offset 6"):
        load_config(Rig, tmp_path / "latin.yaml")


def test_an_exponent_without_a_dot_is_a_number_and_a_merge_key_still_works() -> None:
    assert parse_yaml("[1e-3, -2E5, 1.5e+3, .5e1, e5, 1_0]", "text") == [1e-3, -2e5, 1500.0, 5.0, "e5", 10]
    merged = parse_yaml("base: &b {x: 1}\na:\n  <<: *b\n  y: 2\n", "text")
    assert merged["a"] == {"x": 1, "y": 2}


def test_yaml_cannot_make_objects() -> None:
    with pytest.raises(InputError, match="line 1"):
        parse_yaml("a: !!python/object/apply:os.getcwd []", "text")
