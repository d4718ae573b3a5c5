"""The list of recordings is complete, agrees with the files where they are, and fetches only what it can check."""

from __future__ import annotations

import functools
import hashlib
import http.server
import os
import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lodestone_cli.recordings.fetch import fetch
from lodestone_cli.recordings.places import data_folder, holdings
from lodestone_cli.recordings.registry import RecordedFile, Recording, recordings, select
from lodestone_core.errors import InputError

CONTENT = b"1 2 3\n"


def test_every_recording_names_source_commit_licence_and_a_sha256_for_each_file() -> None:
    for recording in recordings().values():
        assert re.fullmatch(r"[\w.-]+/[\w.-]+", recording.repository)
        assert re.fullmatch(r"[0-9a-f]{40}", recording.commit)
        assert recording.licence and recording.measured and recording.files
        assert all(re.fullmatch(r"[0-9a-f]{64}", file.sha256) for file in recording.files)


def test_no_two_recordings_claim_the_same_file() -> None:
    paths = [file.path for recording in recordings().values() for file in recording.files]
    assert len(paths) == len(set(paths))


def test_a_path_in_the_repository_is_quoted_in_the_address() -> None:
    file = next(file for file in recordings()["magnet_array"].files if file.path.endswith("data1.mat"))
    address = recordings()["magnet_array"].url(file)
    assert address is not None
    assert address.startswith("https://raw.githubusercontent.com/xpy-zju/Dual-stage-magnetic-localization/d3c08cb")
    assert address.endswith("/Second%20phase/datafile/data1.mat")


def test_an_unknown_recording_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(InputError, match="did you mean 'em_optical'"):
        select(["em_optica"])
    assert [recording.name for recording in select([])] == list(recordings())


@pytest.mark.data
@pytest.mark.parametrize("name", list(recordings()))
def test_the_files_are_what_the_list_says(name: str) -> None:
    folder = data_folder(os.environ)
    held = holdings(recordings()[name], folder)
    if not held.present:
        pytest.skip(f"{name} is not in {folder}")
    assert not held.different
    assert not held.missing


def test_the_data_folder_is_the_variable_else_in_the_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert data_folder({"LODESTONE_DATA": str(tmp_path)}) == tmp_path
    (tmp_path / "src" / "core" / "lodestone_core").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "src")
    assert data_folder({}) == tmp_path / "data"


@pytest.fixture
def recording() -> Recording:
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    files = (RecordedFile("some/a b.txt", sha256, "folder/a b.txt"), RecordedFile("some/made.npz", sha256, None))
    return Recording("some", "something", "owner/name", "c" * 40, "none", files)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """A web server on this machine with the recording's file at its address."""
    path = tmp_path / "www" / "owner" / "name" / ("c" * 40) / "folder" / "a b.txt"
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    handler = functools.partial(_Quiet, directory=str(tmp_path / "www"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as served:
        thread = threading.Thread(target=served.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{served.server_port}"
        served.shutdown()
        thread.join()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def test_fetching_gets_what_is_missing_and_names_what_has_to_be_placed_by_hand(recording: Recording, server: str, tmp_path: Path) -> None:
    done: list[str] = []
    by_hand = fetch(recording, tmp_path / "data", done.append, server)
    assert (tmp_path / "data" / "some" / "a b.txt").read_bytes() == CONTENT
    assert done == ["some/a b.txt"]
    assert [file.path for file in by_hand] == ["some/made.npz"]
    assert fetch(recording, tmp_path / "data", done.append, "http://127.0.0.1:9") == by_hand


def test_a_download_that_is_not_what_the_list_says_is_not_kept(recording: Recording, server: str, tmp_path: Path) -> None:
    wrong = replace(recording, files=(replace(recording.files[0], sha256="0" * 64),))
    with pytest.raises(InputError, match=f"expected SHA-256 {'0' * 64}, got another one"):
        fetch(wrong, tmp_path / "data", lambda path: None, server)
    assert not (tmp_path / "data" / "some" / "a b.txt").exists()


def test_a_refused_network_is_one_clear_sentence(recording: Recording, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(InputError) as raised:
        fetch(recording, tmp_path / "data", lambda path: None, "http://127.0.0.1:9")
    assert "got no connection; allow the network, or place the file at" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_file_that_the_source_no_longer_has_is_told_with_its_status(recording: Recording, server: str, tmp_path: Path) -> None:
    gone = replace(recording, files=(replace(recording.files[0], source="folder/gone.txt"),))
    with pytest.raises(InputError, match="got HTTP status 404"):
        fetch(gone, tmp_path / "data", lambda path: None, server)


def test_a_file_that_differs_is_reported_and_left_alone(recording: Recording, server: str, tmp_path: Path) -> None:
    mine = tmp_path / "data" / "some" / "a b.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    held = holdings(recording, tmp_path / "data")
    assert [file.path for file in held.different] == ["some/a b.txt"]
    assert not held.complete
    fetch(recording, tmp_path / "data", lambda path: None, server)
    assert mine.read_text() == "mine"
