"""Commands against golden bytes; some of these were captured by others from real hosts."""

import pytest

from em_registration.drivers import ndi_commands as ndi
from em_registration.drivers.ndi_commands import HandleSet, ReplyKind, encode
from lodestone_core.errors import InputError

MADE = {
    "INIT:": ndi.init(),
    "VER:0": ndi.version(),
    "GETINFO:Features.Firmware.Version": ndi.firmware_version(),
    "COMM:50000": ndi.comm(115200),
    "COMM:A0000": ndi.comm(230400),
    "COMM:60001": ndi.comm(921600, handshake=True),
    "COMM:00000": ndi.comm(9600),
    "PHSR:00": ndi.list_handles(HandleSet.ALL),
    "PHSR:01": ndi.list_handles(HandleSet.STALE),
    "PHSR:02": ndi.list_handles(HandleSet.NOT_INITIALISED),
    "PHSR:03": ndi.list_handles(HandleSet.NOT_ENABLED),
    "PHSR:04": ndi.list_handles(HandleSet.ENABLED),
    "PINIT:0A": ndi.init_handle(0x0A),
    "PENA:0AD": ndi.enable_handle(0x0A),
    "PENA:0AS": ndi.enable_handle(0x0A, "S"),
    "PENA:0AB": ndi.enable_handle(0x0A, "B"),
    "PHF:0A": ndi.free_handle(0x0A),
    "PHINF:0A0001": ndi.handle_info(0x0A, 0x0001),
    "PHINF:0A0021": ndi.handle_info(0x0A, 0x0021),
    "TSTART:": ndi.start_tracking(reset_frames=False),
    "TSTART:80": ndi.start_tracking(reset_frames=True),
    "TSTOP:": ndi.stop_tracking(),
    "TX:0001": ndi.measure(ReplyKind.TX, out_of_volume=False),
    "TX:0801": ndi.measure(ReplyKind.TX),
    "BX:0001": ndi.measure(ReplyKind.BX, out_of_volume=False),
    "BX:0801": ndi.measure(ReplyKind.BX),
    "BEEP:2": ndi.beep(2),
    "APIREV:": ndi.api_revision(),
}


def test_every_golden_command_has_a_maker_that_gives_its_bytes(vectors):
    golden = {entry["command"]: bytes.fromhex(entry["wire_hex"]) for entry in vectors["commands"]}
    assert {text: encode(command) for text, command in MADE.items()} == golden


def test_bytes_that_others_captured_on_the_wire():
    assert encode(ndi.init_handle(1)) == b"PINIT:0131EA\r"
    assert encode(ndi.Command("PHRQ", "*********1****")) == b"PHRQ:*********1****A4C1\r"
    assert encode(ndi.write_srom(2, 0x80, bytes(64))) == b"PVWR:020080" + b"0" * 128 + b"5DEA\r"


def test_reset_has_no_crc():
    assert encode(ndi.reset()) == b"RESET 0\r"


def test_handle_is_requested_for_a_wired_aurora_port():
    assert ndi.request_handle(3, 1).text == "PHRQ:********100301"


def test_hexadecimal_is_upper_case():
    assert ndi.write_srom(0xAB, 0x03C0, b"\xcd" * 64).text == "PVWR:AB03C0" + "CD" * 64


@pytest.mark.parametrize(
    "make",
    [lambda: ndi.comm(12345), lambda: ndi.enable_handle(1, "X"), lambda: ndi.write_srom(1, 0, bytes(63))],
)
def test_what_the_device_does_not_know_is_refused(make):
    with pytest.raises(InputError):
        make()
