"""What the demo plays: the real recordings where they are, else a pair made from the scripted world."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from em_registration.paired_poses import Provenance, register_streams
from em_registration.recordings import read_em_streams, read_reference_stream
from em_registration.registration import Registration
from lodestone_bench.world.config import default_script
from lodestone_bench.world.export import write_recordings
from lodestone_bench.world.scripted import ScriptedWorld
from lodestone_cli.recordings.places import data_folder
from lodestone_core.results.provenance import sha256_of
from lodestone_core.time import s_from_ns
from lodestone_core.version import package_version

SCRIPTED_S, TOOLS = 60.0, 2
CALIBRATION_SEED, PLAYED_SEED = 1, 2


@dataclass(frozen=True, slots=True)
class DemoInputs:
    """Two recordings of one tool under both trackers: one to register with, another to play."""

    calibration_em: Path
    calibration_optical: Path
    played_em: Path
    played_optical: Path
    real: bool

    @property
    def duration_s(self) -> float:
        """Length of the recording that is played."""
        streams = read_em_streams(self.played_em).values()
        return s_from_ns(int(max(s.stamps_ns[-1] for s in streams) - min(s.stamps_ns[0] for s in streams)))


def find_inputs(environment: Mapping[str, str], out: Path) -> DemoInputs:
    """The recordings of em_optical, or the scripted world's, written into `out`, where those are missing."""
    folder = data_folder(environment) / "em_optical"
    if all(path.is_file() for path in _files(folder)):
        return DemoInputs(*_files(folder), real=True)
    return scripted_inputs(out)


def scripted_inputs(out: Path) -> DemoInputs:
    """The scripted world's recordings, written into `out`."""
    scripted = out / "scripted"
    scripted.mkdir(parents=True, exist_ok=True)
    files = _files(scripted)
    write_recordings(ScriptedWorld(default_script(TOOLS, seed=CALIBRATION_SEED)), SCRIPTED_S, files[0], files[1])
    write_recordings(ScriptedWorld(default_script(TOOLS, seed=PLAYED_SEED)), SCRIPTED_S, files[2], files[3])
    return DemoInputs(*files, real=False)


def _files(folder: Path) -> tuple[Path, Path, Path, Path]:
    em, optical = [[folder / f"{kind}Trackingcont_{number}.txt" for number in (1, 2)] for kind in ("EM", "Optical")]
    return em[0], optical[0], em[1], optical[1]


def register(inputs: DemoInputs) -> Registration:
    """The registration, from the calibration pair alone."""
    files = (inputs.calibration_em, inputs.calibration_optical)
    provenance = Provenance(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        version=package_version("em_registration"),
        inputs={path.name: sha256_of(path) for path in files},
    )
    return register_streams(read_em_streams(files[0]), read_reference_stream(files[1]), provenance)
