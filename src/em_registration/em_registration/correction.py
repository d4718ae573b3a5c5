"""From a tool in the tracker's frame to an estimate in the patient image, with everything that is known to be uncertain."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from em_registration.config import GateConfig, RegistrationConfig
from em_registration.detection.finding import Finding
from em_registration.field_correction import ImagePoses, with_fields
from em_registration.registration import Registration
from lodestone_core import covariance, se3
from lodestone_core.estimate import Estimate, Reason, State
from lodestone_core.types import ToolSample, ToolStatus

Array = npt.NDArray[np.float64]

_NOT_VALID = {
    ToolStatus.MISSING: (
        Reason.INPUT_MISSING,
        "the tracker cannot solve a pose: bring the tool into the volume, away from metal",
    ),
    ToolStatus.DISABLED: (Reason.INPUT_MISSING, "the port handle is disabled: check the driver's diagnostics"),
    ToolStatus.UNPLUGGED: (Reason.INPUT_MISSING, "the tool is unplugged: plug it in"),
    ToolStatus.OUT_OF_VOLUME: (Reason.OUT_OF_VOLUME, "the tool is outside the measurement volume: bring it back"),
    ToolStatus.PARTIALLY_OUT_OF_VOLUME: (
        Reason.OUT_OF_VOLUME,
        "the tool is at the border of the volume: bring it back",
    ),
    ToolStatus.FAULT: (Reason.INPUT_FAULT, "the tracker reports a fault of the tool: check its cable and coil"),
    ToolStatus.UNKNOWN: (Reason.INPUT_MISSING, "the tracker says nothing of this tool: check the driver's diagnostics"),
}
ROLL_VARIANCE = covariance.UNOBSERVED_ROTATION_RAD2
_X_Y_Z = np.arange(3)


@dataclass(frozen=True, slots=True, eq=False)
class Adopted:
    """A registration in use, with what follows from it alone and thus is the same for every frame.

    `estimate` is T_tracker_image as the authority composes it with the tree; its stamp and epoch are the frame's to give.
    """

    model: Registration
    T_image_tracker: Array
    C_image_tracker: Array
    estimate: Estimate


def adopt(model: Registration, config: RegistrationConfig) -> Adopted:
    """Make a registration ready for use."""
    T, C = model.T_tracker_image, model.covariance
    return Adopted(model, se3.inverse(T), covariance.invert(T, C), _registration_estimate(model, config))


def _registration_estimate(model: Registration, config: RegistrationConfig) -> Estimate:
    target = np.array(config.target_image_mm)
    C_target = covariance.tre_covariance_at(model.T_tracker_image, model.covariance, target)
    tre_mm = float(covariance.expected_radius_95(C_target))
    reason = Reason.EXPECTED_TRE_HIGH if tre_mm > config.gates.degraded_tre_mm else Reason.NONE
    return Estimate(
        stamp_ns=0,
        parent=config.tracker_frame,
        child=config.image_frame,
        state=_state(reason, tre_mm > config.gates.max_tre_mm),
        T_parent_child=model.T_tracker_image,
        covariance=model.covariance,
        reasons=reason,
        detail=_sentence(reason, tre_mm, math.nan, config.gates),
        target_mm=config.target_image_mm,
        expected_tre_mm=tre_mm,
    )


@dataclass(frozen=True, slots=True, eq=False)
class Moment:
    """What holds for all tools of one frame. `watch`: what the distortion detector says, by tool."""

    stamp_ns: int
    epoch: int
    watch: Mapping[str, Finding]


def corrected_tools(adopted: Adopted, config: RegistrationConfig, at: Moment, tools: Sequence[ToolSample]) -> list[Estimate]:
    """T_image_tool of each tool; INVALID without a pose when the tracker gave none, and when the quality gates refuse it.

    All tools of a frame go through the maths at once: a call costs more than the numbers of a tool.
    """
    corrected = iter(_corrected(adopted, config, [tool for tool in tools if _measured(tool)]))
    return [
        _corrected_estimate(tool, next(corrected), config, at) if _measured(tool) else _not_measured(tool, config, at) for tool in tools
    ]


@dataclass(frozen=True, slots=True, eq=False)
class Corrected:
    """T_image_tool of one tool, its covariance, how far it is from the fitted data, and the expected error (95 %) at a target on it."""

    T_image_tool: Array
    covariance: Array
    domain_ratio: float
    target_mm: tuple[float, float, float]
    tre_mm: float


def _measured(tool: ToolSample) -> bool:
    return tool.status is ToolStatus.VALID and tool.T_tracker_tool is not None


def _corrected(adopted: Adopted, config: RegistrationConfig, tools: Sequence[ToolSample]) -> Iterable[Corrected]:
    poses = image_from_tools(adopted, config, tools)
    T, C = poses.T_image_tool, poses.covariance
    targets = [reference_on_tool(adopted.model, tool.name) for tool in tools]
    C_target = covariance.tre_covariance_at(T, C, np.array(targets).reshape(-1, 3))
    return map(Corrected, T, C, poses.domain_ratio.tolist(), targets, covariance.expected_radius_95(C_target).tolist())


def _corrected_estimate(tool: ToolSample, pose: Corrected, config: RegistrationConfig, at: Moment) -> Estimate:
    gates, finding = config.gates, at.watch.get(tool.name)
    reason = quality_reasons(tool, pose, gates)
    invalid = not pose.tre_mm <= gates.max_tre_mm or tool.rms_error_mm > gates.max_rms_error_mm
    invalid |= pose.domain_ratio > gates.max_domain_ratio
    detail = _sentence(reason, pose.tre_mm, tool.rms_error_mm, gates)
    if finding is not None and finding.causes.distortion:
        reason |= Reason.DISTORTION
        invalid |= finding.state is State.INVALID
        detail = "; ".join(filter(None, [finding.detail, detail]))
    return Estimate(
        stamp_ns=at.stamp_ns,
        parent=config.image_frame,
        child=corrected_frame(config, tool.name),
        state=_state(reason & ~Reason.UNOBSERVED_DIRECTION, invalid),
        T_parent_child=pose.T_image_tool,
        covariance=pose.covariance,
        reasons=reason,
        detail=detail,
        target_mm=pose.target_mm,
        expected_tre_mm=pose.tre_mm,
        epoch=at.epoch,
    )


def _not_measured(tool: ToolSample, config: RegistrationConfig, at: Moment) -> Estimate:
    reason, remedy = _NOT_VALID.get(tool.status, (Reason.MALFORMED, "the driver sent a valid tool without a pose"))
    return without_pose(config, at.epoch, at.stamp_ns, tool.name, State.INVALID, reason, tool.detail or remedy)


def image_from_tools(adopted: Adopted, config: RegistrationConfig, tools: Sequence[ToolSample]) -> ImagePoses:
    """Poses of measured tools in the image with their covariance: the registration's, or the field's, and the measurement's together."""
    model = adopted.model
    T_tracker_tool = np.array([tool.T_tracker_tool for tool in tools]).reshape(-1, 4, 4)
    C_tracker_tool = tool_noise(model, config, tools, T_tracker_tool)
    C = covariance.compose(adopted.T_image_tracker, adopted.C_image_tracker, T_tracker_tool, C_tracker_tool)
    rigid = ImagePoses(adopted.T_image_tracker @ T_tracker_tool, C, np.zeros(len(tools)))
    if not model.fields:
        return rigid
    C_measured = covariance.seen_from(adopted.T_image_tracker, C_tracker_tool)
    return with_fields(model, [tool.name for tool in tools], T_tracker_tool, rigid, C_measured)


