"""The state machine of the emulated device, without a line: commands in, replies out, at times that the test names."""

from __future__ import annotations

import struct

import pytest

from lodestone_bench.emulators.aurora_config import DeviceConfig, PlugConfig, plug_in
from lodestone_bench.emulators.aurora_device import AuroraDevice, Mode
from lodestone_bench.emulators.aurora_setup import device_of
from lodestone_bench.emulators.crc16 import with_crc
from lodestone_bench.sources.scripted import ScriptedSource
from lodestone_bench.world.config import BodyConfig, Script, ToolConfig, WorldConfig
from lodestone_bench.world.scripted import ScriptedWorld
from lodestone_core.errors import InputError

RATE_HZ = 40.0


def make(*plugs: PlugConfig, config: DeviceConfig | None = None, **tool: object) -> AuroraDevice:
    """A device at 40 Hz with the plugs as tools t0, t1 ...; `tool` holds further options of all of them."""
    tools = {f"t{i}": ToolConfig(plug=plug, **tool) for i, plug in enumerate(plugs or (PlugConfig(),))}  # type: ignore[arg-type]
    script = Script(WorldConfig(rate_hz=RATE_HZ), {"wand": BodyConfig(amplitude_mm=(50.0, 40.0, 30.0))}, tools)
    return device_of(ScriptedSource(ScriptedWorld(script)), {name: t.plug for name, t in tools.items()}, config)


def ask(device: AuroraDevice, text: str, now_s: float = 0.0) -> str:
    """Reply text of a command in its CRC form, for ASCII replies."""
    reply = device.execute(with_crc(text.encode())[:-1], now_s)
    device.sent(reply)
    return reply.payload[:-5].decode()


def track(device: AuroraDevice, now_s: float = 0.0, start: str = "TSTART:80") -> None:
    """From power-up to tracking with all tools."""
    ask(device, "INIT:")
    while (found := ask(device, "PHSR:02"))[:2] != "00":
        for i in range(2, len(found), 5):
            assert ask(device, f"PINIT:{found[i : i + 2]}") == "OKAY"
    for i in range(2, len(waiting := ask(device, "PHSR:03")), 5):
        assert ask(device, f"PENA:{waiting[i : i + 2]}D") == "OKAY"
    assert ask(device, start, now_s) == "OKAY"


def frame_of(device: AuroraDevice, now_s: float, line: int = 0) -> tuple[str, int]:
    """What TX says of one handle: the word or the transform before the status, and the frame number."""
    text = ask(device, "TX:0801", now_s)[2:].split("\n")[line]
    return text[2:-16], int(text[-8:], 16)


def test_commands_are_taken_with_a_crc_and_in_plain_form() -> None:
    device = make()
    assert device.execute(b"INIT:E3A5", 0.0).payload == b"OKAYA896\r"
    assert device.execute(b"PHSR 02", 0.0).payload == with_crc(b"010A001")
    assert device.execute(b"RESET ", 0.0).payload == device.execute(b"RESET 0", 0.0).payload == b"RESETBE6F\r"


@pytest.mark.parametrize(
    ("line", "error"),
    [(b"INIT:E3A6", "04"), (b"INIT:", "03"), (b"NONSENSE:", "03"), (b"NONSENSE 1", "01"), (b"\xff\x00", "01"), (b"", "01")],
)
def test_a_line_that_is_no_command_is_refused_with_its_reason(line: bytes, error: str) -> None:
    assert make().execute(line, 0.0).payload == with_crc(f"ERROR{error}".encode())


@pytest.mark.parametrize(("command", "error"), [("PHSR:00", "10"), ("TSTART:80", "10"), ("PINIT:0A", "10"), ("TX:0801", "0C")])
def test_before_init_ports_and_measuring_are_refused(command: str, error: str) -> None:
    assert ask(make(), command) == f"ERROR{error}"


@pytest.mark.parametrize("command", ["INIT:", "COMM:A0000", "PHSR:00", "PINIT:0A", "PENA:0AD", "PHINF:0A0001", "TSTART:80"])
def test_while_tracking_set_up_is_refused(command: str) -> None:
    device = make()
    track(device)
    assert ask(device, command) == "ERROR0C"


@pytest.mark.parametrize(
    ("command", "error"),
    [
        ("PINIT:0B", "2B"), ("PENA:0AD", "0E"), ("PENA:0AX", "09"), ("PINIT:GG", "08"), ("PHSR:07", "23"), ("COMM:90000", "06"),
        ("COMM:A1000", "06"), ("COMM:A00", "07"), ("VER:3", "23"), ("TSTOP:", "0C"), ("PHINF:0A0002", "23"), ("BEEP:0", "23"),
        ("TSTART:01", "23"), ("PVWR:0A000000", "07"), ("PHRQ:*********1****", "33"), ("PHRQ:**********07**", "0D"),
    ],
)  # fmt: skip
def test_wrong_arguments_and_states_have_their_error_codes(command: str, error: str) -> None:
    device = make()
    ask(device, "INIT:")
    assert ask(device, command) == f"ERROR{error}"
    assert device.errors == {error: 1}


