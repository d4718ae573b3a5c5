"""Ground truth as files: one CSV a frame, one NPZ a curve, and a YAML that says what they are. The same seed gives the same bytes."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lodestone_bench.world.sections import seed_of
from lodestone_bench.world.truth import Curve, Frame, Quantity, truth_of
from lodestone_core import se3
from lodestone_core.errors import InputError
from lodestone_core.yaml_file import dump_yaml

Array = npt.NDArray[np.float64]
_COLUMNS = "world_s,x_mm,y_mm,z_mm,qx,qy,qz,qw"
_THEN = (1980, 1, 1, 0, 0, 0)  # the time of every entry of an archive, which else would hold when it was written


def write_truth(world: Mapping[str, Any], duration_s: float, out: Path, tell: Callable[[str], None] | None = None) -> tuple[Quantity, ...]:
    """Write the first `duration_s` seconds of the world into the new folder `out`. Raises InputError when it exists."""
    quantities = truth_of(world)
    try:
        out.mkdir(parents=True)
    except FileExistsError as error:
        raise InputError(str(out), expected="a new folder", got="one that exists", remedy="give another name with --out") from error
    except OSError as error:
        raise InputError(str(out), expected="a folder that can be made", got=error.strerror, remedy="give another one") from error
    for quantity in quantities:
        times = times_of(quantity, duration_s)
        if isinstance(quantity, Frame):
            (out / f"{quantity.name}.csv").write_text(csv_text(times, quantity.poses(times)), encoding="utf-8")
        else:
            points = np.stack([quantity.points(float(t)) for t in times])
            (out / f"{quantity.name}.npz").write_bytes(npz_bytes({"world_s": times, "points_mm": points}))
        if tell is not None:
            tell(quantity.name)
    (out / "truth.yaml").write_text(dump_yaml(description(world, quantities, duration_s)), encoding="utf-8")
    return quantities


def times_of(quantity: Quantity, duration_s: float) -> Array:
    """World times (N,) of a quantity, at its rate, from zero on."""
    return np.asarray(np.arange(max(1, int(np.ceil(duration_s * quantity.rate_hz - 1e-9)))) / quantity.rate_hz)


def csv_text(times: Array, T: Array) -> str:
    """One line a pose: time, position in mm, quaternion x y z w, all digits."""
    q, t = se3.to_quaternion(np.asarray(T))
    rows = np.column_stack([times, t, q]).tolist()
    return "\n".join([_COLUMNS, *(",".join(map(repr, row)) for row in rows), ""])


def npz_bytes(arrays: Mapping[str, Array]) -> bytes:
    """As np.savez, but the same bytes whenever it is called."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, array in arrays.items():
            content = io.BytesIO()
            np.lib.format.write_array(content, np.ascontiguousarray(array), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", _THEN), content.getvalue())
    return buffer.getvalue()


def description(world: Mapping[str, Any], quantities: Sequence[Quantity], duration_s: float) -> dict[str, Any]:
    """What truth.yaml says: the world, and of each quantity its file, frame, rate and number of samples."""
    entries = {
        each.name: {
            "kind": "curve" if isinstance(each, Curve) else "frame",
            "file": f"{each.name}.{'npz' if isinstance(each, Curve) else 'csv'}",
            "parent": each.parent,
            "rate_hz": each.rate_hz,
            "samples": len(times_of(each, duration_s)),
        }
        for each in quantities
    }
    return {"seed": seed_of(world), "duration_s": duration_s, "world": dict(world), "quantities": entries}
