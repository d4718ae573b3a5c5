"""The paper's network (its figures 1 and 2): two encoders of point sets, a query branch, attention over the source set, a head.

Where the print leaves a choice: convolutions have length 1, so that a set of points has no order; SiLU between layers, since the map is
smooth; the query's matrix starts sqrt(d) times larger than usual, since a query of unit length would leave all attention weights alike.
"""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from em_registration.attention.config import NetworkConfig


class AttentionNet(nn.Module):
    """Registers points of the tracker's frame to the image, in normalised coordinates on both sides.

    `sources`: normalised points (n, 3) of the source set that keys and values are made of; they are part of the network's state.
    """

    def __init__(self, config: NetworkConfig, sources: Tensor) -> None:
        super().__init__()
        width = config.width
        self.config = config
        self.source_encoder = _encoder(width)
        self.target_encoder = _encoder(width)
        self.query_branch = _encoder(width)
        self.query, self.key, self.value = (nn.Linear(width, width, bias=False) for _ in range(3))
        self.head = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, 3))
        self.register_buffer("sources", sources)
        with torch.no_grad():
            self.query.weight.mul_(math.sqrt(width))

    def forward(self, points: Tensor) -> Tensor:
        """Where points (M, 3) are in the image (M, 3)."""
        # A set of one point, so the maximum over the set is the point's own feature.
        h = functional.normalize(self.query_branch(points), dim=1)
        H = self.source_encoder(self.sources)
        return cast(Tensor, self.head(self._fuse(h, H)))

    def set_features(self, source: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Unit feature vectors (N, d) of N source sets and of N target sets, each (N, n, 3): convolutions, maximum over the set, L2."""
        pooled = (encoder(x).amax(dim=1) for encoder, x in ((self.source_encoder, source), (self.target_encoder, target)))
        first, second = (functional.normalize(feature, dim=1) for feature in pooled)
        return first, second

    def weights(self, h: Tensor, H: Tensor) -> Tensor:
        """Attention (M, n) of queries h (M, d) over the points of the source set H (n, d), equation 4."""
        scores = self.query(h) @ self.key(H).T / math.sqrt(self.config.width)
        return cast(Tensor, scores.softmax(dim=1))

    def _fuse(self, h: Tensor, H: Tensor) -> Tensor:
        """Fused features (M, d), equations 3 to 5. Without attention: the query's own feature, and the mean of the values."""
        V = self.value(H)
        if self.config.attention:
            return torch.matmul(self.weights(h, H), V)
        return cast(Tensor, self.query(h) + V.mean(dim=0))


class PointConvolution(nn.Conv1d):
    """A convolution of length 1 along the points of sets (..., n, channels): the same linear map at every point."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(channels_in, channels_out, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        """As nn.Conv1d on (..., channels, n); a product of matrices is several times faster on a CPU."""
        return functional.linear(x, self.weight[:, :, 0], self.bias)


def contrastive_loss(source: Tensor, target: Tensor, temperature: float) -> Tensor:
    """InfoNCE over unit features (N, d) of N pairs of sets, equations 6 and 7: each source set finds its own target set."""
    similarity = source @ target.T / temperature
    return functional.cross_entropy(similarity, torch.arange(len(source), device=source.device))


def position_loss(predicted: Tensor, truth: Tensor) -> Tensor:
    """Mean Euclidean distance of points (M, 3), equation 8."""
    return cast(Tensor, torch.linalg.vector_norm(predicted - truth, dim=1).mean())


def _encoder(width: int) -> nn.Sequential:
    """Two convolutions along the points: (..., n, 3) to (..., n, d)."""
    return nn.Sequential(PointConvolution(3, width), nn.SiLU(), PointConvolution(width, width))