def test_identity_is_told_and_an_old_device_does_not_know_getinfo() -> None:
    assert "Freeze Tag: AURORA" in ask(make(), "VER:0")
    assert ask(make(), "GETINFO:Features.Firmware.Version").startswith("Features.Firmware.Version=AURORA")
    assert ask(make(config=DeviceConfig(getinfo=False)), "GETINFO:Features.Firmware.Version") == "ERROR01"
    assert ask(make(), "BEEP:2") == "1"


def test_comm_is_answered_at_the_old_rate_and_holds_from_the_last_byte_on() -> None:
    device = make()
    reply = device.execute(with_crc(b"COMM:A0000")[:-1], 0.0)
    assert (reply.baud, device.baud) == (9600, 9600)
    device.sent(reply)
    assert device.baud == 230400
    assert ask(device, "INIT:") == "OKAY" and device.baud == 230400
    assert device.reset(0.0).payload == b"RESETBE6F\r" and device.baud == 9600


def test_phsr_tells_who_wants_initialising_and_enabling() -> None:
    device = make(PlugConfig(), PlugConfig())
    ask(device, "INIT:")
    assert ask(device, "PHSR:00") == ask(device, "PHSR:02") == "020A0010B001"
    ask(device, "PINIT:0A")
    assert (ask(device, "PHSR:02"), ask(device, "PHSR:03")) == ("010B001", "010A011")
    ask(device, "PENA:0AD")
    assert (ask(device, "PHSR:03"), ask(device, "PHSR:04")) == ("00", "010A031")
    ask(device, "PDIS:0A")
    assert ask(device, "PHSR:03") == "010A011"
    assert ask(device, "PHF:0A") == "OKAY" and ask(device, "PHSR:00") == "010B001"
    assert ask(device, "PHRQ:**********01**") == "0C"


def test_phinf_has_the_field_widths_of_each_option() -> None:
    device = make(PlugConfig(port=5, serial="3B00C0DE", part_number="610029"))
    ask(device, "INIT:")
    basic = ask(device, "PHINF:0A0001")
    assert len(basic) == 33 and basic == ask(device, "PHINF:0A") and basic[23:31] == "3B00C0DE" and basic[31:] == "01"
    assert ask(device, "PHINF:0A0004") == f"{'610029':20}"
    assert ask(device, "PHINF:0A0020") == "00000000100500"
    assert ask(device, "PHINF:0A0025") == basic + f"{'610029':20}" + "00000000100500"


def test_the_second_channel_of_a_dual_tool_appears_only_after_the_first_is_initialised() -> None:
    device = make(PlugConfig(degrees_of_freedom=5), PlugConfig(degrees_of_freedom=5, channel=1), PlugConfig())
    ask(device, "INIT:")
    assert ask(device, "PHSR:02") == "020A0010B001"
    ask(device, "PINIT:0A")
    assert ask(device, "PHSR:02") == "020B0010C001"
    first, second = ask(device, "PHINF:0A0021"), ask(device, "PHINF:0C0021")
    assert first[23:31] == second[23:31], "both channels have the tool's serial number"
    assert (first[-4:], second[-4:]) == ("0100", "0101")


def test_a_tool_without_srom_is_refused_until_one_is_written_without_holes() -> None:
    device = make(PlugConfig(needs_rom=True), PlugConfig())
    ask(device, "INIT:")
    rom = bytes(range(256)) * 3
    assert ask(device, "PINIT:0A") == "ERROR13" and ask(device, "PINIT:0B") == "OKAY"
    for address in range(0, len(rom), 64):
        if address != 128:
            assert ask(device, f"PVWR:0A{address:04X}{rom[address : address + 64].hex().upper()}") == "OKAY"
    assert ask(device, "PINIT:0A") == "ERROR13", "one chunk is missing"
    ask(device, f"PVWR:0A0080{rom[128:192].hex()}")
    assert ask(device, "PINIT:0A") == "OKAY"
    assert device.ports.get(0x0A).rom_image() == rom
    assert ask(device, "PVWR:0A0801" + "00" * 64) == ask(device, "PVWR:0A0001" + "00" * 64) == "ERROR23"


def test_frames_count_from_one_after_tstart_80_and_go_on_without_it() -> None:
    device = make(config=DeviceConfig(first_frame=5000))
    track(device, 10.0, start="TSTART:")
    assert frame_of(device, 10.01) == ("MISSING", 5000), "nothing was measured yet"
    assert frame_of(device, 10.03)[1] == 5001
    ask(device, "TSTOP:", 11.0)
    ask(device, "TSTART:", 12.0)
    assert frame_of(device, 12.01) == ("MISSING", 5080), "what was measured while it did not track is not reported"
    assert frame_of(device, 12.03)[1] == 5000 + 81, "the counter went on while the device did not report"
    ask(device, "TSTOP:", 13.0)
    ask(device, "TSTART:80", 14.0)
    assert frame_of(device, 14.01) == ("MISSING", 0)
    assert frame_of(device, 14.03)[1] == 1
    assert frame_of(device, 15.0)[1] == 40


