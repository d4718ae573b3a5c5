"""Train the paper's attention network on the experiment of a protocol, and write its weights with a model card.

    python training/em_attention.py                                     the committed weights: em_paper, seed 0
    python training/em_attention.py --seed 3 --out out/attention        another seed
    python training/em_attention.py --protocol training/em_attention_design.yaml --set training.memory=4

Half a minute a seed on one core. `--set` overrides one setting, as in the protocol file.
"""

from __future__ import annotations

import argparse
import platform
import time
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import Progress

from em_registration.attention.experiment import Experiment, prepare
from em_registration.attention.metrics import UNITS, Figures
from em_registration.attention.model_file import WEIGHTS, save_model
from em_registration.attention.train import train
from em_registration.protocols.em_paper import EmPaperConfig
from lodestone_core.results import load_protocol, settings_of
from lodestone_core.yaml_file import parse_yaml

ROOT = Path(__file__).resolve().parents[1]
CARD = """# The paper's attention network on the experiment `{protocol}`

| | |
|---|---|
| file | `{file}`, {bytes} bytes, SHA-256 `{sha256}` |
| network | `em_registration.models.attention_net.AttentionNet`, {parameters} parameters, width {width}, source set of {sources} points |
| data | no recording: a spline through six made-up landmarks; {triangles} of {all_triangles} triangles, {points} grid points on each |
| seed | {seed} |
| command | `{command}` |
| trained on | {machine}, torch {torch}, {seconds:.0f} s, {epochs} epochs |

| triangles | RMSE | CD | LFPR | EPMA |
|---|---|---|---|---|
| held out ({held_out}) | {test} |
| trained on | {training} |

It maps points of the tracker's frame of that one experiment, and nothing else: the landmarks are part of the weights. It is here
so that the paper's method can be looked at, not to be used on a bench. Research use only, not a medical device.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the paper's attention network.")
    parser.add_argument("--protocol", type=Path, default=ROOT / "evaluation" / "protocols" / "em_paper.yaml")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu", help="cpu, or cuda where there is one")
    parser.add_argument("--out", type=Path, default=WEIGHTS.parent, help="folder for attention.safetensors and its card")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of the protocol")
    arguments = parser.parse_args()

    torch.set_num_threads(1)
    protocol = with_settings(load_protocol(arguments.protocol), arguments.set)
    config = settings_of(protocol, EmPaperConfig)
    experiment = prepare(config)
    began = time.monotonic()
    with Progress() as progress:
        task = progress.add_task("training", total=config.training.epochs)

        def listen(epoch: int, loss: float) -> None:
            progress.update(task, completed=epoch, description=f"epoch {epoch}, position loss {loss:.4f}")

        model = train(experiment.training_set(), config.training, arguments.seed, arguments.device, listen)
    seconds = time.monotonic() - began

    arguments.out.mkdir(parents=True, exist_ok=True)
    file = arguments.out / "attention.safetensors"
    sha256 = save_model(file, model)
    test, training = experiment.figures(model), experiment.figures(model, experiment.training)
    card = CARD.format(
        **facts(experiment),
        protocol=protocol["protocol"],
        file=file.name,
        bytes=file.stat().st_size,
        sha256=sha256,
        parameters=sum(p.numel() for p in model.net.parameters()),
        width=config.training.network.width,
        sources=len(model.net.get_buffer("sources")),
        seed=arguments.seed,
        command=command(arguments),
        machine=f"{platform.system()} {platform.machine()}, {arguments.device}",
        torch=torch.__version__,
        seconds=seconds,
        epochs=config.training.epochs,
        test=cells(test),
        training=cells(training),
    )
    (arguments.out / "attention.md").write_text(card, encoding="utf-8")
    Console().print(card, markup=False)


def with_settings(protocol: dict[str, Any], overrides: list[str]) -> dict[str, Any]:
    """The protocol with settings such as `training.memory=4`."""
    for override in overrides:
        name, _, value = override.partition("=")
        *sections, leaf = name.split(".")
        place = protocol["settings"]
        for section in sections:
            place = place.setdefault(section, {})
        place[leaf] = parse_yaml(value, override)
    return protocol


def facts(experiment: Experiment) -> dict[str, Any]:
    """What the card says of the data."""
    return {
        "triangles": len(experiment.training),
        "all_triangles": len(experiment.training) + len(experiment.held_out),
        "points": len(experiment.training[0].points_mm),
        "held_out": ", ".join(surface.name for surface in experiment.held_out),
    }


def command(arguments: argparse.Namespace) -> str:
    """The command that repeats this training."""
    path = arguments.protocol.resolve()
    shown = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path.name
    return " ".join(
        ["python training/em_attention.py", f"--protocol {shown}", f"--seed {arguments.seed}", *(f"--set {s}" for s in arguments.set)]
    )


def cells(figures: Figures) -> str:
    """Figures as the cells of a row."""
    return " | ".join(f"{getattr(figures, name):.3f} {unit}" for name, unit in UNITS.items())


if __name__ == "__main__":
    main()
