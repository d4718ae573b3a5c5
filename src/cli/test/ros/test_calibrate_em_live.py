"""`lodestone calibrate em sim:=true` from nothing to a registration that can be loaded, over real DDS."""

from __future__ import annotations

from pathlib import Path

import pytest

from em_registration.registration import load_registration
from lodestone_cli.commands.calibrate_em import Options, run

pytestmark = pytest.mark.ros


def test_a_simulated_walk_ends_in_a_registration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROS_DOMAIN_ID", "")
    out = tmp_path / "registration.yaml"
    assert run(Options(("sim:=true",), None, out, None, "", None, "", None, 20.0)) == 0
    model = load_registration(out)
    assert set(model.tools) == {"0", "1"}
    assert model.fre_mm < 0.5
