"""The trace: everything that passed the line, and the same frames out of it again."""

import pytest

from em_registration.drivers.config import AuroraConfig
from em_registration.drivers.replay import replay
from em_registration.drivers.session import Session
from lodestone_core.device.trace import TraceWriter, read_trace, traced
from lodestone_core.errors import InputError


@pytest.fixture
def recorded(rig, tmp_path):
    """Runs a session with a trace; gives the frames, the trace's path and the device."""

    def record(disturb=lambda device, step: None, steps=250, max_mb=100.0, **options):
        r = rig(**options)
        path = tmp_path / "aurora.trace"
        writer = TraceWriter(path, r.device, max_mb)
        session = Session(r.config, traced(r.device.connect, writer), r.device, lambda: False)
        frames = []
        for step in range(steps):
            disturb(r.device, step)
            frames += session.step()
        writer.close()
        return frames, path, r.device

    return record


def told(frames):
    """What frames say, comparable."""
    return [
        (f.stamp_ns, f.received_ns, f.frame_number, f.frames_skipped, f.repeats_dropped, [(t.name, t.status) for t in f.tools])
        for f in frames
    ]


def test_replay_gives_the_same_frames_to_the_nanosecond(recorded):
    frames, path, _ = recorded()
    assert len(frames) > 30
    assert told(replay(path, AuroraConfig())) == told(frames)


def test_replay_goes_through_faults_and_recovery_as_it_was(recorded):
    def disturb(device, step):
        if step == 60:
            device.script("BX:0801", device.bx()[:20], b"\x00\x01")
        if step in (90, 96):
            device.present = step == 96
        if step in (150, 153):
            device.silent = step == 150

    frames, path, device = recorded(disturb, steps=500)
    again = list(replay(path, AuroraConfig()))
    assert told(again) == told(frames)
    assert device.log.count("TSTART:80") >= 2


def test_trace_holds_both_directions_with_rising_times(recorded):
    _, path, device = recorded(steps=60)
    trace = read_trace(path)
    sent = [record for record in trace.records if record.mark == ">"]
    assert sent[0].data == b"APIREV:443E\r"
    assert len(sent) == len([text for text in device.log if text not in ("BREAK", "CLOSE")])
    times = [record.time_ns for record in trace.records]
    assert times == sorted(times)
    assert trace.wall_minus_steady_ns == 1_700_000_000_000_000_000


def test_replay_with_other_parameters_says_where_it_differs(recorded):
    _, path, _ = recorded()
    with pytest.raises(InputError, match=r"COMM:A0000.*parameters"):
        list(replay(path, AuroraConfig(baud=115200)))


def test_full_trace_moves_aside_and_begins_anew(recorded):
    _, path, _ = recorded(steps=3000, max_mb=0.1)
    aside = path.with_name("aurora.trace.1")
    assert aside.stat().st_size == pytest.approx(100_000, rel=0.02)
    assert path.stat().st_size < 100_500
    assert read_trace(path).records[0].time_ns >= read_trace(aside).records[-1].time_ns


@pytest.mark.parametrize("text", ["", "something else\n", "# lodestone device trace 1\n# wall_minus_steady_ns 0\nnonsense\n"])
def test_file_that_is_no_trace_is_refused(tmp_path, text):
    path = tmp_path / "x"
    path.write_text(text)
    with pytest.raises(InputError):
        list(replay(path, AuroraConfig()))


def test_trace_that_cannot_be_written_is_refused_at_once(tmp_path, rig):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="trace_file"):
        TraceWriter(tmp_path / "file" / "aurora.trace", rig().device, 1.0)
