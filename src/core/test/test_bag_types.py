"""Message definitions are found without ROS: from the source tree, and from the share folder of a prefix."""

from __future__ import annotations

from pathlib import Path

import pytest
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from lodestone_core.bags import typestore
from lodestone_core.bags.typestore import MessageTypes, definition_folders
from lodestone_core.errors import InputError


@pytest.fixture
def no_ros(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("AMENT_PREFIX_PATH", raising=False)
    monkeypatch.setattr(typestore.sys, "prefix", str(tmp_path))
    # The copy under test may be an installed one, which has no source tree around it.
    monkeypatch.setattr(typestore, "_SOURCE_FOLDER", Path(__file__).resolve().parents[2] / "msgs" / "msg")


@pytest.mark.usefixtures("no_ros")
def test_our_messages_are_known_from_the_source_tree_without_ros() -> None:
    types = MessageTypes()
    names = {path.stem for path in definition_folders("lodestone_msgs")[0].glob("*.msg")}
    assert {"TrackedTools", "RegistrationEstimate", "Event", "Config"} <= names
    assert {f"lodestone_msgs/msg/{name}" for name in names} <= set(types.store.fielddefs)


def test_a_prefix_comes_before_the_source_tree(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for package, name, text in (("lodestone_msgs", "Event", "int8 kind\n"), ("bench_msgs", "Pair", "bench_msgs/One a\nOne[2] b\n")):
        folder = tmp_path / "share" / package / "msg"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.msg").write_text(text)
    (tmp_path / "share" / "bench_msgs" / "msg" / "One.msg").write_text("float64 x 1.5 # m\ngeometry_msgs/Point p")
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    types = MessageTypes()
    assert types.definition("lodestone_msgs/msg/Event") == "int8 kind\n"
    text = types.definition("bench_msgs/msg/Pair")
    assert "MSG: bench_msgs/One\nfloat64 x 1.5 # m\n" in text and "MSG: geometry_msgs/Point\n" in text


def test_a_definition_holds_all_that_is_needed_to_read_the_message() -> None:
    types = MessageTypes()
    for name in ("lodestone_msgs/msg/RegistrationStatus", "tf2_msgs/msg/TFMessage", "diagnostic_msgs/msg/DiagnosticArray"):
        alone = get_typestore(Stores.EMPTY)
        alone.register(get_types_from_msg(types.definition(name), name))
        assert alone.hash_rihs01(name) == types.type_hash(name)


def test_a_broken_definition_and_an_unknown_type_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = tmp_path / "share" / "bench_msgs" / "msg"
    folder.mkdir(parents=True)
    (folder / "Bad.msg").write_text("float64[ x\n")
    (folder / "Deep.msg").write_text("other_msgs/Gone gone\n")
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    types = MessageTypes()
    with pytest.raises(InputError, match=r"Bad\.msg: expected a message definition"):
        types.require("bench_msgs/msg/Bad")
    with pytest.raises(InputError, match=r"other_msgs/msg/Gone: expected its definition in share/other_msgs/msg of a ROS prefix, got none"):
        types.definition("bench_msgs/msg/Deep")
    assert not types.knows("nowhere_msgs/msg/X") and types.knows("std_msgs/msg/Header")
