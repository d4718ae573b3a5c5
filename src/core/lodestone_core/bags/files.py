"""Which files make up a bag, and what reads each of them."""

from __future__ import annotations

from pathlib import Path

from lodestone_core.bags.mcap_records import has_footer, is_mcap
from lodestone_core.bags.mcap_scan import ScannedMcap
from lodestone_core.bags.metadata import FILE_NAME
from lodestone_core.bags.storage import RosbagsStorage, Storage
from lodestone_core.errors import InputError
from lodestone_core.yaml_file import read_yaml

_SQLITE_MAGIC = b"SQLite format 3\0"


def bag_files(path: Path) -> list[Path]:
    """The files that hold the messages of a bag, in order; the directory itself where its metadata.yaml is needed.

    MCAP files are found by name and not by metadata.yaml, which a killed recorder leaves behind without topics; unless rosbag2
    compressed files or messages, which only the metadata says.
    """
    try:
        if path.is_file():
            return [path]
        if not path.exists():
            raise unreadable(path, "nothing at that path", "check the path")
        described = (path / FILE_NAME).is_file()
        files = sorted(path.glob("*.mcap"), key=_natural)
        if described and (not files or _compressed_by_rosbag2(path)):
            return [path]
        files = files or sorted(path.glob("*.db3"), key=_natural)
        if not files:
            raise unreadable(path, "a directory without such files")
    except OSError as error:
        raise unreadable(path, error.strerror or error, "check permissions") from error
    return files


def open_storage(bag: Path, file: Path, ignore_index: bool) -> Storage:
    """Open one of `bag_files(bag)`; `ignore_index` as for open_bag. Raises InputError, which names the bag."""
    try:
        if file.is_file() and is_mcap(file):
            return _open_mcap(file, ignore_index)
        if file.is_file() and file.stat().st_size == 0:
            raise unreadable(bag, f"the empty file {file.name}")
        if file.is_dir() or _starts_with(file, _SQLITE_MAGIC):
            return RosbagsStorage(file)
        raise unreadable(bag, f"{file.name}, which is neither MCAP nor sqlite3")
    except OSError as error:
        raise unreadable(bag, error.strerror or error, "check path and permissions") from error
    except InputError:
        raise
    except Exception as error:  # apsw, ruamel and rosbags' parsers: what a damaged file makes them raise is not documented
        raise unreadable(bag, f"{file.name} with {one_line(error)}", _repair(file)) from error


def _repair(file: Path) -> str:
    databases = sorted(file.glob("*.db3")) if file.is_dir() else [file]
    if databases and databases[0].suffix == ".db3":
        return f"repair the database (`sqlite3 {databases[0]} '.recover' | sqlite3 repaired.db3`) and read that"
    return "check that it is a bag and was copied whole"


def _open_mcap(file: Path, ignore_index: bool) -> Storage:
    if ignore_index or not has_footer(file):
        return ScannedMcap(file)
    try:
        return RosbagsStorage(file)
    except Exception:  # an index that does not hold; the records themselves may
        return ScannedMcap(file)


def _starts_with(file: Path, magic: bytes) -> bool:
    with file.open("rb") as stream:
        return stream.read(len(magic)) == magic


def _compressed_by_rosbag2(folder: Path) -> bool:
    try:
        mode = read_yaml(folder / FILE_NAME)["rosbag2_bagfile_information"]["compression_mode"]
    except (InputError, LookupError, TypeError):  # a torn or foreign file: the MCAP files speak for themselves
        return False
    return str(mode).lower() in ("file", "message")


def _natural(path: Path) -> tuple[int, str]:
    """Sorts rosbag2's splits (name_0, name_1 ... name_10) as they were written."""
    number = path.stem.rpartition("_")[2]
    return (int(number) if number.isdecimal() else 0, path.name)


def unreadable(path: Path, got: object, remedy: str = "check that it is a bag and was copied whole") -> InputError:
    """The error for a path that holds no bag that can be read."""
    expected = "a bag (a directory with .mcap or .db3 files, or one such file)"
    return InputError(f"bag {path}", expected=expected, got=got, remedy=remedy)


def one_line(error: Exception) -> str:
    """The text of an exception in one line; its name when it has none."""
    return " ".join(str(error).split()) or type(error).__name__
