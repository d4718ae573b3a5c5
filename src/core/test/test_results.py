"""Results as files: limits, result.json, CSV, report, protocol files."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from rich.console import Console

from lodestone_core import metrics
from lodestone_core.errors import InputError
from lodestone_core.results import (
    Picture,
    Result,
    Row,
    Table,
    conclude,
    load_protocol,
    methods_of,
    pictures,
    resolve_inputs,
    row_of,
    run_protocol,
    show,
)
from lodestone_core.results.provenance import current_commit, sha256_of
from lodestone_core.results.table import number_text, verdict
from lodestone_core.results.thresholds import apply_thresholds, load_thresholds

ROW = Row("rigid", "sensor_0", "tre_rms", 0.7, "mm", 100, (0.6, 0.8))
REGISTRY = {"echo": f"{__name__}:echo", "endless": f"{__name__}:endless"}


def echo(protocol: Mapping[str, Any], inputs: Mapping[str, Path], out: Path, progress: Callable[[float, str], None] | None) -> Result:
    """A protocol whose figure is what its input says."""
    value = float(inputs["value"].read_text())
    picture = pictures.error_distribution(out / "d.png", {"a": np.array([value, 2.0 * value])}, "a <caption>")
    table = Table("samples", "All samples", ("name", "error_mm"), (("a, b", value), ("c", float("inf"))))
    return conclude(protocol, inputs, [Row("m", "c", "tre_rms", value, "mm", 2)], [table], [picture], ["5 < 6"])


def endless(protocol: Mapping[str, Any], inputs: Mapping[str, Path], out: Path, progress: object) -> Result:
    """A protocol whose figure is infinite."""
    return conclude(protocol, inputs, [Row("m", "c", "tre_rms", float("inf"), "mm", 0, (0.0, float("inf")))])


def write_protocol(path: Path, **changes: object) -> Path:
    tree = {
        "protocol": "echo",
        "title": "An <echo>",
        "seed": 3,
        "inputs": {"value": "value.txt"},
        "thresholds": [{"metric": "tre_rms", "max": 1.0, "unit": "mm"}],
    }
    path.write_text(yaml.safe_dump({**tree, **changes}))
    return path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "value.txt").write_text("0.5")
    return folder


@pytest.mark.parametrize(
    ("value", "limit", "at_least", "passed"),
    [
        (0.7, 0.7, False, True),
        (0.71, 0.7, False, False),
        (0.9, 0.85, True, True),
        (0.8, 0.85, True, False),
        (float("nan"), 0.7, False, False),
        (float("inf"), 0.7, True, False),
        (float("-inf"), 0.7, False, False),
    ],
)
def test_a_limit_holds_itself_and_a_figure_that_is_not_finite_misses_it(value: float, limit: float, at_least: bool, passed: bool) -> None:
    row = Row("m", "c", "x", value, "mm", 1).judged(limit, at_least)
    assert row.passed is passed


def test_a_row_without_a_limit_neither_passes_nor_fails() -> None:
    assert ROW.passed is None


def test_a_limit_falls_on_the_rows_it_names_and_on_no_other() -> None:
    rows = [ROW, Row("rigid", "sensor_1", "tre_rms", 0.9, "mm", 100), Row("rigid", "sensor_0", "tre_p95", 3.0, "mm", 100)]
    limits = load_thresholds([{"metric": "tre_rms", "case": "sensor_1", "max": 0.8, "unit": "mm"}], "p")
    assert [row.passed for row in apply_thresholds(rows, limits, "p")] == [None, False, None]
    all_cases = load_thresholds([{"metric": "tre_rms", "max": 0.8, "unit": "mm"}], "p")
    assert [row.passed for row in apply_thresholds(rows, all_cases, "p")] == [True, False, None]


def test_a_limit_for_something_that_was_not_measured_is_missed() -> None:
    limits = load_thresholds([{"metric": "tre_rms", "case": "sensor_7", "max": 0.8, "unit": "mm"}], "p")
    judged = apply_thresholds([ROW], limits, "p")
    assert judged[-1].case == "sensor_7"
    assert judged[-1].passed is False


@pytest.mark.parametrize(
    ("entries", "says"),
    [
        ([{"metric": "tre_rms", "max": 0.8, "unit": "m"}], "the unit 'mm'"),
        ([{"metric": "tre_rms", "unit": "mm"}], "max or min"),
        ([{"metric": "tre_rms", "max": 1.0, "min": 0.0, "unit": "mm"}], "max or min"),
        ([{"metrik": "tre_rms", "max": 1.0}], "did you mean metric"),
        ("tre_rms < 1", "a list of mappings"),
    ],
)
def test_a_limit_that_could_not_be_tested_is_refused(entries: object, says: str) -> None:
    with pytest.raises(InputError, match=says):
        apply_thresholds([ROW], load_thresholds(entries, "p"), "p")


def test_the_row_of_a_metric_drops_an_interval_that_is_not_known() -> None:
    assert row_of(metrics.Metric("tre_rms", 0.7, "mm", 9, (0.6, 0.8)), "m", "c").ci95 == (0.6, 0.8)
    assert row_of(metrics.Metric("tre_rms", 0.7, "mm", 9, (0.6, float("inf"))), "m", "c").ci95 is None


def test_a_run_writes_json_by_the_schema_csv_pictures_and_one_report(tmp_path: Path, data: Path) -> None:
    out, said = tmp_path / "out", []
    result = run_protocol(
        write_protocol(tmp_path / "p.yaml"), data, {}, out, lambda share, what: said.append((share, what)), registry=REGISTRY
    )
    assert result.passed
    assert said[-1][0] == 1.0
    tree = json.loads((out / "result.json").read_text())
    assert list(tree) == ["protocol", "commit", "date", "machine", "seed", "inputs", "rows"]
    assert tree["inputs"] == {"value": hashlib.sha256(b"0.5").hexdigest()}
    assert tree["seed"] == 3
    assert tree["rows"] == [
        {"method": "m", "case": "c", "metric": "tre_rms", "value": 0.5, "unit": "mm", "n": 2, "ci95": None, "threshold": 1.0, "pass": True}
    ]
    assert (out / "samples.csv").read_text() == 'name,error_mm\n"a, b",0.5\nc,inf\n'
    assert sorted(path.name for path in out.iterdir()) == ["d.png", "report.html", "result.json", "samples.csv"]


def test_the_report_stands_alone_says_the_verdict_and_escapes_what_it_shows(tmp_path: Path, data: Path) -> None:
    run_protocol(write_protocol(tmp_path / "p.yaml"), data, {}, tmp_path / "out", registry=REGISTRY)
    page = (tmp_path / "out" / "report.html").read_text()
    assert "The threshold passed: c tre_rms 0.500 mm (&lt;= 1)." in page
    assert "<h1>An &lt;echo&gt;</h1>" in page
    assert "a &lt;caption&gt;" in page
    assert "research use only; not a medical device" in page
    assert "data:image/png;base64," in page
    # Nothing is fetched: no link, no script, no style or picture from elsewhere.
    assert not re.search(r"https?://|<script|<link|src=\"(?!data:)|url\(", page)


def test_two_runs_give_the_same_json_but_for_the_date(tmp_path: Path, data: Path) -> None:
    trees = []
    for name in ("first", "second"):
        run_protocol(write_protocol(tmp_path / "p.yaml"), data, {}, tmp_path / name, registry=REGISTRY)
        tree = json.loads((tmp_path / name / "result.json").read_text())
        del tree["date"]
        trees.append(tree)
    assert trees[0] == trees[1]


def test_a_missed_limit_is_said_and_makes_the_result_fail(tmp_path: Path, data: Path) -> None:
    (data / "value.txt").write_text("2.0")
    result = run_protocol(write_protocol(tmp_path / "p.yaml"), data, {}, tmp_path / "out", registry=REGISTRY)
    assert not result.passed
    assert verdict(result) == "1 of 1 thresholds missed: c tre_rms 2 mm (<= 1)."
    console = Console(record=True, width=80)
    show(result, console)
    assert "MISS" in console.export_text()


def test_a_figure_that_is_not_finite_is_null_in_json(tmp_path: Path, data: Path) -> None:
    path = write_protocol(tmp_path / "p.yaml", protocol="endless")
    run_protocol(path, data, {}, tmp_path / "out", registry=REGISTRY)
    row = json.loads((tmp_path / "out" / "result.json").read_text())["rows"][0]
    assert (row["value"], row["ci95"], row["pass"]) == (None, [0.0, None], False)


def test_an_input_can_be_set_to_another_file_and_a_missing_one_says_how_to_get_it(tmp_path: Path, data: Path) -> None:
    path = write_protocol(tmp_path / "p.yaml")
    other = tmp_path / "other.txt"
    other.write_text("0.25")
    result = run_protocol(path, None, {"value": other}, tmp_path / "out", registry=REGISTRY)
    assert result.rows[0].value == 0.25
    with pytest.raises(InputError, match=r"input value: expected .*value\.txt, got nothing there; .*lodestone data.*LODESTONE_DATA"):
        run_protocol(path, tmp_path / "elsewhere", {}, tmp_path / "out", registry=REGISTRY)
    with pytest.raises(InputError, match=r"no data folder; .*LODESTONE_DATA"):
        run_protocol(path, None, {}, tmp_path / "out", registry=REGISTRY)
    with pytest.raises(InputError, match=r"inputs\.vlaue.*did you mean inputs\.value"):
        run_protocol(path, data, {"vlaue": other}, tmp_path / "out", registry=REGISTRY)


def test_an_optional_input_may_be_absent_unless_it_was_asked_for(tmp_path: Path, data: Path) -> None:
    inputs = {"value": "value.txt", "extra": "extra.txt"}
    protocol = load_protocol(write_protocol(tmp_path / "p.yaml", inputs=inputs, optional=["extra"]))
    assert list(resolve_inputs(protocol, data, {})) == ["value"]
    with pytest.raises(InputError, match="input extra"):
        resolve_inputs(protocol, data, {"extra": tmp_path / "absent.txt"})
    (data / "extra.txt").write_text("")
    assert sorted(resolve_inputs(protocol, data, {})) == ["extra", "value"]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"treshold": []}, "did you mean thresholds"),
        ({"seed": "three"}, "a whole number"),
        ({"inputs": ["value.txt"]}, "a mapping"),
        ({"inputs": {"value": "/data/value.txt"}}, "a relative path"),
        ({"protocol": "ecco"}, "did you mean echo"),
    ],
)
def test_a_malformed_protocol_file_is_refused(tmp_path: Path, data: Path, changes: dict[str, object], says: str) -> None:
    with pytest.raises(InputError, match=says):
        run_protocol(write_protocol(tmp_path / "p.yaml", **changes), data, {}, tmp_path / "out", registry=REGISTRY)


def test_methods_are_those_named_or_all_and_an_unknown_one_is_refused() -> None:
    assert methods_of({"protocol": "p", "methods": []}, ("a", "b")) == ("a", "b")
    assert methods_of({"protocol": "p", "methods": ["b"]}, ("a", "b")) == ("b",)
    with pytest.raises(InputError, match="unknown key"):
        methods_of({"protocol": "p", "methods": ["c"]}, ("a", "b"))


def test_an_output_that_is_no_folder_is_refused(tmp_path: Path, data: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(InputError, match="a folder to write into"):
        run_protocol(write_protocol(tmp_path / "p.yaml"), data, {}, tmp_path / "out", registry=REGISTRY)


def test_the_hash_of_a_folder_changes_with_any_content_or_name(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x").write_text("1")
    first = sha256_of(tmp_path / "a")
    (tmp_path / "a" / "x").rename(tmp_path / "a" / "y")
    renamed = sha256_of(tmp_path / "a")
    (tmp_path / "a" / "y").write_text("2")
    assert len({first, renamed, sha256_of(tmp_path / "a")}) == 3


def test_the_commit_is_a_hash_or_a_version_never_nothing() -> None:
    assert re.fullmatch(r"[0-9a-f]{12}(\+changes)?|version .+", current_commit())


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.71268, "0.713"),
        (12.3456, "12.3"),
        (0.0072690, "0.00727"),
        (422, "422"),
        (-5.8911, "-5.89"),
        (0.0, "0"),
        (3.2e-7, "3.20e-07"),
        (float("inf"), "infinite"),
        (float("nan"), "none"),
    ],
)
def test_numbers_are_shown_to_three_digits(value: float, text: str) -> None:
    assert number_text(value) == text


def test_every_picture_is_drawn_without_a_display(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    error, time_s, points = rng.random(20), np.arange(20.0), rng.normal(size=(20, 3))
    drawn = [
        pictures.error_over_time(tmp_path / "1.png", {"a": (time_s, error), "b": (time_s, error)}, "c"),
        pictures.error_distribution(tmp_path / "2.png", {"a": error, "b": 2.0 * error}, "c"),
        pictures.error_in_space(tmp_path / "3.png", {"a": (points, error)}, "c"),
        pictures.residuals_3d(tmp_path / "4.png", points[:4], points[4:8], "c", "wxyz"),
        pictures.error_by_sample(tmp_path / "5.png", error, error < 0.5, "c"),
        pictures.error_by_case(tmp_path / "6.png", {"em": {"x": 0.1, "y": 1.0}}, "c", 0.01),
        pictures.bars(tmp_path / "7.png", ["x", "y"], {"a": error[:2], "b": error[2:4]}, "c"),
        pictures.track_over_time(tmp_path / "8.png", time_s, points, [(2.0, 5.0)], "c"),
    ]
    assert drawn[0] == Picture("1.png", "c")
    for picture in drawn:
        assert (tmp_path / picture.file).read_bytes().startswith(b"\x89PNG")


def test_the_same_figures_give_the_same_picture(tmp_path: Path) -> None:
    for name in ("1.png", "2.png"):
        pictures.bars(tmp_path / name, ["x"], {"a": np.ones(1)}, "c")
    assert (tmp_path / "1.png").read_bytes() == (tmp_path / "2.png").read_bytes()
