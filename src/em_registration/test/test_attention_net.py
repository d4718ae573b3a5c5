"""The paper's network, its training and its file."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the tracking-only set-up has no torch")

from em_registration.attention.config import NetworkConfig, TrainingConfig  # noqa: E402
from em_registration.attention.experiment import TrainingSet, prepare  # noqa: E402
from em_registration.attention.labels import spline_labels  # noqa: E402
from em_registration.attention.model_file import WEIGHTS, load_model, save_model  # noqa: E402
from em_registration.attention.train import memory, train  # noqa: E402
from em_registration.attention.triangles import surfaces  # noqa: E402
from em_registration.models.attention_net import AttentionNet, PointConvolution, contrastive_loss, position_loss  # noqa: E402
from em_registration.protocols import PROTOCOLS  # noqa: E402
from em_registration.protocols.em_paper import EmPaperConfig  # noqa: E402
from lodestone_core.errors import InputError  # noqa: E402
from lodestone_core.results import load_protocol, run_protocol, settings_of  # noqa: E402
from lodestone_core.yaml_file import dump_yaml  # noqa: E402

PROTOCOL = Path(__file__).parents[3] / "evaluation" / "protocols" / "em_paper.yaml"
QUICK = TrainingConfig(epochs=2, sets=64, points=8)


def data() -> TrainingSet:
    rng = np.random.default_rng(7)
    landmarks = rng.normal(0.0, 80.0, (5, 3))
    labels = spline_labels(landmarks, landmarks + rng.normal(0.0, 5.0, landmarks.shape))
    source = np.stack([surface.points_mm for surface in surfaces(landmarks, 6)])
    target = labels(source.reshape(-1, 3)).reshape(source.shape)
    return TrainingSet(landmarks, tuple(surface.corners for surface in surfaces(landmarks, 6)), source, target)


def network(**options: object) -> AttentionNet:
    torch.manual_seed(0)
    return AttentionNet(replace(NetworkConfig(width=16), **options), torch.randn(9, 3))


def test_a_convolution_of_length_one_is_the_one_of_torch() -> None:
    torch.manual_seed(0)
    layer, x = PointConvolution(3, 8), torch.randn(4, 11, 3)
    usual = torch.nn.Conv1d(3, 8, 1)
    usual.load_state_dict(layer.state_dict())
    torch.testing.assert_close(layer(x), usual(x.transpose(1, 2)).transpose(1, 2))


def test_features_of_sets_are_of_unit_length_and_know_no_order_of_their_points() -> None:
    net, source, target = network(), torch.randn(5, 12, 3), torch.randn(5, 12, 3)
    first, second = net.set_features(source, target)
    for feature in (first, second):
        torch.testing.assert_close(feature.norm(dim=1), torch.ones(5))
    torch.testing.assert_close(net.set_features(source.flip(1), target)[0], first)


def test_attention_is_the_softmax_of_scaled_products_and_its_sum_is_what_the_head_sees() -> None:
    net = network()
    h, H = torch.nn.functional.normalize(torch.randn(6, 16), dim=1), torch.randn(9, 16)
    Q, K = h @ net.query.weight.T, H @ net.key.weight.T
    weights = torch.exp(Q @ K.T / 4.0)
    weights = weights / weights.sum(dim=1, keepdim=True)
    torch.testing.assert_close(net.weights(h, H), weights)
    points = torch.randn(6, 3)
    h = torch.nn.functional.normalize(net.query_branch(points), dim=1)
    H = net.source_encoder(net.sources)
    torch.testing.assert_close(net(points), net.head(net.weights(h, H) @ net.value(H)))


def test_points_are_registered_independently_of_each_other() -> None:
    net, points = network(), torch.randn(20, 3)
    torch.testing.assert_close(net(points)[3:4], net(points[3:4]))


def test_without_attention_every_source_point_weighs_the_same() -> None:
    net, points = network(attention=False), torch.randn(4, 3)
    before = net(points)
    net.sources.copy_(net.sources.flip(0))
    torch.testing.assert_close(net(points), before)
    assert not any(parameter.grad is not None for parameter in net.key.parameters())


def test_the_contrastive_loss_is_that_of_the_paper_and_least_for_matched_sets() -> None:
    features = torch.nn.functional.normalize(torch.randn(4, 8, generator=torch.Generator().manual_seed(0)), dim=1)
    other = features.roll(1, dims=0)
    by_hand = 0.0
    for i in range(4):
        scores = torch.exp(features[i] @ other.T / 0.1)
        by_hand -= float(torch.log(scores[i] / scores.sum())) / 4.0
    assert float(contrastive_loss(features, other, 0.1)) == pytest.approx(by_hand, rel=1e-5)
    assert contrastive_loss(features, features, 0.1) < contrastive_loss(features, other, 0.1)


def test_the_position_loss_is_a_mean_distance() -> None:
    assert float(position_loss(torch.tensor([[3.0, 4.0, 0.0], [0.0, 0.0, 1.0]]), torch.zeros(2, 3))) == pytest.approx(3.0)


def test_the_source_set_holds_the_landmarks_and_the_middles_of_the_sides_once() -> None:
    found = memory(data(), 2)
    assert len(found) == 5 + 10
    np.testing.assert_allclose(found[:5], data().landmarks_mm)


def test_training_repeats_itself_for_a_seed_differs_for_another_and_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(11)
    expected = torch.rand(1)
    torch.manual_seed(11)
    points = data().source_mm[0]
    first, again, other = (train(data(), QUICK, seed)(points) for seed in (0, 0, 1))
    assert torch.rand(1) == expected
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-3


def test_training_approaches_an_easy_map() -> None:
    made, heard = data(), []
    model = train(made, replace(QUICK, epochs=40, sets=160), 0, listen=lambda epoch, loss: heard.append((epoch, loss)))
    errors = np.linalg.norm(model(made.source_mm.reshape(-1, 3)) - made.target_mm.reshape(-1, 3), axis=1)
    # The points are spread by 45 mm per axis.
    assert np.sqrt(np.mean(errors**2)) < 8.0
    assert [epoch for epoch, _ in heard] == list(range(1, 41))


def test_a_model_comes_back_from_its_file_as_it_was(tmp_path: Path) -> None:
    model = train(data(), replace(QUICK, network=NetworkConfig(width=8, attention=False)), 0)
    save_model(tmp_path / "a.safetensors", model)
    loaded = load_model(tmp_path / "a.safetensors")
    points = data().source_mm[2]
    np.testing.assert_array_equal(loaded(points), model(points))
    assert loaded.net.config == model.net.config


def test_the_committed_weights_are_those_of_their_card_and_register_the_points_held_out() -> None:
    card = WEIGHTS.with_suffix(".md").read_text()
    assert hashlib.sha256(WEIGHTS.read_bytes()).hexdigest() in card
    made = prepare(settings_of(load_protocol(PROTOCOL), EmPaperConfig))
    found = made.figures(load_model())
    assert f"{found.rmse:.3f} mm | {found.chamfer:.3f} mm" in card
    assert found.rmse < 0.6075 and found.epma > 92.74


@pytest.mark.parametrize("content", [None, b"", b"no weights at all"])
def test_a_file_without_weights_is_refused_with_the_remedy(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "a.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"training/em_attention\.py"):
        load_model(path)


def test_the_protocol_runs_whole_at_a_tiny_size(tmp_path: Path) -> None:
    protocol = load_protocol(PROTOCOL)
    protocol["settings"] |= {"seeds": [0, 1], "processes": 1, "training": {"epochs": 1, "sets": 32}}
    protocol["methods"] = ["attention", "attention_off"]
    (tmp_path / "em_paper.yaml").write_text(dump_yaml(protocol))
    told: list[float] = []
    result = run_protocol(tmp_path / "em_paper.yaml", None, {}, tmp_path / "out", lambda share, _: told.append(share), registry=PROTOCOLS)
    rows = {(row.method, row.case, row.metric): row for row in result.rows}
    assert len(result.missed) == 4 == len(result.judged)
    assert rows["tps", "held_out", "rmse"].value < 1e-6
    assert rows["tps", "held_out", "lfpr"].value == 100.0
    assert rows["rigid", "held_out", "rmse"].value > 1.0
    assert rows["as_reported", "its_own_test_set", "rmse"].passed is None
    assert any("bernstein_2" in note for note in result.notes)
    assert rows["bernstein_3", "held_out_fitted_to_grid", "rmse"].value < rows["rigid", "held_out_fitted_to_grid", "rmse"].value
    assert told == sorted(told)
    for name in ("augmentation", "distribution", "in_space", "bland_altman", "needle"):
        assert (tmp_path / "out" / f"{name}.png").stat().st_size > 10_000
    assert (tmp_path / "out" / "points.csv").read_text().count("\n") == 1 + 4 * 105
