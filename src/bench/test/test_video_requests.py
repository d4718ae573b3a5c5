"""Requests to emulated video devices, and the options of their commands: understood, or refused in words."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lodestone_bench.emulators.stereo import main as stereo_main
from lodestone_bench.emulators.video_config import REQUESTS, parse_request
from lodestone_core.errors import InputError


def test_the_command_says_what_is_wrong_with_its_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert stereo_main(["--left", "nowhere"]) == 2
    assert "unix:/path" in capsys.readouterr().err
    assert stereo_main(["--send", "{}"]) == 2
    assert stereo_main(["--control", "/nowhere", "--send", "[1]"]) == 2
    assert "a JSON object" in capsys.readouterr().err


KEYS = st.sampled_from(["camera", "for_s", "count", "ms", "width", "bytes", "of"])
VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.just([1])
NAMES = st.sampled_from([*REQUESTS, "", "explode", 7, None])


@settings(max_examples=200, deadline=None)
@given(NAMES, st.dictionaries(KEYS, VALUES, max_size=3))
def test_any_request_is_understood_or_refused_in_words(name: object, fields: dict[str, Any]) -> None:
    try:
        asked = parse_request({"do": name, **fields}, ("left", "right"))
    except InputError:
        return
    assert asked.name == name and asked.camera in ("", "left", "right")
