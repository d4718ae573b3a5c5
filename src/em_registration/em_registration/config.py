"""Configuration of the EM registration: one declaration for YAML, ROS parameters and docs."""

from __future__ import annotations

from dataclasses import dataclass

from em_registration.detection.config import DetectorConfig
from em_registration.field.config import PoseFieldConfig
from lodestone_core.config import option, section
from lodestone_core.errors import InputError


@dataclass(frozen=True, slots=True)
class SessionConfig:
    """How fiducials are collected under a tool's tip."""

    samples: int = option(40, doc="valid samples averaged for one fiducial", minimum=1)
    max_spread_mm: float = option(1.0, unit="mm", doc="RMS spread above which a fiducial is refused", minimum=0.0)
    timeout_s: float = option(20.0, unit="s", doc="a fiducial that is not complete by then is given up", minimum=0.1)
    max_fre_mm: float = option(
        3.0, unit="mm", doc="FRE above which a registration is refused; with a distortion field, its leave-one-out RMS", minimum=0.0
    )
    method: str = option(
        "auto",
        doc="rigid; field, to fit the distortion over pose as well; auto, to use a field where the evidence asks for one",
        choices=("auto", "rigid", "field"),
    )
    field_from: int = option(6, doc="fiducials touched with one tool from which a field is fitted", minimum=4)
    field_evidence: float = option(
        0.5, doc="probability of a distortion, after the data, above which auto uses the field", minimum=0.0, maximum=1.0
    )
    refit_on_touch: bool = option(True, doc="a fiducial collected while its registration is in use leads to a new fit, in a new epoch")
    fit_timeout_s: float = option(10.0, unit="s", doc="a fit that takes longer is given up", minimum=0.1)
    directory: str = option("registrations", doc="folder where sessions and registrations are kept; created when needed")


@dataclass(frozen=True, slots=True)
class GateConfig:
    """When a corrected pose is called DEGRADED or INVALID."""

    degraded_rms_error_mm: float = option(1.0, unit="mm", doc="tracker error indicator above which a pose is DEGRADED", minimum=0.0)
    max_rms_error_mm: float = option(3.0, unit="mm", doc="tracker error indicator above which a pose is INVALID", minimum=0.0)
    degraded_tre_mm: float = option(3.0, unit="mm", doc="expected TRE (95 %) above which a pose is DEGRADED", minimum=0.0)
    max_tre_mm: float = option(6.0, unit="mm", doc="expected TRE (95 %) above which a pose is INVALID", minimum=0.0)
    degraded_domain_ratio: float = option(
        0.5,
        doc="share of the distortion that the fitted data leave open at a pose, above which it is DEGRADED",
        minimum=0.0,
        maximum=1.0,
    )
    max_domain_ratio: float = option(0.9, doc="such a share above which a pose is INVALID", minimum=0.0, maximum=1.0)

    def __post_init__(self) -> None:
        for name, low, high in (
            ("rms_error_mm", self.degraded_rms_error_mm, self.max_rms_error_mm),
            ("tre_mm", self.degraded_tre_mm, self.max_tre_mm),
            ("domain_ratio", self.degraded_domain_ratio, self.max_domain_ratio),
        ):
            if low > high:
                raise InputError(
                    f"gates.degraded_{name}",
                    expected=f"at most gates.max_{name} = {high:g}",
                    got=f"{low:g}",
                    remedy="set the DEGRADED limit below the INVALID one",
                )


@dataclass(frozen=True, slots=True)
class RegistrationConfig:
    """EM-to-image registration of every tool of one tracker."""

    registration_file: str = option("", doc="registration (YAML) adopted at start; empty: none, the state is INITIALISING")
    tracker_frame: str = option("em_field_generator", doc="frame of the tracker's poses")
    image_frame: str = option("image", doc="frame of the patient image")
    corrected_suffix: str = option("_corrected", doc="appended to em_tool_<name> for the corrected frame")
    target_image_mm: tuple[float, float, float] = option(
        (0.0, 0.0, 0.0), unit="mm", doc="point in the image at which the registration's own expected TRE is given"
    )
    tool_sigma_mm: float = option(
        0.5,
        unit="mm",
        doc="standard deviation a axis of a tool whose noise the registration does not know",
        minimum=0.0,
    )
    tool_sigma_rad: float = option(0.01, unit="rad", doc="standard deviation a axis of such a tool's rotation", minimum=0.0)
    session: SessionConfig = section(SessionConfig, "collection of fiducials")
    gates: GateConfig = section(GateConfig, "quality limits")
    detector: DetectorConfig = section(DetectorConfig, "watch over the tracker's field")
    field: PoseFieldConfig = section(PoseFieldConfig, "what is believed of a distortion before any data")
