"""The scripted world of the demo's act with metal."""

from __future__ import annotations

from pathlib import Path

from lodestone_bench.world.metal_config import default_metal
from lodestone_cli.demo.inputs import PLAYED_SEED
from lodestone_core.config import to_mapping
from lodestone_core.yaml_file import dump_yaml

METAL_ACT_S, METAL_IN_S, METAL_OUT_S = 90.0, 40.0, 60.0
"""The watch has learnt the clean field by then, and sees it again afterwards."""


def write_metal_script(path: Path) -> Path:
    """The default world, with its metal on the way in and out at these times; the path that was written."""
    metal = {name: {**to_mapping(piece), "in_s": [METAL_IN_S, METAL_OUT_S]} for name, piece in default_metal().items()}
    path.write_text(dump_yaml({"duration_s": METAL_ACT_S, "seed": PLAYED_SEED, "metal": metal}), encoding="utf-8")
    return path
