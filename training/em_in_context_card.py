"""Set the temperature of the in-context network's covariance, score it in held-out dipole worlds, and write weights and model card.

    python training/em_in_context_card.py --trained OUT_OF_THE_TRAINING --models src/em_registration/em_registration/models

Temperature and table come of two seeds that the training never used. Of the tracker simulator that the method is judged by,
nothing is seen here.
"""

from __future__ import annotations

import argparse
import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from dipole_scenes import scenes
from dipole_world import Draw, WorldConfig
from em_in_context import aligned, left_over
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from em_registration.models.in_context_net import LANDMARK_KNOTS, SCALE_KNOTS_MM, InContextNet
from lodestone_core.covariance import expected_radius_95

TEMPERATURE_SEED, TABLE_SEED = 61_000, 62_000
NOISE_MM, DISTORTION_MM = (0.1, 0.3, 0.7), (0.0, 0.5, 1.0, 2.0, 5.0, 15.0)
LANDMARKS = (3, 4, 6, 10, 24, 60, 200)
QUERIES, AT_ONCE = 16, 256
CARD = Path(__file__).with_name("in_context_card.md")

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """Errors at queries inside the body (N,), those of the rigid map, the predicted 95 % radii, and the scene's scale, in mm."""

    error: Array
    rigid: Array
    radius: Array
    scale: Array


def score(net: InContextNet, n: int, count: int, seed: int, world: WorldConfig) -> Scored:
    """Errors over at least `count` scenes."""
    draw, parts = Draw(torch.Generator().manual_seed(seed)), []
    for _ in range(-(-count // AT_ONCE)):
        with torch.inference_mode():
            drawn = scenes(draw, min(count, AT_ONCE), n, QUERIES, world)
            known, asked = aligned(drawn)
            wanted = left_over(known, asked, drawn.truth)
            mean, factor = net(known, asked)
        use = (drawn.inside & drawn.valid[:, None]).numpy()
        mm = known.scale_mm[:, None].expand(use.shape).double().numpy()
        radius = expected_radius_95((factor @ factor.transpose(-1, -2)).double().numpy())
        error, rigid = ((wanted - x).norm(dim=-1).double().numpy() for x in (mean, torch.zeros_like(mean)))
        parts.append(np.stack([error * mm, rigid * mm, radius * mm, mm])[:, use])
    return Scored(*np.concatenate(parts, axis=1))


def temperatures(net: InContextNet, count: int) -> torch.Tensor:
    """Logarithms (landmarks, scales) of what the standard deviation must be multiplied with for 95 % of the errors to lie inside."""
    rows = []
    for n in LANDMARK_KNOTS:
        scored = score(net, int(n), count, TEMPERATURE_SEED + int(n), WorldConfig())
        nearest = np.abs(np.log(scored.scale)[:, None] - np.log(SCALE_KNOTS_MM)).argmin(1)
        ratio = scored.error / scored.radius
        rows.append([np.log(np.quantile(ratio[nearest == k], 0.95)) for k in range(len(SCALE_KNOTS_MM))])
        print(int(n), np.round(np.exp(rows[-1]), 3), np.bincount(nearest), flush=True)
    return torch.tensor(np.array(rows), dtype=torch.float32)


def table(net: InContextNet, count: int) -> str:
    """Markdown: mean error relative to rigid, and coverage of the 95 % radius, by landmarks, noise and distortion."""
    lines = ["| landmarks | noise, mm | " + " | ".join(f"{d:g} mm" for d in DISTORTION_MM) + " |", "|---" * (2 + len(DISTORTION_MM)) + "|"]
    for n in LANDMARKS:
        for noise in NOISE_MM:
            cells = []
            for i, d in enumerate(DISTORTION_MM):
                world = WorldConfig((noise, 1.0001 * noise), (max(d, 1e-3), 1.0001 * max(d, 1e-3)), float(d == 0.0))
                s = score(net, n, count, TABLE_SEED + 1000 * n + 10 * i + round(10 * noise), world)
                cells.append(f"{s.error.mean() / s.rigid.mean():.2f} / {100 * np.mean(s.error < s.radius):.0f} %")
            lines.append(f"| {n} | {noise:g} | " + " | ".join(cells) + " |")
            print(lines[-1], flush=True)
    return "\n".join(lines)


def main() -> None:
    """Read the command line; temperature, weights, card."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trained", type=Path, required=True)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--scenes", type=int, default=256, help="of one cell of the table; eight times as many for the temperature")
    given = parser.parse_args()
    source = given.trained / "in_context.safetensors"
    net = InContextNet().eval()
    net.load_state_dict(load_file(source))
    net.log_temperature.zero_()
    net.log_temperature.copy_(temperatures(net, 8 * given.scenes))
    weights = given.models / "in_context.safetensors"
    with safe_open(source, "pt") as file:
        about = dict(file.metadata())
    save_file({name: value.contiguous() for name, value in net.state_dict().items()}, weights, about)
    weights.chmod(0o644)
    size = sum(p.numel() for p in net.parameters())
    facts = {"sha256": hashlib.sha256(weights.read_bytes()).hexdigest(), "parameters": f"{size:,}", **about}
    text = CARD.read_text()
    for name, value in {**facts, "scenes": str(given.scenes), "table": table(net, given.scenes)}.items():
        text = text.replace("{" + name + "}", value)
    (given.models / "in_context.md").write_text(text)


if __name__ == "__main__":
    main()
