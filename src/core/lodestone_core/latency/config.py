"""What a latency may be, and how sure it must be."""

from __future__ import annotations

from dataclasses import dataclass

from lodestone_core.config import option


@dataclass(frozen=True, slots=True)
class LatencyConfig:
    """Limits of the search and of what is accepted."""

    max_offset_s: float = option(0.5, unit="s", doc="offsets up to this size are looked for", minimum=0.01)
    max_radius_s: float = option(0.002, unit="s", doc="a latency whose 95 % radius is larger is refused", minimum=0.0)
    least_overlap_s: float = option(6.0, unit="s", doc="shortest time that both streams must cover, search included", minimum=1.0)
    components: int = option(10, doc="principal components of a stream that predict the first one of the other", minimum=1, maximum=16)
    centres: int = option(100, doc="of the smooth functions that predict: at most so many", minimum=10, maximum=400)
    folds: int = option(5, doc="parts of the overlap, each of which is predicted from the others in the search", minimum=3, maximum=20)
    max_gap_periods: float = option(3.5, doc="a longer silence of the faster stream is left out, in its periods", minimum=1.0)
    least_share: float = option(
        0.5, doc="share of a stream's motion that the other must predict, else none is shared", minimum=0.0, maximum=1.0
    )
    rival_odds: float = option(1000.0, doc="how much more probable the best offset must be than any other peak", minimum=1.0)
    rival_gain: float = option(0.15, doc="by how much (natural logarithm of the likelihood, a sample) it must fit better", minimum=0.0)
    block_s: float = option(1.0, unit="s", doc="errors may depend on one another within so long a time", minimum=0.05)
