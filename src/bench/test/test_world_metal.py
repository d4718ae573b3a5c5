"""Metal of the scripted world: the physics of em_physics at the stated times, on request, and nothing at all while it is out."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lodestone_bench.em_physics.coils import planar_generator
from lodestone_bench.em_physics.metal import respond
from lodestone_bench.em_physics.tracker import measure
from lodestone_bench.emulators.aurora_emulator import AuroraEmulator
from lodestone_bench.emulators.aurora_setup import Paths, scripted_emulator
from lodestone_bench.emulators.control import send_request
from lodestone_bench.sources.scripted import ScriptedSource
from lodestone_bench.world.config import default_script, script_of
from lodestone_bench.world.metal_config import default_metal
from lodestone_bench.world.scripted import ScriptedWorld
from lodestone_core.errors import InputError

PLATE = {
    "length_mm": 300,
    "width_mm": 300,
    "position_mm": [0, 190, -230],
    "rotation_deg": [90, 0, 0],
    "away_mm": [0, 400, 0],
    "speed_mm_s": 400,
}
NUMBERS = np.arange(1, 201)
TIMES = NUMBERS / 40.0


def world(metal: dict[str, object], noise_mm: float = 0.0) -> ScriptedWorld:
    body = {"wand": {"amplitude_mm": [70, 50, 40], "swing_deg": [35, 25, 50]}}
    tools = {"a": {"body": "wand", "noise_mm": noise_mm}, "b": {"body": "wand", "mount_mm": [0, 0, 40], "noise_mm": noise_mm}}
    return ScriptedWorld(script_of({"bodies": body, "tools": tools, "metal": metal}))


def test_metal_that_is_out_changes_nothing_to_the_last_bit() -> None:
    clean, out = world({}, 0.2), world({"plate": PLATE}, 0.2)
    for name in ("a", "b"):
        one, two = clean.measured_tools(TIMES, NUMBERS)[name], out.measured_tools(TIMES, NUMBERS)[name]
        assert np.array_equal(one.T, two.T) and np.array_equal(one.error_mm, two.error_mm) and one.solved.all()
        assert np.array_equal(clean.measured_tool(name, TIMES, NUMBERS), one.T)
    sources = [ScriptedSource(w) for w in (clean, out)]
    assert all(sources[0].newest("a", n) == sources[1].newest("a", n) for n in range(1, 200))


def test_metal_that_is_in_gives_the_poses_of_the_physics_module() -> None:
    beside = world({"plate": {**PLATE, "starts_in": True}})
    found = beside.measured_tools(TIMES, NUMBERS)["a"]
    T = beside.T_field_tool("a", TIMES)
    plate = beside.script.metal["plate"].bodies(np.zeros(1))
    secondary = respond((plate,), planar_generator()).in_phase_field(T[None, :, :3, 3])[0]
    assert np.abs(found.T - measure(secondary, T).T).max() < 0.01
    off = np.linalg.norm(found.T[:, :3, 3] - T[:, :3, 3], axis=1)
    assert off.max() > 3.0 and found.error_mm.max() > 1.0 > 0.2 <= found.error_mm.min(), "the indicator is never below the tool's own"
    assert np.corrcoef(off, found.error_mm)[0, 1] > 0.6


def test_metal_comes_and_goes_at_the_stated_times() -> None:
    moving, clean = world({"plate": {**PLATE, "in_s": [1.0, 3.0]}}), world({})
    off = np.linalg.norm(moving.measured_tool("a", TIMES, NUMBERS)[:, :3, 3] - clean.measured_tool("a", TIMES, NUMBERS)[:, :3, 3], axis=1)
    assert off[TIMES <= 1.0].max() == 0.0 and off[TIMES >= 4.0].max() == 0.0, "400 mm at 400 mm/s"
    assert np.all(off[(TIMES > 1.0) & (TIMES < 4.0)] > 0.0)
    shares = moving.metal.out(np.array([-1.0, 0.5, 1.0, 1.5, 2.0, 2.9, 3.25, 3.999, 9.0]))[:, 0]
    assert shares == pytest.approx([1.0, 1.0, 1.0, 0.5, 0.0, 0.0, 0.25, 0.999, 1.0])


def test_the_poses_come_in_without_a_jump() -> None:
    moving = world({"plate": {**PLATE, "in_s": [0.5], "away_mm": [0, 800, 0]}})
    error = moving.measured_tool("a", TIMES, NUMBERS)[:, :3, 3] - moving.T_field_tool("a", TIMES)[:, :3, 3]
    assert np.linalg.norm(np.diff(error, axis=0), axis=1).max() < 1.5, "mm a frame, while the plate moves 10 mm a frame"
    assert np.linalg.norm(error[TIMES < 0.7], axis=1).max() < 0.05, "far out it is hardly felt"


def test_a_request_moves_metal_from_then_on_and_leaves_the_frames_before() -> None:
    source = ScriptedSource(world({"plate": PLATE, "other": {**PLATE, "position_mm": [0, -190, -230], "away_mm": [0, -400, 0]}}))
    before = [source.newest("a", n) for n in range(1, 42)]
    source.move_metal("plate", True, 41 / 40.0)
    assert [source.newest("a", n) for n in range(1, 42)] == before
    assert source.metal_out(1.525) == pytest.approx({"plate": 0.5, "other": 1.0}, abs=1e-6)
    source.move_metal("", False, 1.525)
    assert source.metal_out(1.7) == pytest.approx({"plate": 0.675, "other": 1.0}, abs=1e-6)
    with pytest.raises(InputError, match="plate, other"):
        source.move_metal("hammer", True, 2.0)


def test_metal_is_moved_over_the_control_socket(tmp_path: Path, serve: Callable[[AuroraEmulator], AuroraEmulator]) -> None:
    script = replace(default_script(2), metal=default_metal())
    emulator = serve(scripted_emulator(script, Paths(tmp_path / "line", tmp_path / "control")))
    control = tmp_path / "control"
    assert send_request(control, do="state")["metal_out"] == {"detector": 1.0, "c_arm": 1.0}
    emulator.device.measuring.start(emulator.clock(), reset_frames=False)
    assert send_request(control, do="metal_in", body="c_arm") == {"ok": True}
    time.sleep(0.1)
    state = send_request(control, do="state")["metal_out"]
    assert state["c_arm"] < 1.0 == state["detector"]
    assert "detector, c_arm" in send_request(control, do="metal_out", body="hammer")["error"]


def test_a_host_reads_displaced_poses_and_a_raised_indicator(
    tmp_path: Path, serve: Callable[[AuroraEmulator], AuroraEmulator], connect: Callable[..., Any]
) -> None:
    near = {**PLATE, "away_mm": [0, 20, 0], "speed_mm_s": 1000}
    script = script_of({"bodies": {"wand": {"center_mm": [30, 60, -260]}}, "tools": {"a": {"body": "wand"}}, "metal": {"plate": near}})
    serve(scripted_emulator(script, Paths(tmp_path / "line", tmp_path / "control")))
    host = connect(tmp_path / "line")
    host.set_up()
    assert host.ask("TSTART:") == "OKAY"

    def pose() -> tuple[float, ...]:
        time.sleep(0.1)
        return struct.unpack_from("<8f", host.bx(), 6 + 1 + 2)

    still, again = pose(), pose()
    assert still == again and still[4:] == pytest.approx((30.0, 60.0, -260.0, 0.2)), "a tool that does not move, and no noise"
    send_request(tmp_path / "control", do="metal_in")
    displaced = pose()
    assert np.linalg.norm(np.array(displaced[4:7]) - still[4:7]) > 0.5 and displaced[7] > 0.5
    send_request(tmp_path / "control", do="metal_out")
    assert pose() == still


@pytest.mark.parametrize(("metal", "fault", "message"), [({}, {"do": "metal_in"}, "a world with metal"),
    ({"plate": PLATE}, {"do": "metal_in", "body": "hammer"}, "one of plate")])  # fmt: skip
def test_a_schedule_that_asks_for_metal_that_is_not_there_is_refused_at_the_start(
    tmp_path: Path, metal: dict[str, object], fault: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        scripted_emulator(script_of({"metal": metal, "faults": [{"at_s": 1.0, **fault}]}), Paths(tmp_path / "line"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"in_s": [2, 1]}, "rising times"), ({"position_mm": [0, 0, 10]}, "outside the field generator"), ({"shape": "cube"}, "sheet"),
        ({"shape": "rod", "radius_mm": 200}, "half the rod"), ({"shape": "ring", "radius_mm": 5}, "half the ring"),
        ({"wdth_mm": 2}, "width_mm"),
    ],
)  # fmt: skip
def test_metal_that_makes_no_sense_is_refused_with_the_key(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        world({"plate": {**PLATE, **changes}})


def test_eight_tools_beside_moving_metal_stay_cheap() -> None:
    script = replace(default_script(8), metal={name: replace(piece, in_s=(0.0,)) for name, piece in default_metal().items()})
    source = ScriptedSource(ScriptedWorld(script))
    source.newest("sensor_0", 1)
    start_s = time.process_time()
    for number in range(5, 85):
        assert all(source.newest(f"sensor_{i}", number) is not None for i in range(8))
    # 0.7 ms a frame where nothing else runs; the bound is for a busy machine.
    assert (time.process_time() - start_s) / 80 < 4e-3
