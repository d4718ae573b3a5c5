"""Protocol em_internal on a handful of scenes: its figures are those of its scores, and the same again with the same seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lodestone_cli.protocols import em_internal
from lodestone_cli.protocols.internal_config import EmInternalConfig
from lodestone_cli.protocols.internal_figures import harm_mm

SETTINGS = {"scenes": 10, "free_scenes": 2, "chunk": 10, "workers": 1, "distortion_mm": [0.0, 2.0], "noise_mm": [0.3], "landmarks": [6, 24]}
PROTOCOL = {"protocol": "em_internal", "title": "", "seed": 3, "methods": ["pose_field", "affine"], "settings": SETTINGS, "thresholds": []}
CONFIG = EmInternalConfig()


def test_a_small_run_is_whole_and_shows_what_a_field_is_worth(tmp_path: Path) -> None:
    result = em_internal.run(PROTOCOL, {}, tmp_path)
    cells = next(table for table in result.tables if table.name == "cells")
    assert len(cells.rows) == 2 * 2 * 3, "rigid joins what is asked for"
    assert {row[0] for row in next(table for table in result.tables if table.name == "any_orientation").rows} == {6, 24}
    found = {(row.case, row.metric): row.value for row in result.rows if row.method == "pose_field"}
    assert found["24 landmarks, noise 0.3 mm, distortion >= 2 mm", "tre_over_rigid"] < 0.85
    assert 0.8 < found["all cells", "coverage_95_overall"] <= 1.0
    assert [picture for picture in result.pictures if not (tmp_path / picture.file).is_file()] == []


def test_harm_is_the_bound_of_the_paired_difference_less_the_allowance() -> None:
    rng = np.random.default_rng(0)
    rigid = rng.uniform(1.0, 3.0, (500, 16)).astype(np.float32)
    assert harm_mm(rigid, rigid, CONFIG, 1) == pytest.approx(-0.02 * rigid.mean(), rel=0.02)
    assert harm_mm((rigid * 1.1).astype(np.float32), rigid, CONFIG, 1) == pytest.approx(0.08 * rigid.mean(), rel=0.05)
    small = (0.1 * rigid).astype(np.float32)
    assert harm_mm(small, small, CONFIG, 1) == pytest.approx(-0.03, abs=1e-6), "of small errors 0.03 mm are allowed"
