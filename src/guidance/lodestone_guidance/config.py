"""Configuration of the frame authority and of the lifecycle manager."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lodestone_core.config import REQUIRED, option


@dataclass(frozen=True, slots=True)
class AuthorityConfig:
    """Which edges the authority owns and when it trusts them."""

    rig_frames: str = option(REQUIRED, doc="YAML with the static frames of the rig")
    inputs: tuple[str, ...] = option(("em_registration/estimates",), doc="topics with RegistrationEstimates, one a registration node")
    root: str = option("bench", doc="root of the frame tree")
    image_frame: str = option("image", doc="frame of the patient image; its one parent is the root")
    image_source: Literal["em", "xray", "us", "file"] = option(
        "em", doc="registration that root -> image is composed from; the others are published, never broadcast"
    )
    max_age_s: float = option(0.5, unit="s", doc="older than this, an estimate is not used and its edge stops", minimum=0.001)
    max_ahead_s: float = option(0.05, unit="s", doc="a stamp further ahead of the node's clock is refused", minimum=0.0)
    max_tre_mm: float = option(6.0, unit="mm", doc="expected TRE (95 %) above which an estimate is refused", minimum=0.0)
    max_sigma_mm: float = option(6.0, unit="mm", doc="largest standard deviation of the position that is accepted", minimum=0.0)
    jump_mm: float = option(20.0, unit="mm", doc="step between two samples that is accepted at any rate", minimum=0.0)
    jump_speed_mm_s: float = option(1000.0, unit="mm/s", doc="speed that is added to jump_mm for the time between the samples", minimum=0.0)
    jump_confirmations: int = option(10, doc="consistent samples after which a jump is accepted, in a new epoch", minimum=1)
    status_rate_hz: float = option(10.0, unit="Hz", doc="rate of registration/status", minimum=1.0, maximum=100.0)


@dataclass(frozen=True, slots=True)
class ManagerConfig:
    """Which lifecycle nodes are brought up, in order."""

    nodes: tuple[str, ...] = option((), doc="names of lifecycle nodes, activated in this order and shut down in reverse")
    timeout_s: float = option(10.0, unit="s", doc="a node that does not answer by then is reported as failed", minimum=0.1)
    period_s: float = option(1.0, unit="s", doc="how often the states are looked at", minimum=0.05)
