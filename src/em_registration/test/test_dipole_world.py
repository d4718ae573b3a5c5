"""The world that the in-context network learns from: its physics, and that it is not the simulator's."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the imaging requirements are not installed")

from em_registration.methods import in_context  # noqa: E402
from em_registration.methods.batched import rigid as rigid_fit  # noqa: E402
from lodestone_core import se3  # noqa: E402

TRAINING = Path(__file__).resolve().parents[3] / "training"
sys.path.insert(0, str(TRAINING))

import dipole_scenes  # noqa: E402
import dipole_world  # noqa: E402


def draw(seed: int) -> dipole_world.Draw:
    return dipole_world.Draw(torch.Generator().manual_seed(seed))


def test_a_dipole_has_neither_sources_nor_curl_and_its_gradient_is_the_fields() -> None:
    generator = torch.Generator().manual_seed(0)
    r, moment = (torch.randn(50, 3, generator=generator, dtype=torch.float64) + 1.0 for _ in range(2))
    _, gradient = dipole_world.dipole_field(r, moment)
    assert float(torch.diagonal(gradient, dim1=1, dim2=2).sum(1).abs().max()) < 1e-9
    assert torch.allclose(gradient, gradient.transpose(1, 2))
    step = 1e-6 * torch.eye(3, dtype=torch.float64)
    for k in range(3):
        ahead, behind = (dipole_world.dipole_field(r + sign * step[k], moment)[0] for sign in (1, -1))
        assert torch.allclose((ahead - behind) / 2e-6, gradient[..., k], atol=1e-5, rtol=1e-5)
    # On the axis of a dipole: 2 m / r^3.
    on_axis, _ = dipole_world.dipole_field(torch.tensor([[0.0, 0.0, 2.0]]), torch.tensor([[0.0, 0.0, 3.0]]))
    assert torch.allclose(on_axis, torch.tensor([[0.0, 0.0, 0.75]]))


def test_the_jacobian_of_the_signals_is_their_derivative() -> None:
    random = draw(1)
    tracker = dipole_world.draw_tracker(random, 8)
    parts = (x.double() for x in (tracker.coils, tracker.moments, tracker.axes, torch.ones(8, 2)))
    tracker = dipole_world.Tracker(*parts)
    R = random.rotation(8, 4).double()
    p = random.uniform(8, 4, 3, low=-1.0, high=1.0).double() + torch.tensor([0.0, 0.0, 2.5], dtype=torch.float64)
    _, J = tracker.signals(R, p)
    for k in range(6):
        d = torch.zeros(8, 4, 6, dtype=torch.float64)
        d[..., k] = 1e-5
        ahead, behind = (tracker.signals(dipole_world.turn(sign * d[..., 3:]) @ R, p + sign * d[..., :3])[0] for sign in (1, -1))
        assert torch.allclose((ahead - behind) / 2e-5, J[..., k], atol=1e-7, rtol=1e-5)


def test_without_disturbance_and_noise_the_solver_finds_the_truth() -> None:
    world = dipole_world.WorldConfig(noise_mm=(1e-6, 1e-5), undistorted=1.0)
    scenes = dipole_scenes.scenes(draw(2), 64, 10, 8, world)
    assert scenes.valid.all()
    assert float((scenes.tip - scenes.image).norm(dim=-1).max()) < 0.01
    assert float(scenes.distortion_mm.max()) < 0.01


def test_distortion_is_what_was_asked_for() -> None:
    world = dipole_world.WorldConfig(noise_mm=(1e-6, 1e-5), distortion_mm=(2.0, 2.0002), undistorted=0.0)
    scenes = dipole_scenes.scenes(draw(3), 128, 10, 16, world)
    assert float(scenes.valid.float().mean()) > 0.9
    assert float(scenes.distortion_mm[scenes.valid].median()) == pytest.approx(2.0, rel=0.3)


def test_noise_is_what_was_asked_for() -> None:
    world = dipole_world.WorldConfig(noise_mm=(0.5, 0.50005), undistorted=1.0)
    scenes = dipole_scenes.scenes(draw(4), 128, 30, 8, world)
    rms = (scenes.tip - scenes.image).square().sum(-1).mean(1).sqrt()
    assert float(rms[scenes.valid].median()) == pytest.approx(0.5, rel=0.05)


def test_where_nothing_disturbs_the_network_is_not_worse_than_a_rigid_map() -> None:
    world = dipole_world.WorldConfig(noise_mm=(0.1, 0.7), undistorted=1.0)
    for count in (4, 12, 30):
        scenes = dipole_scenes.scenes(draw(100 + count), 128, count, 16, world)
        context, queries = (
            se3.make(R.double().numpy(), tip.double().numpy()) for R, tip in ((scenes.R, scenes.tip), (scenes.R_query, scenes.tip_query))
        )
        image, truth = scenes.image.double().numpy(), scenes.truth.double().numpy()
        mean, _ = in_context.predict_batch(context, image, queries)
        rigid = rigid_fit(context[..., :3, 3], image, queries[..., :3, 3]).mean_mm
        error, rigid_error = (np.linalg.norm(x - truth, axis=-1)[scenes.inside.numpy()].mean() for x in (mean, rigid))
        assert error <= 1.03 * rigid_error


def test_the_same_seed_gives_the_same_scenes() -> None:
    first, second = (dipole_scenes.scenes(draw(5), 4, 5, 3) for _ in range(2))
    assert torch.equal(first.tip, second.tip)
    assert torch.equal(first.truth, second.truth)


def test_training_never_imports_the_bench() -> None:
    for path in TRAINING.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not [name for name in names if name.startswith("lodestone_bench")], path
