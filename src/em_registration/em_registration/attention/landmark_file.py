"""Landmarks of one's own for the paper's experiment, from a CSV file."""

from __future__ import annotations

import csv
from pathlib import Path

from em_registration.attention.config import LandmarkConfig
from lodestone_core.errors import InputError

COLUMNS = ("name", "tracker_x_mm", "tracker_y_mm", "tracker_z_mm", "image_x_mm", "image_y_mm", "image_z_mm")


def read_landmarks(path: Path) -> LandmarkConfig:
    """Landmarks of a file with the columns of COLUMNS, one a line. Raises InputError for another header or what is no number."""
    with path.open(newline="", encoding="utf-8") as stream:
        reader = csv.DictReader(stream)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            got = ",".join(reader.fieldnames or ()) or "nothing"
            raise InputError(f"{path}, line 1", expected=",".join(COLUMNS), got=got, remedy="give the columns these names, in this order")
        rows = list(reader)
    names, numbers = [], []
    for line, row in enumerate(rows, start=2):
        try:
            numbers.append([float(row[column]) for column in COLUMNS[1:]])
        except (TypeError, ValueError) as error:
            remedy = "write millimetres with a decimal point"
            raise InputError(f"{path}, line {line}", expected="six numbers", got=str(error), remedy=remedy) from error
        names.append(row["name"])
    return LandmarkConfig(tuple(names), tuple(x for row in numbers for x in row[:3]), tuple(x for row in numbers for x in row[3:]))
