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
from lodestone_cli.demo.inputs import DemoInputs, find_inputs, register
from lodestone_cli.demo.processes import running, watch
from lodestone_core.errors import InputError

START_UP_S = 20.0
"""Time that the processes may take on top of the recording's length."""


def run(out: Path) -> int:
    """Run the demo; 1 when its evaluation misses a limit."""
    checkout = find_checkout()
    if checkout is None:
        raise InputError("lodestone demo", expected="a checkout with evaluation/protocols", got="none", remedy="run it in a clone")
    out = out.absolute()
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    say = console().print
    say(DISCLAIMER)
    inputs = find_inputs(os.environ, out)
    if not inputs.real:
        say("The recordings are not on this machine (see `lodestone data`): the demo plays a scripted world instead.")
    registration = register(inputs)
    registration.save(out / "registration.yaml")
    say(f"registered on {inputs.calibration_em.name}: residual {registration.fre_mm:.2f} mm RMS over {registration.n} poses")
    say(f"playing {inputs.played_em.name}: emulated Aurora -> driver -> registration -> frame authority, each in its process")
    play(inputs, out)
    say("evaluating the recorded bag")
    protocol = checkout / "evaluation" / "protocols" / "em_bag.yaml"
    missed = evaluate.run(protocol, None, [f"inputs.bag={out / 'bag'}"], out)
    say(f"look at {os.path.relpath(out / 'report.html')}; the same figures from the bag alone:")
    say(f"  lodestone evaluate evaluation/protocols/em_bag.yaml --set inputs.bag={os.path.relpath(out / 'bag')} --out out/again")
    return missed


def play(inputs: DemoInputs, out: Path) -> None:
    """Record the bench while it plays; it ends with the recording. Raises InputError when a process fails."""
    environment = isolated_environment()
    words = [f"em_recording:={inputs.played_em}", f"optical_recording:={inputs.played_optical}"]
    words.append(f"registration_file:={out / 'registration.yaml'}")
    recorder_log, bench_log = out / "recorder.log", out / "bench.log"
    with (
        running("recorder", ["record", "--out", str(out / "bag")], environment, recorder_log) as recorder,
        running("bench", ["up", "demo.launch.yaml", *words], environment, bench_log) as bench,
        Progress(TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn(), console=console(), transient=True) as bar,
    ):
        task = bar.add_task("playing", total=inputs.duration_s)
        watch(
            {"recorder": (recorder, recorder_log)},
            lambda: bench.poll() is not None,
            inputs.duration_s + START_UP_S,
            lambda elapsed_s: bar.update(task, completed=elapsed_s),
        )
        if bench.returncode:
            raise InputError("bench", expected="an end with the recording", got=f"exit code {bench.returncode}", remedy=f"see {bench_log}")
        time.sleep(1.0)  # the recorder's last second


def isolated_environment() -> dict[str, str]:
    """A DDS domain of the demo's own, so that it neither hears nor disturbs a bench on this machine."""
    domain = os.environ.get("ROS_DOMAIN_ID") or str(random.SystemRandom().randint(20, 200))
    return {**os.environ, "ROS_DOMAIN_ID": domain}
