"""Protocols: a YAML file names inputs, methods, seed and limits; a function of an algorithm package does the work.

The function is `run(protocol, inputs, out, progress) -> Result`; which one belongs to a protocol stands in a registry
(`{"em_optical": "em_registration.protocols.em_optical:run"}`) that the caller passes in, since the core knows no algorithm.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

from lodestone_core.config import load_config
from lodestone_core.config_value import unknown_key
from lodestone_core.errors import InputError
from lodestone_core.results.provenance import collect_provenance
from lodestone_core.results.result import Picture, Result, Row, Table
from lodestone_core.results.thresholds import apply_thresholds, load_thresholds
from lodestone_core.results.write import make_folder, write_result
from lodestone_core.yaml_file import read_yaml

Progress = Callable[[float, str], None]
Run = Callable[[Mapping[str, Any], Mapping[str, Path], Path, Progress | None], Result]
C = TypeVar("C")

_KEYS = ("protocol", "title", "seed", "inputs", "optional", "methods", "settings", "thresholds")
_HOW_TO_GET = (
    "`lodestone data` lists where it comes from and fetches it; set LODESTONE_DATA (or --data) to the folder that holds "
    "it, or point --set inputs.{name}=PATH at your own"
)


def load_protocol(path: Path) -> dict[str, Any]:
    """A protocol file with every key present. Raises InputError for an unknown, missing or malformed one."""
    tree = read_yaml(path)
    if not isinstance(tree, dict):
        raise InputError(str(path), expected="a mapping with keys " + ", ".join(_KEYS), got=repr(tree), remedy="mend it")
    for key in tree:
        if key not in _KEYS:
            raise unknown_key(str(key), _KEYS, "", str(path))
    protocol = {"title": "", "seed": 0, "optional": [], "methods": [], "settings": {}, "thresholds": [], **tree}
    _check(path, protocol, "protocol", str)
    _check(path, protocol, "title", str)
    _check(path, protocol, "seed", int)
    _check(path, protocol, "inputs", dict)
    _check(path, protocol, "optional", list)
    _check(path, protocol, "methods", list)
    for name, place in protocol["inputs"].items():
        if not isinstance(place, str) or Path(place).is_absolute():
            remedy = "give it relative to the data folder"
            raise InputError(f"{path}: inputs.{name}", expected="a relative path", got=repr(place), remedy=remedy)
    load_thresholds(protocol["thresholds"], str(path))
    return protocol


def resolve_inputs(protocol: Mapping[str, Any], data: Path | None, overrides: Mapping[str, Path]) -> dict[str, Path]:
    """The path of each input: the override, else its place in the data folder; an optional one may be absent there.

    Raises InputError for a missing input or an override of none.
    """
    names = list(protocol["inputs"])
    for name in overrides:
        if name not in names:
            raise unknown_key(name, names, "inputs.", f"protocol {protocol['protocol']}")
    found = {}
    for name in names:
        place = protocol["inputs"][name]
        optional = name in protocol["optional"] and name not in overrides
        if not (optional and (data is None or not (data / place).exists())):
            found[name] = _resolve(name, place, data, overrides.get(name))
    return found


def run_protocol(
    path: Path,
    data: Path | None,
    overrides: Mapping[str, Path],
    out: Path,
    progress: Progress | None = None,
    *,
    registry: Mapping[str, str],
) -> Result:
    """Run the protocol file `path`, write its result into `out` and return it. Raises InputError for bad input."""
    protocol = load_protocol(path)
    run = _find_run(path, protocol["protocol"], registry)
    inputs = resolve_inputs(protocol, data, overrides)
    make_folder(out)
    result = run(protocol, inputs, out, progress)
    write_result(result, out)
    tell(progress, 1.0, "result written")
    return result


def settings_of(protocol: Mapping[str, Any], cls: type[C]) -> C:
    """The protocol's `settings` as a configuration of that class. Raises InputError."""
    return load_config(cls, protocol["settings"], f"protocol {protocol['protocol']}: settings")


def methods_of(protocol: Mapping[str, Any], known: Sequence[str]) -> tuple[str, ...]:
    """The protocol's `methods`, all known ones where it names none. Raises InputError for one that is not known."""
    for method in protocol["methods"]:
        if method not in known:
            raise unknown_key(str(method), known, "", f"protocol {protocol['protocol']}: methods")
    return tuple(protocol["methods"]) or tuple(known)


def conclude(
    protocol: Mapping[str, Any],
    inputs: Mapping[str, Path],
    rows: Sequence[Row],
    tables: Sequence[Table] = (),
    pictures: Sequence[Picture] = (),
    notes: Sequence[str] = (),
) -> Result:
    """The result of a run: its rows under the protocol's limits, with its provenance."""
    where = f"protocol {protocol['protocol']}"
    judged = apply_thresholds(rows, load_thresholds(protocol["thresholds"], where), where)
    provenance = collect_provenance(protocol["seed"], inputs)
    title = protocol["title"] or protocol["protocol"]
    return Result(protocol["protocol"], title, provenance, judged, tuple(tables), tuple(pictures), tuple(notes))


def tell(progress: Progress | None, share: float, what: str) -> None:
    """Say how far a run is (0 to 1) and what it just did, to whoever listens."""
    if progress is not None:
        progress(share, what)


def _check(path: Path, protocol: Mapping[str, Any], key: str, kind: type) -> None:
    value = protocol.get(key)
    if not isinstance(value, kind) or isinstance(value, bool):
        names = {str: "a text", int: "a whole number", dict: "a mapping", list: "a list"}
        raise InputError(f"{path}: {key}", expected=names[kind], got=repr(value), remedy="correct that key")


def _resolve(name: str, place: str, data: Path | None, override: Path | None) -> Path:
    if override is None and data is None:
        raise InputError(f"input {name}", expected=place, got="no data folder", remedy=_HOW_TO_GET.format(name=name))
    path = override if override is not None else cast(Path, data) / place
    if not path.exists():
        remedy = "check that path" if override is not None else _HOW_TO_GET.format(name=name)
        raise InputError(f"input {name}", expected=str(path), got="nothing there", remedy=remedy)
    return path


def _find_run(path: Path, name: str, registry: Mapping[str, str]) -> Run:
    if name not in registry:
        raise unknown_key(name, list(registry), "", f"{path}: protocol")
    module, _, function = registry[name].partition(":")
    return cast(Run, getattr(importlib.import_module(module), function))
