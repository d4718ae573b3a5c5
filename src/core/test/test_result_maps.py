"""Pictures over a grid of cases are drawn, also where a value is missing."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lodestone_core.results.maps import curves, heat_maps

PNG = b"\x89PNG"


def test_maps_and_curves_are_written_with_their_captions(tmp_path: Path) -> None:
    values = {"low noise": np.array([[0.5, 1.0], [0.7, np.nan]]), "high noise": np.ones((2, 2))}
    one = heat_maps(tmp_path / "maps.png", ["4", "6"], ["0 mm", "1 mm"], values, "ratios")
    two = curves(tmp_path / "curves.png", np.array([4.0, 60.0]), {"rigid": np.array([1.0, np.nan])}, "errors", ("landmarks", "mm"))
    for picture, caption in ((one, "ratios"), (two, "errors")):
        assert picture.caption == caption and (tmp_path / picture.file).read_bytes().startswith(PNG)
