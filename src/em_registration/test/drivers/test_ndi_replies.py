"""Replies against golden vectors; TX and BX say the same thing."""

import math

import pytest

from em_registration.drivers.ndi_codes import ERROR_TEXTS, HandleBits, HandleStatus, PortStatus, SystemStatus, error_text
from em_registration.drivers.ndi_commands import ReplyKind
from em_registration.drivers.ndi_measurements import MalformedReply, parse_bx, parse_tx
from em_registration.drivers.ndi_replies import Caution, Failure, Okay, ResetDone, Text, parse_handle_info, parse_handles, parse_words
from em_registration.drivers.ndi_stream import ReplyStream

KINDS = {"TX": ReplyKind.TX, "BX": ReplyKind.BX}


def taken(entry):
    stream = ReplyStream()
    stream.feed(bytes.fromhex(entry["reply_hex"]))
    return stream.take(KINDS.get(entry["command"][:2], ReplyKind.TEXT)), stream.counters


def named(vectors, name):
    return next(entry for entry in vectors["replies"] if entry["name"] == name)


@pytest.mark.parametrize("name", ["tx_valid_missing_disabled", "bx_valid_missing_disabled", "bx_three_visible"])
def test_golden_measurement_is_read_to_the_last_field(vectors, name):
    entry = named(vectors, name)
    reply, counters = taken(entry)
    expected = entry["expected"]
    assert reply.system_status == int(expected["system_status"], 16)
    assert len(reply.readings) == expected["n_handles"]
    for reading, tool in zip(reply.readings, expected["tools"], strict=True):
        assert reading.handle == int(tool["handle"], 16)
        assert reading.status is HandleStatus[tool["status"].upper()]
        assert reading.frame == tool.get("frame")
        assert reading.port_status == (int(tool["port_status"], 16) if "port_status" in tool else None)
        if tool["status"] == "valid":
            assert reading.q_wxyz == pytest.approx(tool["q_wxyz"])
            assert reading.t_mm == pytest.approx(tool["t_mm"])
            assert reading.error_mm == pytest.approx(tool["error_mm"])
        else:
            assert reading.q_wxyz is None and reading.t_mm is None and math.isnan(reading.error_mm)
        if "flags" in tool:
            assert {flag.name.lower() for flag in PortStatus(reading.port_status)} == set(tool["flags"])
    assert counters.header_crc_mismatches == counters.noise_bytes == counters.failures == 0


def test_tx_and_bx_of_one_frame_give_the_same_readings(vectors):
    tx, _ = taken(named(vectors, "tx_valid_missing_disabled"))
    bx, _ = taken(named(vectors, "bx_valid_missing_disabled"))
    assert [(r.handle, r.status, r.q_wxyz, r.t_mm, r.port_status, r.frame) for r in tx.readings] == [
        (r.handle, r.status, r.q_wxyz, r.t_mm, r.port_status, r.frame) for r in bx.readings
    ]


@pytest.mark.parametrize("name", ["bx_corrupted_body", "tx_corrupted"])
def test_golden_corrupted_reply_is_refused_and_counted(vectors, name):
    reply, counters = taken(named(vectors, name))
    assert reply is None and counters.failures == 1


def test_error_in_place_of_bx_is_understood(vectors):
    reply, _ = taken(named(vectors, "bx_answered_by_ascii_error"))
    assert reply == Failure(0x0D) and str(reply) == "ERROR0D (no tool)"


def test_tables_hold_the_same_as_the_golden_ones(vectors):
    assert {f"{code:02X}": text for code, text in ERROR_TEXTS.items()} == vectors["errors"]
    assert {str(int(status)): status.name.lower() for status in HandleStatus if status is not HandleStatus.UNOCCUPIED} == vectors[
        "handle_status"
    ]
    for flags, table in ((PortStatus, "port_status_bits"), (SystemStatus, "system_status_bits")):
        assert {str(flag.bit_length() - 1): flag.name.lower() for flag in flags} == vectors[table]
    assert {f"0x{flag:02X}": flag.name.lower() for flag in HandleBits} == vectors["phsr_status_bits"]


def test_error_that_is_in_no_table_still_has_a_text():
    assert error_text(0x7F) == "ERROR7F (not in the table)"


@pytest.mark.parametrize(
    ("payload", "reply"),
    [
        (b"OKAY", Okay()),
        (b"RESET", ResetDone()),
        (b"ERROR13", Failure(0x13)),
        (b"WARNING01", Caution("WARNING01")),
        (b"D.001.007", Text("D.001.007")),
    ],
)
def test_words(payload, reply):
    assert parse_words(payload) == reply


def test_phsr_gives_handles_and_bits(vectors):
    reply, _ = taken(named(vectors, "phsr_two_handles"))
    assert [(entry.handle, entry.bits) for entry in parse_handles(reply.text)] == [(10, HandleBits.OCCUPIED), (11, HandleBits.OCCUPIED)]
    assert parse_handles("00") == ()


@pytest.mark.parametrize("text", ["", "0", "020A001", "010A0010B001", "0X", "010a001"])
def test_phsr_that_does_not_fit_its_count_is_malformed(text):
    with pytest.raises(MalformedReply):
        parse_handles(text)


def test_phinf_gives_serial_port_and_channel():
    info = parse_handle_info("0B000000NDI         001" + "3D4F2800" + "31" + "00000000" + "10" + "03" + "01")
    assert (info.main_type, info.serial, info.port, info.channel, info.has_serial) == ("0B", "3D4F2800", 3, 1, True)
    assert not parse_handle_info("UNOCCUPIED").has_serial
    with pytest.raises(MalformedReply):
        parse_handle_info("0B000000NDI")


@pytest.mark.parametrize("word", ["DISABLED", "UNOCCUPIED"])
def test_tx_takes_disabled_with_and_without_status_and_frame(word):
    short = parse_tx(f"010C{word}\n0040".encode())
    long = parse_tx(f"010C{word}0000000100000064\n0040".encode())
    assert short.readings[0].status is long.readings[0].status is HandleStatus[word]
    assert (short.readings[0].frame, long.readings[0].frame) == (None, 100)
    assert short.system_status == 0x40


@pytest.mark.parametrize(
    "payload",
    [b"", b"01", b"010A\n0000", b"010AMISSING\n0000", b"020AMISSING0000003100000064\n0000", b"010AMISSING0000003100000064\n00", b"zz\n"],
)
def test_tx_that_does_not_fit_its_layout_is_malformed(payload):
    with pytest.raises(MalformedReply):
        parse_tx(payload)


def test_every_truncation_of_a_bx_body_is_malformed(vectors):
    body = bytes.fromhex(named(vectors, "bx_three_visible")["reply_hex"])[6:-2]
    for length in range(len(body)):
        with pytest.raises(MalformedReply):
            parse_bx(body[:length])
    with pytest.raises(MalformedReply):
        parse_bx(body + b"\0")


def test_bx_handle_status_outside_the_table_is_malformed(vectors):
    body = bytearray(bytes.fromhex(named(vectors, "bx_three_visible")["reply_hex"])[6:-2])
    for status in (0, 3, 8, 255):
        body[2] = status
        with pytest.raises(MalformedReply):
            parse_bx(bytes(body))
