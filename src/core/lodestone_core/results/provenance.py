"""Where a result comes from: commit, date, machine, seed and the hashes of its inputs."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from lodestone_core.version import package_version

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Provenance:
    """`inputs` maps the name of each input to its SHA-256; `commit` ends in "+changes" where the checkout had some."""

    commit: str
    date: str
    machine: str
    seed: int
    inputs: Mapping[str, str]


def collect_provenance(seed: int, inputs: Mapping[str, Path]) -> Provenance:
    """The provenance of a run that starts now."""
    return Provenance(
        commit=current_commit(),
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        machine=describe_machine(),
        seed=seed,
        inputs={name: sha256_of(path) for name, path in sorted(inputs.items())},
    )


def sha256_of(path: Path) -> str:
    """SHA-256 of a file; of a folder, that of the lines `<sha256>  <relative path>` of its files in the order of paths."""
    digest = hashlib.sha256()
    if path.is_dir():
        for file in sorted(file for file in path.rglob("*") if file.is_file()):
            digest.update(f"{sha256_of(file)}  {file.relative_to(path).as_posix()}\n".encode())
        return digest.hexdigest()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def current_commit() -> str:
    """Commit of the checkout that this code lies in; of an installation without one, the version of lodestone_core."""
    head = _git("rev-parse", "--short=12", "HEAD")
    if head is None:
        return f"version {package_version('lodestone_core')}"
    return head + ("+changes" if _git("status", "--porcelain") else "")


def describe_machine() -> str:
    """Operating system, processor, cores and Python; no name of a host or a person."""
    return f"{platform.system()} {platform.machine()}, {_processor()}, {os.cpu_count()} cores, Python {platform.python_version()}"


def _git(*arguments: str) -> str | None:
    """Output of a git command in this checkout; None where there is no git, no checkout or no commit."""
    command = ["git", "-C", str(Path(__file__).parent), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10.0, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or "unknown processor"
