"""`lodestone demo`: register, start the bench, record, evaluate the recording."""

from __future__ import annotations

import os
import random
import shutil
import time
from pathlib import Path

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from lodestone_cli.checkout import find_checkout
from lodestone_cli.commands import evaluate
from lodestone_cli.console import DISCLAIMER, console
from lodestone_cli.demo.inputs import find_inputs, register, scripted_inputs
from lodestone_cli.demo.metal import METAL_ACT_S, METAL_IN_S, METAL_OUT_S, write_metal_script
from lodestone_cli.demo.processes import running, watch
from lodestone_core.errors import InputError

START_UP_S = 20.0
"""Time that the processes may take on top of the recording's length."""


def run(out: Path) -> int:
    """Run the demo; 1 when its evaluation misses a limit."""
    protocols, out = _prepared(out)
    say = console().print
    inputs = find_inputs(os.environ, out)
    if not inputs.real:
        say("The recordings are not on this machine (see `lodestone data`): the demo plays a scripted world instead.")
    registration = register(inputs)
    registration.save(out / "registration.yaml")
    say(f"registered on {inputs.calibration_em.name}: residual {registration.fre_mm:.2f} mm RMS over {registration.n} poses")
    say(f"playing {inputs.played_em.name}: emulated Aurora -> driver -> registration -> frame authority, each in its process")
    play([f"em_recording:={inputs.played_em}", f"optical_recording:={inputs.played_optical}"], inputs.duration_s, out)
    say("evaluating the recorded bag")
    missed = evaluate.run(protocols / "em_bag.yaml", None, [f"inputs.bag={out / 'bag'}"], out)
    say(f"look at {os.path.relpath(out / 'report.html')}; the same figures from the bag alone:")
    say(f"  lodestone evaluate evaluation/protocols/em_bag.yaml --set inputs.bag={os.path.relpath(out / 'bag')} --out out/again")
    return missed


def run_with_metal(out: Path) -> int:
    """The act with metal: a scripted world into whose field metal moves and out again; 1 when its evaluation misses a limit."""
    protocols, out = _prepared(out)
    say = console().print
    registration = register(scripted_inputs(out))
    registration.save(out / "registration.yaml")
    say(f"registered in a clean field: residual {registration.fre_mm:.2f} mm RMS")
    script = write_metal_script(out / "metal.yaml")
    say(f"playing {METAL_ACT_S:.0f} s: an X-ray detector and a C-arm come in at {METAL_IN_S:.0f} s and go at {METAL_OUT_S:.0f} s")
    play([f"script:={script}"], METAL_ACT_S, out)
    say("evaluating the recorded bag")
    missed = evaluate.run(protocols / "em_metal.yaml", None, [f"inputs.bag={out / 'bag'}"], out)
    say(f"look at {os.path.relpath(out / 'metal.png')} and {os.path.relpath(out / 'report.html')}")
    return missed


def _prepared(out: Path) -> tuple[Path, Path]:
    """Folder of the protocols, and an empty folder for the results."""
    checkout = find_checkout()
    if checkout is None:
        raise InputError("lodestone demo", expected="a checkout with evaluation/protocols", got="none", remedy="run it in a clone")
    out = out.absolute()
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    console().print(DISCLAIMER)
    return checkout / "evaluation" / "protocols", out


def play(words: list[str], duration_s: float, out: Path) -> None:
    """Record the bench while it plays; it ends with what is played. Raises InputError when a process fails."""
    environment = isolated_environment()
    words = [*words, f"registration_file:={out / 'registration.yaml'}"]
    recorder_log, bench_log = out / "recorder.log", out / "bench.log"
    with (
        running("recorder", ["record", "--out", str(out / "bag")], environment, recorder_log) as recorder,
        running("bench", ["up", "demo.launch.yaml", *words], environment, bench_log) as bench,
        Progress(TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn(), console=console(), transient=True) as bar,
    ):
        task = bar.add_task("playing", total=duration_s)
        watch(
            {"recorder": (recorder, recorder_log)},
            lambda: bench.poll() is not None,
            duration_s + START_UP_S,
            lambda elapsed_s: bar.update(task, completed=elapsed_s),
        )
        if bench.returncode:
            raise InputError("bench", expected="an end with the recording", got=f"exit code {bench.returncode}", remedy=f"see {bench_log}")
        time.sleep(1.0)  # the recorder's last second


def isolated_environment() -> dict[str, str]:
    """A DDS domain of the demo's own, so that it neither hears nor disturbs a bench on this machine."""
    domain = os.environ.get("ROS_DOMAIN_ID") or str(random.SystemRandom().randint(20, 200))
    return {**os.environ, "ROS_DOMAIN_ID": domain}