def tool_noise(model: Registration, config: RegistrationConfig, tools: Sequence[ToolSample], T_tracker_tool: Array) -> Array:
    """Covariances (N, 6, 6) of these measured poses (N, 4, 4) about the tracker's axes at each tool's origin.

    What the calibration saw, never less than what the tracker says of this very sample; for a 5-DOF sensor nothing is known of the roll.
    """
    unknown = np.diag([config.tool_sigma_mm**2] * 3 + [config.tool_sigma_rad**2] * 3)
    C = np.array([model.tools[tool.name].noise if tool.name in model.tools else unknown for tool in tools]).reshape(-1, 6, 6)
    for i, tool in enumerate(tools if model.fields else ()):
        field = model.field_of(tool.name)
        if field is not None and tool.name not in model.tools:
            # The field's own data have shown it.
            C[i, _X_Y_Z, _X_Y_Z] = field.inflation * field.noise_mm**2
    said_mm2 = np.array([tool.rms_error_mm**2 if math.isfinite(tool.rms_error_mm) else 0.0 for tool in tools])
    shortfall = np.maximum(said_mm2 - np.trace(C[:, :3, :3], axis1=1, axis2=2), 0.0)
    C[:, _X_Y_Z, _X_Y_Z] += shortfall[:, None] / 3.0
    roll_variance = np.array([ROLL_VARIANCE if tool.degrees_of_freedom == 5 else 0.0 for tool in tools])
    roll_axis = T_tracker_tool[:, :3, 2]
    C[:, 3:, 3:] += roll_variance[:, None, None] * roll_axis[:, :, None] * roll_axis[:, None, :]
    return C


