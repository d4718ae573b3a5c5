"""Train the in-context network on scenes of point dipoles and a tilted generator, made on the fly. Nothing else is ever seen.

    python training/em_in_context.py --out OUT --minutes 9.5 --device cuda
    python training/em_in_context.py --out OUT --minutes 19 --device cuda --resume OUT_OF_THE_FIRST

The learning rate follows the share of `--minutes` that has passed, over all calls together; `--stop` ends a call earlier.
Writes `in_context.safetensors` (the averaged weights), `state.safetensors` and `moments.safetensors` (to go on from), `log.csv`.
`em_in_context_card.py` then sets the temperature of the covariance, and writes the model card.
"""

from __future__ import annotations

import argparse
import math
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from dipole_scenes import scenes
from dipole_world import Draw, Scenes, WorldConfig
from safetensors.torch import load_file, save_file
from torch import Tensor

from em_registration.models.in_context_net import Asked, InContextNet, Known, align, ask


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """How it is trained."""

    seed: int = 20_261
    tokens: int = 90_000  # landmarks and queries of one pass
    most_scenes: int = 4096
    queries: int = 16
    learning_rate: float = 1.2e-3
    last_learning_rate: float = 1e-5
    warm_up: float = 0.01  # share of the time
    weight_decay: float = 0.01
    clip: float = 1.0
    average: float = 0.9995  # of the weights that are kept
    error_weight: float = 1.0  # of the error relative to the rigid map's, beside the likelihood
    save_every_s: float = 60.0


def number_of_landmarks(draw: Draw) -> int:
    """3 to 200: mostly 4 to 60."""
    kind = draw.host.random()
    if kind < 0.06:
        return 3
    low, high = (4, 60) if kind < 0.85 else (60, 200)
    return round(low * (high / low) ** draw.host.random())


def aligned(world: Scenes, signs: Tensor | None = None) -> tuple[Known, Asked]:
    """What the network sees of scenes."""
    known = align(torch.cat([world.R, world.tip[..., None]], -1), world.image, signs)
    return known, ask(known, torch.cat([world.R_query, world.tip_query[..., None]], -1))


def left_over(known: Known, asked: Asked, truth: Tensor) -> Tensor:
    """What the network is to answer (B, m, 3): truth less rigid map, in its units and axes."""
    r = (truth - asked.rigid_mm) / known.scale_mm[:, None, None]
    return (known.C[:, None] * r[:, :, None]).sum(-1)


def whitened(factor: Tensor, x: Tensor) -> Tensor:
    """z (..., 3) of L z = x for lower L (..., 3, 3), written out: a call to a solver costs more."""
    a = x[..., 0] / factor[..., 0, 0]
    b = (x[..., 1] - factor[..., 1, 0] * a) / factor[..., 1, 1]
    c = (x[..., 2] - factor[..., 2, 0] * a - factor[..., 2, 1] * b) / factor[..., 2, 2]
    return torch.stack([a, b, c], -1)


def loss(net: InContextNet, world: Scenes, draw: Draw, config: TrainingConfig) -> tuple[Tensor, Tensor, Tensor]:
    """Loss, mean negative log likelihood, and the median over scenes of the mean error over the rigid map's."""
    signs = torch.where(draw.chance(len(world.valid), 2, share=0.5), 1.0, -1.0)
    with torch.no_grad():
        known, asked = aligned(world, signs)
        wanted = left_over(known, asked, world.truth)
        rigid = wanted.norm(dim=-1).mean(1)
    with torch.autocast(world.tip.device.type, dtype=torch.bfloat16, enabled=world.tip.is_cuda):
        mean, factor = net(known, asked)
    apart = wanted - mean
    square = whitened(factor, apart).square().sum(-1)
    # Beyond seven sigma an error counts in proportion, not with its square.
    far = torch.where(square > 49.0, 14.0 * (square.clamp_min(49.0)).sqrt() - 49.0, square)
    likelihood = (torch.log(torch.diagonal(factor, dim1=-2, dim2=-1)).sum(-1) + 0.5 * far).mean(1)
    error = (apart.square().sum(-1) + 1e-8).sqrt().mean(1)
    ratio = error / (rigid + 0.02 / known.scale_mm)
    use = world.valid & torch.isfinite(likelihood) & torch.isfinite(ratio)
    total = torch.where(use, likelihood + config.error_weight * ratio.clamp(max=20.0), torch.zeros_like(ratio)).sum() / use.sum()
    return total, likelihood[use].mean().detach(), (error / rigid)[use].median().detach()


