"""Ports: until none are left, one bad tool beside good ones, names that stay."""

import pytest

from em_registration.drivers.config import AuroraConfig
from em_registration.drivers.ports import discover
from em_registration.drivers.tools import Names
from lodestone_core.device.faults import Cause, DriverFault


def found(linked, *tools, prepare=lambda device: None, names=None, **options):
    device, link = linked(*tools)
    prepare(device)
    config = AuroraConfig(**options)
    return discover(link, config, names or Names(config)), device


def test_every_tool_is_initialised_enabled_and_named_in_port_order(linked, tool):
    tools = [tool(0x0C, "AAAAAAA1", port=3), tool(0x0A, "AAAAAAA2", port=1), tool(0x0B, "AAAAAAA3", port=2)]
    result, device = found(linked, *tools)
    assert [(t.name, t.handle, t.port, t.serial) for t in result.tools] == [
        ("0", 0x0A, 1, "AAAAAAA2"),
        ("1", 0x0B, 2, "AAAAAAA3"),
        ("2", 0x0C, 3, "AAAAAAA1"),
    ]
    assert all(t.initialised and t.enabled for t in device.tools)
    assert result.notes == ()


def test_both_coils_of_a_dual_tool_are_found_though_the_second_shows_up_late(linked, tool):
    coils = tool(0x0A, "AAAAAAA1"), tool(0x0B, "AAAAAAA1", channel=1, hidden_until_enabled=0x0A)
    result, _ = found(linked, *coils)
    assert [(t.name, t.channel, t.degrees_of_freedom) for t in result.tools] == [("0", 0, 5), ("1", 1, 5)]


def test_degrees_of_freedom_of_a_single_tool_are_not_known_unless_configured(linked, tool):
    result, _ = found(linked, tool(0x0A, "AAAAAAA1"), tool(0x0B, "AAAAAAA2", port=2), degrees_of_freedom=("AAAAAAA2=6",))
    assert [t.degrees_of_freedom for t in result.tools] == [0, 6]


def test_names_are_configured_by_serial_and_channel(linked, tool):
    coils = tool(0x0A, "AAAAAAA1"), tool(0x0B, "AAAAAAA1", channel=1), tool(0x0C, "AAAAAAA2", port=2)
    result, _ = found(linked, *coils, tool_names=("aaaaaaa1=tip", "AAAAAAA1:1=tail"))
    assert [t.name for t in result.tools] == ["tip", "tail", "0"]


def test_one_bad_tool_does_not_stop_the_others(linked, tool):
    bad = tool(0x0A, pinit_replies=["ERROR13"] * 9)
    result, device = found(linked, bad, tool(0x0B, "AAAAAAA2", port=2))
    assert [t.handle for t in result.tools] == [0x0B]
    assert any("0A" in note and "rom_files" in note for note in result.notes)
    assert device.log.count("PINIT:0A") == 1


def test_tool_that_never_answers_is_left_out_while_the_device_answers_else(linked, tool):
    def deaf_to_one(device):
        device.hook = lambda text: setattr(device, "silent", text == "PINIT:0A")

    result, _ = found(linked, tool(0x0A), tool(0x0B, "AAAAAAA2", port=2), prepare=deaf_to_one)
    assert [t.handle for t in result.tools] == [0x0B]


def test_dead_device_is_not_taken_for_a_bad_tool(linked, tool):
    def dies(device):
        device.hook = lambda text: setattr(device, "silent", device.silent or text.startswith("PINIT"))

    with pytest.raises(DriverFault) as caught:
        found(linked, tool(0x0A), prepare=dies)
    assert caught.value.cause is Cause.SILENT


def test_warning_of_a_tool_is_noted_and_the_tool_is_used(linked, tool):
    result, _ = found(linked, tool(0x0A, pinit_replies=["WARNING02"]))
    assert len(result.tools) == 1 and "WARNING02" in result.notes[0]


def test_stale_handles_are_freed_first(linked, tool):
    result, device = found(linked, tool(0x0A), prepare=lambda d: d.script("PHSR:01", "0105001"))
    assert device.log.index("PHF:05") < device.log.index("PINIT:0A")
    # This device does not know PHF; the tools do not mind.
    assert len(result.tools) == 1 and "cannot free port handle 05" in result.notes[0]


def test_serial_number_of_zeros_is_asked_again_after_another_initialisation(linked, tool):
    result, device = found(linked, tool(0x0A, "AAAAAAA1", zero_serials=1))
    assert (result.tools[0].serial, result.notes) == ("AAAAAAA1", ())
    assert device.log.count("PINIT:0A") == 2 and device.tools[0].enabled


def test_tool_that_never_gives_a_serial_number_is_named_by_its_port(linked, tool):
    result, _ = found(linked, tool(0x0A, "AAAAAAA1", port=4, zero_serials=99))
    assert (result.tools[0].serial, result.tools[0].name) == ("", "0")
    assert "port 4" in result.notes[0]


def test_name_stays_with_the_tool_that_moves_to_another_port(linked, tool):
    names = Names(AuroraConfig())
    found(linked, tool(0x0A, "AAAAAAA1", port=1), tool(0x0B, "AAAAAAA2", port=2), names=names)
    result, _ = found(linked, tool(0x0C, "AAAAAAA2", port=1), tool(0x0D, "AAAAAAA3", port=2), names=names)
    assert [(t.serial, t.name) for t in result.tools] == [("AAAAAAA2", "1"), ("AAAAAAA3", "2")]


def test_handles_that_cannot_be_read_are_a_fault_of_the_device(linked, tool):
    with pytest.raises(DriverFault) as caught:
        found(linked, tool(0x0A), prepare=lambda d: d.script("PHSR:02", "020A001"))
    assert caught.value.cause is Cause.MALFORMED