def quality_reasons(tool: ToolSample, pose: Corrected, gates: GateConfig) -> Reason:
    """Everything about a valid pose that a controller should know."""
    reason = Reason.NONE
    if tool.rms_error_mm > gates.degraded_rms_error_mm:
        reason |= Reason.TRACKER_ERROR_HIGH
    if not pose.tre_mm <= gates.degraded_tre_mm:
        reason |= Reason.EXPECTED_TRE_HIGH
    if pose.domain_ratio > gates.degraded_domain_ratio:
        reason |= Reason.OUT_OF_DOMAIN
    if tool.degrees_of_freedom == 5:
        reason |= Reason.UNOBSERVED_DIRECTION
    return reason


def without_pose(config: RegistrationConfig, epoch: int, stamp_ns: int, tool: str, state: State, reason: Reason, detail: str) -> Estimate:
    """An estimate that says why there is no pose of a tool."""
    child = corrected_frame(config, tool)
    return Estimate(stamp_ns, config.image_frame, child, state, reasons=reason, detail=detail, epoch=epoch)


def reference_on_tool(model: Registration, name: str) -> tuple[float, float, float]:
    """The tip (or reference body) of a tool in its own frame, mm; its origin when nothing was calibrated."""
    x, y, z = model.reference_mm(name).tolist()
    return (x, y, z)


def corrected_frame(config: RegistrationConfig, tool: str) -> str:
    """Name of a tool's corrected frame."""
    return f"em_tool_{tool}{config.corrected_suffix}"


def _state(reason: Reason, invalid: bool) -> State:
    if invalid:
        return State.INVALID
    return State.DEGRADED if reason else State.OK


def _sentence(reason: Reason, tre_mm: float, rms_mm: float, gates: GateConfig) -> str:
    parts = []
    if reason & Reason.TRACKER_ERROR_HIGH:
        limits = f"{gates.degraded_rms_error_mm:g} mm is DEGRADED, {gates.max_rms_error_mm:g} mm INVALID"
        parts.append(f"the tracker's error indicator is {rms_mm:.2f} mm ({limits}): move metal away")
    if reason & Reason.EXPECTED_TRE_HIGH:
        limits = f"{gates.degraded_tre_mm:g} mm is DEGRADED, {gates.max_tre_mm:g} mm INVALID"
        parts.append(f"the expected error at the target is {tre_mm:.2f} mm ({limits}): add fiducials near it")
    if reason & Reason.OUT_OF_DOMAIN:
        parts.append("the tool is where, or turned as, no fiducial was collected: touch a known point here")
    if reason & Reason.UNOBSERVED_DIRECTION:
        parts.append("the roll of this 5-DOF sensor is not observed")
    return "; ".join(parts)
