"""A trained network as a .safetensors file: weights, normalisations, and the configuration they belong to."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from em_registration.attention.config import NetworkConfig
from em_registration.attention.model import AttentionModel, Normalisation
from em_registration.models.attention_net import AttentionNet
from lodestone_core.config import parse_config, to_mapping
from lodestone_core.errors import InputError

WEIGHTS = Path(__file__).parents[1] / "models" / "attention.safetensors"
"""Weights of the network of the protocol em_paper, seed 0; its card lies beside them."""

_SIDES = ("source", "target")


def save_model(path: Path, model: AttentionModel) -> str:
    """Write a model; the SHA-256 of the file."""
    tensors = {f"net.{name}": tensor.contiguous() for name, tensor in model.net.state_dict().items()}
    for side, normalisation in zip(_SIDES, (model.source, model.target), strict=True):
        tensors[f"{side}.centre_mm"] = torch.from_numpy(normalisation.centre_mm)
        tensors[f"{side}.scale_mm"] = torch.tensor(normalisation.scale_mm, dtype=torch.float64)
    content = save(tensors, {"network": json.dumps(to_mapping(model.net.config))})
    path.write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def load_model(path: Path = WEIGHTS) -> AttentionModel:
    """The model of a file. Raises InputError for one that is missing or is none of ours."""
    try:
        with safe_open(str(path), "pt") as file:
            tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            network = parse_config(NetworkConfig, file.metadata()["network"], f"{path}: network")
        net = AttentionNet(network, torch.empty_like(tensors["net.sources"]))
        net.load_state_dict({name.removeprefix("net."): tensor for name, tensor in tensors.items() if name.startswith("net.")})
        sides = [Normalisation(np.asarray(tensors[f"{s}.centre_mm"].numpy()), float(tensors[f"{s}.scale_mm"])) for s in _SIDES]
    except (OSError, SafetensorError, KeyError, TypeError, RuntimeError) as error:
        remedy = "train one with training/em_attention.py"
        raise InputError(str(path), expected="weights of the attention network", got=str(error), remedy=remedy) from error
    return AttentionModel(net.eval(), *sides)
