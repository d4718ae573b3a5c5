"""The faults of `bench_stop`: what can be wrong with the device, the tool, the registration, and with what the authority is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from lodestone_cli.benchmarks.em_rig import EmRig, known_registration
from lodestone_cli.ros.controller_probe import CHILD
from lodestone_cli.ros.registration_stand_in import (
    Alteration,
    StandIn,
    altered,
    expected_error,
    jumping,
    no_number,
    no_rotation,
    shifted,
    state,
    untouched,
    variance,
)
from lodestone_core.estimate import State

TOOL, IMAGE = "sensor_0", "image"
BROKEN_COIL = 0x100


@dataclass(frozen=True, slots=True)
class Bench:
    """What faults are made on, and for how long; `good` and `uncertain` are registrations' files."""

    rig: EmRig
    stand_in: StandIn
    good: Path
    uncertain: Path
    watch_s: float

    @classmethod
    def of(cls, rig: EmRig, stand_in: StandIn, out: Path, watch_s: float) -> Bench:
        """Write the two registrations that the faults change between."""
        good, uncertain = out / "good.yaml", out / "uncertain.yaml"
        known_registration().save(good)
        known_registration(sigma_mm=10.0).save(uncertain)
        return cls(rig, stand_in, good.resolve(), uncertain.resolve(), watch_s)


Act = Callable[[Bench], Any]
Fault = tuple[Act, Act]
"""How it begins and how it ends."""


def asked(do: str, **fields: Any) -> Act:
    """A request to the emulated device."""
    return lambda bench: bench.rig.ask(do=do, **fields)


def for_a_while(do: str, **fields: Any) -> Fault:
    """A request that holds as long as is watched."""
    return lambda bench: bench.rig.ask(do=do, for_s=bench.watch_s, **fields), nothing


def nothing(bench: Bench) -> None:
    """It ends by itself."""


def told(alteration: Alteration) -> Fault:
    """From now on the authority is told this."""

    def say(bench: Bench, what: Alteration) -> None:
        bench.stand_in.alteration = what

    return partial(say, what=alteration), partial(say, what=untouched)


IN_THE_CHAIN: Mapping[str, Fault] = {
    "cable pulled": (asked("unplug"), asked("replug")),
    "device silent": for_a_while("stall"),
    "tool unplugged": (asked("tool_out", tool=TOOL), asked("tool_in", tool=TOOL)),
    "every reply corrupt": for_a_while("corrupt", count=0),
    "no pose of the tool": for_a_while("missing", tool=TOOL),
    "tool out of volume": for_a_while("out_of_volume", tool=TOOL),
    "coil broken": for_a_while("port_status", tool=TOOL, bits=BROKEN_COIL),
    "tracker error too high": for_a_while("error_indicator", tool=TOOL, mm=5.0),
    "registration reset": (lambda bench: bench.stand_in.reset(), lambda bench: bench.stand_in.load(str(bench.good))),
    "registration too uncertain": (
        lambda bench: bench.stand_in.load(str(bench.uncertain)),
        lambda bench: bench.stand_in.load(str(bench.good)),
    ),
}
"""Faults that the running chain meets."""

_CHANGES: Mapping[str, Callable[[Any, int], None]] = {
    "INVALID": state(State.INVALID),
    "UNKNOWN": state(State.UNKNOWN),
    "pose not a number": no_number,
    "rotation not of unit length": no_rotation,
    "covariance too large": variance(0.01**2),
    "covariance not a number": variance(float("nan")),
    "covariance negative": variance(-1e-6),
    "expected error too large": expected_error(0.01),
    "expected error unknown": expected_error(float("nan")),
}
TOLD_TO_THE_AUTHORITY: Mapping[str, Fault] = {
    **{f"registration: {name}": told(altered(IMAGE, change)) for name, change in _CHANGES.items()},
    **{f"tool: {name}": told(altered(CHILD, change)) for name, change in _CHANGES.items()},
    "tool: jumping about": told(altered(CHILD, jumping)),
    "samples 0.7 s old": told(shifted(0.7)),
    "samples 0.2 s ahead": told(shifted(-0.2)),
}
"""Estimates that no good registration node makes, from a stand-in that has spoken well until then."""