class Trainer:
    """Network, its running average, and how far the training has come."""

    def __init__(self, config: TrainingConfig, device: torch.device, minutes: float) -> None:
        torch.manual_seed(config.seed)
        self.config, self.seconds = config, 60.0 * minutes
        self.net, self.averaged = InContextNet().to(device), InContextNet().to(device)
        self.averaged.load_state_dict(self.net.state_dict())
        decay = [p for p in self.net.parameters() if p.ndim > 1]
        plain = [p for p in self.net.parameters() if p.ndim < 2]
        groups = [{"params": decay, "weight_decay": config.weight_decay}, {"params": plain, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.98), fused=device.type == "cuda")
        self.before, self.steps, self.start = 0.0, 0, time.monotonic()

    @property
    def passed(self) -> float:
        """Share of the time that has passed, all calls together."""
        return min(1.0, (self.before + time.monotonic() - self.start) / self.seconds)

    def step(self, world: Scenes, draw: Draw) -> tuple[Tensor, Tensor]:
        """One step on one batch; likelihood and ratio."""
        total, likelihood, ratio = loss(self.net, world, draw, self.config)
        total.backward()
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), self.config.clip)
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.steps += 1
        with torch.no_grad():
            share = min(self.config.average, self.steps / (self.steps + 20.0))
            torch._foreach_lerp_(list(self.averaged.parameters()), list(self.net.parameters()), 1.0 - share)
        return likelihood, ratio

    def _rate(self) -> float:
        c, at = self.config, self.passed
        if at < c.warm_up:
            return c.learning_rate * max(at / c.warm_up, 1e-3)
        along = (at - c.warm_up) / (1.0 - c.warm_up)
        return c.last_learning_rate + 0.5 * (c.learning_rate - c.last_learning_rate) * (1.0 + math.cos(math.pi * along))

    def save(self, out: Path) -> None:
        """Averaged weights, and all that is needed to go on."""
        out.mkdir(parents=True, exist_ok=True)
        about = {"steps": str(self.steps), "seconds": f"{self.before + time.monotonic() - self.start:.0f}", "seed": str(self.config.seed)}
        save_file({k: v.contiguous() for k, v in self.averaged.state_dict().items()}, out / "in_context.safetensors", about)
        progress = torch.tensor([self.before + time.monotonic() - self.start, self.steps], dtype=torch.float64)
        save_file({**self.net.state_dict(), "progress": progress}, out / "state.safetensors")
        moments = {}
        for i, p in enumerate(p for group in self.optimizer.param_groups for p in group["params"]):
            moments |= {f"{i}.{key}": torch.as_tensor(value).clone() for key, value in self.optimizer.state[p].items()}
        save_file(moments, out / "moments.safetensors")

    def resume(self, folder: Path) -> None:
        """Go on from what `save` wrote."""
        device = next(self.net.parameters()).device
        state = load_file(folder / "state.safetensors", device=str(device))
        self.before, self.steps = float(state["progress"][0]), int(state.pop("progress")[1])
        self.net.load_state_dict(state)
        self.averaged.load_state_dict(load_file(folder / "in_context.safetensors", device=str(device)))
        for name, value in load_file(folder / "moments.safetensors", device=str(device)).items():
            i, key = name.split(".")
            params = [p for group in self.optimizer.param_groups for p in group["params"]]
            self.optimizer.state[params[int(i)]][key] = value.cpu() if key == "step" and device.type == "cpu" else value


def held_out(net: InContextNet, device: torch.device, config: TrainingConfig) -> str:
    """Mean error over the rigid map's in worlds of a seed of its own, at 2 mm and more, and without distortion."""
    parts = []
    for n in (4, 6, 12, 24, 60):
        for label, noise, distortion, none in (("far", (0.1, 0.3), (2.0, 15.0), 0.0), ("none", (0.1, 0.7), (0.05, 1.0), 1.0)):
            draw = Draw(torch.Generator(device).manual_seed(7_000 + n))
            world = scenes(draw, 1024 if device.type == "cuda" else 64, n, 16, WorldConfig(noise, distortion, none))
            with torch.inference_mode():
                known, asked = aligned(world)
                wanted, mean = left_over(known, asked, world.truth), net(known, asked)[0]
            use, mm = world.inside & world.valid[:, None], known.scale_mm[:, None]
            error, rigid = ((wanted - mean).norm(dim=-1) * mm)[use], (wanted.norm(dim=-1) * mm)[use]
            parts.append(f"{label}{n} {float(error.mean() / rigid.mean()):.3f}")
    return " ".join(parts)


def train(trainer: Trainer, draw: Draw, out: Path, stop_s: float) -> None:
    """Until the time is up."""
    config, device = trainer.config, draw.device
    out.mkdir(parents=True, exist_ok=True)
    saved, sums, count, last = time.monotonic(), torch.zeros(2, device=device), 0, time.monotonic()
    with (out / "log.csv").open("a") as log:
        while trainer.passed < 1.0 and time.monotonic() - trainer.start < stop_s:
            n = number_of_landmarks(draw)
            size = min(config.most_scenes, config.tokens // (n + config.queries))
            with torch.no_grad():
                world = scenes(draw, size, n, config.queries)
            # Scenes cost as much as a step: each serves twice, the second time with fewer landmarks and other axes.
            for some in (world, world.fewer(round(3.0 * (n / 3.0) ** draw.host.random()))):
                sums += torch.stack(trainer.step(some, draw))
                count += 1
            if time.monotonic() - last > 10.0:
                likelihood, ratio = (sums / count).tolist()
                line = f"{trainer.passed:.4f},{trainer.steps},{trainer._rate():.2e},{likelihood:.4f},{ratio:.4f}"
                print(line, file=log, flush=True)
                print(line, flush=True)
                sums, count, last = torch.zeros_like(sums), 0, time.monotonic()
            if time.monotonic() - saved > config.save_every_s:
                trainer.save(out)
                print(held_out(trainer.averaged, device, config), flush=True)
                saved = time.monotonic()
    trainer.save(out)
    print(held_out(trainer.averaged, device, config), flush=True)


def main() -> None:
    """Read the command line, train."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=19.0)
    parser.add_argument("--stop", type=float, default=math.inf, metavar="MINUTES")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--resume", type=Path)
    parser.add_argument("--tokens", type=int, default=TrainingConfig().tokens)
    given = parser.parse_args()
    device = torch.device(given.device)
    trainer = Trainer(TrainingConfig(tokens=given.tokens), device, given.minutes)
    if given.resume:
        trainer.resume(given.resume)
    # Another seed after a break: no scene comes twice.
    draw = Draw(torch.Generator(device).manual_seed(trainer.config.seed + trainer.steps))
    train(trainer, draw, given.out, 60.0 * given.stop)


if __name__ == "__main__":
    main()