def test_the_frame_counter_wraps_at_32_bits() -> None:
    device = make()
    track(device)
    device.measuring.set_frame(1.0, 2**32 - 1)
    assert [frame_of(device, t)[1] for t in (1.0, 1.03, 1.06)] == [2**32 - 1, 0, 1]


def test_a_repeated_poll_repeats_frame_and_pose() -> None:
    device = make(noise_mm=0.2)
    track(device)
    assert frame_of(device, 1.001) == frame_of(device, 1.02) != frame_of(device, 1.03)


def test_tx_and_bx_tell_the_same() -> None:
    device = make(noise_mm=0.2)
    track(device)
    text = frame_of(device, 1.0)[0]
    body = device.execute(with_crc(b"BX:0801")[:-1], 1.0).payload[7:]
    handle, state, *values, status, frame = struct.unpack_from("<BB8fII", body)
    assert (handle, state, status, frame) == (0x0A, 1, 0x31, 40)
    shown = [float(text[6 * i : 6 * i + 6]) / 1e4 for i in range(4)] + [float(text[24 + 7 * i : 31 + 7 * i]) / 1e2 for i in range(3)]
    assert values[:4] == pytest.approx(shown[:4], abs=0.51e-4)
    assert values[4:7] == pytest.approx(shown[4:], abs=0.51e-2)


def test_out_of_volume_is_missing_unless_option_0800_asks_for_it() -> None:
    device = make(out_of_volume_s=(1.0, 2.0), partial_s=(3.0, 4.0), missing_s=(5.0, 6.0))
    track(device)
    asked, unasked = ask(device, "TX:0801", 1.5), ask(device, "TX:0001", 1.5)
    assert asked[4] == "+" and asked.endswith("000000710000003C\n0000")
    assert unasked == "010AMISSING000000710000003C\n0000"
    assert ask(device, "TX:0001", 3.5).endswith("000000B10000008C\n0000"), "partially outside is reported all the same"
    assert ask(device, "TX:0801", 5.5) == "010AMISSING00000031000000DC\n0000"


def test_a_tool_that_leaves_goes_stale_and_comes_back_under_a_new_handle() -> None:
    device = make(PlugConfig(), PlugConfig())
    track(device)
    device.ports.pull_out("t0")
    assert ask(device, "TX:0801", 1.0)[:14] == "020AUNOCCUPIED" and ask(device, "TX:0801", 1.0)[-4:] == "0080"
    assert device.execute(with_crc(b"BX:0801")[:-1], 1.0).payload[7:9] == b"\x0a\x04"
    device.ports.put_in("t0")
    assert ask(device, "TX:0801", 1.0)[-4:] == "00C0"
    ask(device, "TSTOP:", 1.1)
    assert (ask(device, "PHSR:01"), ask(device, "PHSR:02")) == ("010A000", "010C001")
    assert ask(device, "PHINF:0A0001") == "UNOCCUPIED" and ask(device, "PINIT:0A") == "ERROR2C"
    assert ask(device, "PHF:0A") == "OKAY" and ask(device, "PHF:0A") == "ERROR2B"


def test_a_device_that_boots_refuses_everything_for_a_while() -> None:
    device = make(config=DeviceConfig(boot_s=2.0))
    device.power_on(0.0)
    assert (ask(device, "INIT:", 1.9), ask(device, "INIT:", 2.1)) == ("ERROR0C", "OKAY")
    assert device.mode is Mode.SETUP


def test_twelve_ports_hold_twelve_tools_and_not_one_more() -> None:
    assert [tool.port for tool in plug_in({f"t{i}": PlugConfig() for i in range(12)})] == list(range(1, 13))
    with pytest.raises(InputError, match="at most 12 ports"):
        plug_in({f"t{i}": PlugConfig() for i in range(13)})
    with pytest.raises(InputError, match="one tool"):
        plug_in({"a": PlugConfig(port=3), "b": PlugConfig(port=3)})
    with pytest.raises(InputError, match="channel 0 of its port"):
        plug_in({"a": PlugConfig(port=3, channel=1)})


def test_a_poor_fit_on_request_changes_the_error_indicator_of_one_tool_and_no_pose() -> None:
    device = make(PlugConfig(), PlugConfig(), noise_mm=0.2)
    track(device)
    before = [frame_of(device, 1.0, line)[0] for line in (0, 1)]
    condition = device.ports.conditions["t0"]
    condition.error_mm, condition.error_until_s = 5.0, 1.01
    during = [frame_of(device, 1.0, line)[0] for line in (0, 1)]
    assert during[1] == before[1] and during[0][:-6] == before[0][:-6]
    assert (before[0][-6:], during[0][-6:]) == ("+02000", "+50000")
    assert frame_of(device, 1.02)[0] == before[0], "it lasts as long as it was asked for"
