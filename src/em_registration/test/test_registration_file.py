"""A registration's file: to the last bit there and back, and a clear refusal of everything else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from em_registration.registration import Registration, ToolCalibration, load_registration, parse_registration
from em_registration.types import Fiducial
from lodestone_core import se3
from lodestone_core.errors import InputError


def registration() -> Registration:
    rng = np.random.default_rng(1)
    root = rng.normal(size=(6, 6))
    return Registration(
        method="fiducials",
        T_tracker_image=se3.exp(rng.normal(size=6)),
        covariance=root @ root.T,
        fre_mm=0.1 + 0.2,
        n=6,
        created="2026-01-01T00:00:00+00:00",
        version="0.1.0",
        tools={"needle": ToolCalibration(se3.exp(rng.normal(size=6)), root @ root.T / 7, 1 / 3, 60, -0.0123456789)},
        fiducials=(Fiducial("nose", (1.0, 2.0, 3.0), (0.1, 0.2, 0.3), "needle", 0.05, 40, 0.2), Fiducial("ear", (4.0, 5.0, 6.0))),
        inputs={"a.txt": "00ff"},
    )


def test_numbers_come_back_to_the_last_bit() -> None:
    before = registration()
    after = parse_registration(before.to_yaml())
    np.testing.assert_array_equal(after.T_tracker_image, before.T_tracker_image)
    np.testing.assert_array_equal(after.covariance, before.covariance)
    np.testing.assert_array_equal(after.tools["needle"].T_tool_reference, before.tools["needle"].T_tool_reference)
    assert after.to_yaml() == before.to_yaml()
    assert after.sha256 == before.sha256


def test_saving_replaces_the_file_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "registration.yaml"
    registration().save(path)
    registration().save(path)
    assert [file.name for file in path.parent.iterdir()] == ["registration.yaml"]
    assert load_registration(path).method == "fiducials"


@pytest.mark.parametrize(
    ("old", "new", "names"),
    [
        ("lodestone/em_registration/2", "lodestone/em_registration/9", "format"),
        ("method:", "methud:", "method"),
        ("fre_mm: 0.3", "fre_mm: much", "fre_mm"),
        ("translation_mm: [", "translation_mm: [nan, ", "translation_mm"),
        ("  rotation:", "  rotated:", "rotation"),
        ("created", ": : :", "line"),
    ],
)
def test_a_damaged_file_is_refused_by_key(old: str, new: str, names: str) -> None:
    text = registration().to_yaml()
    assert old in text
    with pytest.raises(InputError, match=names):
        parse_registration(text.replace(old, new, 1))


def test_a_scaled_rotation_is_refused() -> None:
    before = registration()
    text = before.to_yaml().replace(repr(float(before.T_tracker_image[0, 0])), "0.5", 1)
    with pytest.raises(InputError, match="T_tracker_image"):
        parse_registration(text)


def test_a_missing_or_binary_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nothing\.yaml"):
        load_registration(tmp_path / "nothing.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(InputError, match=r"binary\.yaml"):
        load_registration(tmp_path / "binary.yaml")
