"""SROM images: sixteen chunks of 64 bytes, 1024 in all, to the right port."""

import pytest

from em_registration.drivers.config import AuroraConfig
from em_registration.drivers.ports import discover
from em_registration.drivers.srom import read_rom
from em_registration.drivers.tools import Names
from lodestone_core.errors import InputError

IMAGE = bytes((7 * i + i // 256) % 256 for i in range(752))


@pytest.fixture
def rom(tmp_path):
    path = tmp_path / "tool.rom"
    path.write_bytes(IMAGE)
    return path


def find(linked, config, *tools):
    device, link = linked(*tools)
    return discover(link, config, Names(config)), device


def test_tool_without_srom_gets_its_image_in_64_byte_chunks_and_is_initialised(linked, tool, rom):
    tools = tool(0x0A, "AAAAAAA1", port=1), tool(0x0B, "AAAAAAA2", port=2, pinit_replies=["ERROR13", "OKAY"])
    result, device = find(linked, AuroraConfig(rom_files=(f"2={rom}",)), *tools)
    writes = [text for text in device.log if text.startswith("PVWR")]
    assert len(writes) == 16 and all(len(text) == len("PVWR:0B0000") + 128 for text in writes)
    assert device.rom == {0x0B: IMAGE + bytes(1024 - len(IMAGE))}
    assert [t.handle for t in result.tools] == [0x0A, 0x0B]
    assert result.notes == ()


def test_port_without_any_handle_is_asked_for_one(linked, tool, rom):
    device, link = linked(tool(0x0A, "AAAAAAA1"))
    new = tool(0x0C, "AAAAAAA3", port=3)

    def appear(text):
        if text == "PHRQ:********100300":
            device.tools.append(new)

    device.hook = appear
    device.script("PHRQ:********100300", "0C")
    config = AuroraConfig(rom_files=(f"3={rom}",))
    result = discover(link, config, Names(config))
    assert len(device.rom[0x0C]) == 1024
    assert [t.port for t in result.tools] == [1, 3]


def test_missing_file_is_said_and_the_other_tools_go_on(linked, tool, tmp_path):
    tools = tool(0x0A, "AAAAAAA1"), tool(0x0B, "AAAAAAA2", port=2, pinit_replies=["ERROR13"] * 4)
    result, _ = find(linked, AuroraConfig(rom_files=(f"2={tmp_path / 'none.rom'}",)), *tools)
    assert [t.handle for t in result.tools] == [0x0A]
    assert any("none.rom" in note and "No such file" in note for note in result.notes)


def test_chunk_that_the_device_refuses_leaves_that_tool_out(linked, tool, rom):
    device, link = linked(tool(0x0A, pinit_replies=["ERROR13"] * 4))
    device._on_pvwr = lambda arguments: "ERROR1F"
    config = AuroraConfig(rom_files=(f"1={rom}",))
    result = discover(link, config, Names(config))
    assert result.tools == () and any("SROM write" in note for note in result.notes)


@pytest.mark.parametrize("size", [0, 1025])
def test_file_of_an_impossible_size_is_refused(tmp_path, size):
    path = tmp_path / "bad.rom"
    path.write_bytes(bytes(size))
    with pytest.raises(InputError, match="1 to 1024 bytes"):
        read_rom(path)
