"""From a tool in the tracker's frame to an estimate in the patient image, with everything that is known to be uncertain."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from em_registration.config import GateConfig, RegistrationConfig
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
ROLL_VARIANCE = (2.0 * math.pi) ** 2
"""rad^2: the variance of an angle of which nothing is known, as the contract with controllers has it."""


def registration_estimate(model: Registration, config: RegistrationConfig, epoch: int, stamp_ns: int) -> Estimate:
    """T_tracker_image as it is in use: the edge that the authority composes with the tree into bench -> image."""
    target = np.array(config.target_image_mm)
    tre_mm = covariance.expected_radius_95(covariance.tre_covariance_at(model.T_tracker_image, model.covariance, target))
    reason = Reason.EXPECTED_TRE_HIGH if tre_mm > config.gates.degraded_tre_mm else Reason.NONE
    return Estimate(
        stamp_ns=stamp_ns,
        parent=config.tracker_frame,
        child=config.image_frame,
        state=_state(reason, tre_mm > config.gates.max_tre_mm),
        T_parent_child=model.T_tracker_image,
        covariance=model.covariance,
        reasons=reason,
        detail=_sentence(reason, tre_mm, math.nan, config.gates),
        target_mm=config.target_image_mm,
        expected_tre_mm=tre_mm,
        epoch=epoch,
    )


def corrected_tool(model: Registration, config: RegistrationConfig, epoch: int, stamp_ns: int, tool: ToolSample) -> Estimate:
    """T_image_tool of one measured tool; INVALID without a pose when the tracker gave none or the quality gates refuse it."""
    if tool.status is not ToolStatus.VALID or tool.T_tracker_tool is None:
        reason, remedy = _NOT_VALID.get(tool.status, (Reason.MALFORMED, "the driver sent a valid tool without a pose"))
        return without_pose(config, epoch, stamp_ns, tool.name, State.INVALID, reason, tool.detail or remedy)
    T_image_tool, C = image_from_tool(model, config, tool)
    target = reference_on_tool(model, tool.name)
    tre_mm = covariance.expected_radius_95(covariance.tre_covariance_at(T_image_tool, C, np.array(target)))
    reason = quality_reasons(tool, tre_mm, config.gates)
    invalid = not tre_mm <= config.gates.max_tre_mm or tool.rms_error_mm > config.gates.max_rms_error_mm
    return Estimate(
        stamp_ns=stamp_ns,
        parent=config.image_frame,
        child=corrected_frame(config, tool.name),
        state=_state(reason & ~Reason.UNOBSERVED_DIRECTION, invalid),
        T_parent_child=T_image_tool,
        covariance=C,
        reasons=reason,
        detail=_sentence(reason, tre_mm, tool.rms_error_mm, config.gates),
        target_mm=target,
        expected_tre_mm=tre_mm,
        epoch=epoch,
    )


def image_from_tool(model: Registration, config: RegistrationConfig, tool: ToolSample) -> tuple[Array, Array]:
    """T_image_tool and its covariance: the registration's and the measurement's together."""
    assert tool.T_tracker_tool is not None  # the caller has looked at the status
    T_image_tracker = se3.inverse(model.T_tracker_image)
    C_image_tracker = covariance.invert(model.T_tracker_image, model.covariance)
    C = covariance.compose(T_image_tracker, C_image_tracker, tool.T_tracker_tool, tool_noise(model, config, tool))
    return T_image_tracker @ tool.T_tracker_tool, C


def tool_noise(model: Registration, config: RegistrationConfig, tool: ToolSample) -> Array:
    """6x6 covariance of this measured pose about the tracker's axes at the tool's origin.

    What the calibration saw, never less than what the tracker says of this very sample; for a 5-DOF sensor nothing is known of the roll.
    """
    known = model.tools.get(tool.name)
    C = known.noise.copy() if known else np.diag([config.tool_sigma_mm**2] * 3 + [config.tool_sigma_rad**2] * 3)
    if math.isfinite(tool.rms_error_mm):
        shortfall = tool.rms_error_mm**2 - float(np.trace(C[:3, :3]))
        if shortfall > 0.0:
            C[:3, :3] += np.eye(3) * shortfall / 3.0
    if tool.degrees_of_freedom == 5 and tool.T_tracker_tool is not None:
        roll_axis = tool.T_tracker_tool[:3, 2]
        C[3:, 3:] += ROLL_VARIANCE * np.outer(roll_axis, roll_axis)
    return C


def quality_reasons(tool: ToolSample, tre_mm: float, gates: GateConfig) -> Reason:
    """Everything about a valid pose that a controller should know."""
    reason = Reason.NONE
    if tool.rms_error_mm > gates.degraded_rms_error_mm:
        reason |= Reason.TRACKER_ERROR_HIGH
    if not tre_mm <= gates.degraded_tre_mm:
        reason |= Reason.EXPECTED_TRE_HIGH
    if tool.degrees_of_freedom == 5:
        reason |= Reason.UNOBSERVED_DIRECTION
    return reason


def without_pose(config: RegistrationConfig, epoch: int, stamp_ns: int, tool: str, state: State, reason: Reason, detail: str) -> Estimate:
    """An estimate that says why there is no pose of a tool."""
    child = corrected_frame(config, tool)
    return Estimate(stamp_ns, config.image_frame, child, state, reasons=reason, detail=detail, epoch=epoch)


def reference_on_tool(model: Registration, name: str) -> tuple[float, float, float]:
    """The tip (or reference body) of a tool in its own frame, mm; its origin when nothing was calibrated."""
    known = model.tools.get(name)
    x, y, z = known.T_tool_reference[:3, 3].tolist() if known else (0.0, 0.0, 0.0)
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
    if reason & Reason.UNOBSERVED_DIRECTION:
        parts.append("the roll of this 5-DOF sensor is not observed")
    return "; ".join(parts)
