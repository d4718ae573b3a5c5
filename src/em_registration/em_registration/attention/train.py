"""Training of the paper's network (section 4.2): batches of point sets, Adam, a cosine of learning rates, weights that shift."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from em_registration.attention.config import LossConfig, TrainingConfig
from em_registration.attention.experiment import TrainingSet
from em_registration.attention.model import AttentionModel, Normalisation
from em_registration.attention.triangles import barycentric_grid, distinct
from em_registration.attention.weights import loss_weights
from em_registration.models.attention_net import AttentionNet, contrastive_loss, position_loss
from lodestone_core.types import Array

Listener = Callable[[int, float], None]


def train(data: TrainingSet, config: TrainingConfig, seed: int, device: str = "cpu", listen: Listener | None = None) -> AttentionModel:
    """A trained network. `listen(epoch, position loss)` hears of every epoch; the same seed on one machine gives the same network."""
    rng = torch.Generator().manual_seed(seed)
    source, target = (Normalisation.of(points.reshape(-1, 3), config.spread) for points in (data.source_mm, data.target_mm))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = AttentionNet(config.network, source.apply(torch.from_numpy(memory(data, config.memory)))).to(device)
    sets = source.apply(torch.from_numpy(data.source_mm)).to(device), target.apply(torch.from_numpy(data.target_mm)).to(device)
    optimizer = torch.optim.Adam(net.parameters(), lr=config.rate_max, fused=True)
    per_epoch = max(1, config.sets // config.batch)
    steps = config.epochs * per_epoch
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps, config.rate_min)
    step, loss = 0, float("nan")
    for epoch in range(config.epochs):
        for batch in _batches(sets, config, per_epoch, rng):
            loss = _step(net, optimizer, batch, loss_weights(step / steps, config.loss), config.loss)
            schedule.step()
            step += 1
        if listen is not None:
            listen(epoch + 1, loss)
    return AttentionModel(net.cpu().eval(), source, target)


def memory(data: TrainingSet, subdivisions: int) -> Array:
    """The source set (n, 3) in mm that keys and values are made of: the landmarks and a coarse grid on the training triangles."""
    grid = barycentric_grid(subdivisions)
    coarse = [grid @ data.landmarks_mm[list(corners)] for corners in data.corners]
    return distinct(np.concatenate([data.landmarks_mm, *coarse]))


def _batches(sets: tuple[Tensor, Tensor], config: TrainingConfig, count: int, rng: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of source and target sets, each (batch, points, 3): triangles in turn, other points of them every time."""
    triangles, points = sets[0].shape[:2]
    rounds = -(-count * config.batch // triangles)
    order = torch.cat([torch.randperm(triangles, generator=rng) for _ in range(rounds)])
    for begin in range(0, count * config.batch, config.batch):
        chosen = order[begin : begin + config.batch, None]
        drawn = torch.rand(config.batch, points, generator=rng).argsort(dim=1)[:, : config.points]
        yield sets[0][chosen, drawn], sets[1][chosen, drawn]


def _step(
    net: AttentionNet, optimizer: torch.optim.Adam, batch: tuple[Tensor, Tensor], weights: tuple[float, float], config: LossConfig
) -> float:
    """One step of Adam; the position loss before it, in normalised units."""
    source, target = batch
    position = position_loss(net(source.reshape(-1, 3)), target.reshape(-1, 3))
    loss = weights[1] * position
    if weights[0] > 0.0:
        loss = loss + weights[0] * contrastive_loss(*net.set_features(source, target), config.temperature)
    optimizer.zero_grad(set_to_none=True)
    torch.autograd.backward(loss)
    optimizer.step()
    return float(position.detach())
