"""What becomes a pose, and what does not."""

import math

import numpy as np
import pytest

from em_registration.drivers.ndi_codes import HandleStatus, PortStatus
from em_registration.drivers.ndi_measurements import ToolReading
from em_registration.drivers.readings import sample_of, unplugged
from em_registration.drivers.tools import Tool
from lodestone_core.types import ToolStatus

TOOL = Tool(handle=10, name="tip", serial="3D4F2800", channel=1, port=2, degrees_of_freedom=5)
GOOD = int(PortStatus.OCCUPIED | PortStatus.INITIALIZED | PortStatus.ENABLED)
HALF = math.sqrt(0.5)


def reading(q=(HALF, 0.0, 0.0, HALF), t=(1.0, 2.0, 3.0), error=0.25, bits=GOOD, status=HandleStatus.VALID):
    return ToolReading(10, status, q, t, error, bits, 7)


def test_valid_reading_becomes_a_pose_with_scalar_first_on_the_wire():
    sample = sample_of(reading(), TOOL)
    assert sample.status is ToolStatus.VALID and sample.detail == ""
    # A quarter turn about z, as w = z = sqrt(1/2) says, takes x to y.
    assert sample.T_tracker_tool @ [1.0, 0.0, 0.0, 1.0] == pytest.approx([1.0, 3.0, 3.0, 1.0])
    assert (sample.name, sample.serial_number, sample.channel) == ("tip", "3D4F2800", 1)
    assert (sample.degrees_of_freedom, sample.frame_number, sample.rms_error_mm) == (5, 7, 0.25)


@pytest.mark.parametrize(
    "bad",
    [
        {"q": (math.nan, 0.0, 0.0, 1.0)},
        {"q": (0.0, 0.0, 0.0, 0.0)},
        {"q": (2.0, 0.0, 0.0, 0.0)},
        {"q": (0.99, 0.0, 0.0, 0.0)},
        {"t": (math.inf, 0.0, 0.0)},
        {"t": (-3.7e28, -3.7e28, -3.7e28)},
        {"error": math.nan},
    ],
)
def test_numbers_that_are_no_pose_are_a_fault_although_the_crc_held(bad):
    sample = sample_of(reading(**bad), TOOL)
    assert sample.status is ToolStatus.FAULT and sample.T_tracker_tool is None and sample.detail


def test_rounding_of_tx_is_no_fault():
    assert sample_of(reading(q=(0.7071, 0.0, 0.0, 0.7071)), TOOL).status is ToolStatus.VALID


@pytest.mark.parametrize(
    ("bits", "status", "expected"),
    [
        (GOOD | PortStatus.OUT_OF_VOLUME, HandleStatus.VALID, ToolStatus.OUT_OF_VOLUME),
        (GOOD | PortStatus.PARTIALLY_OUT_OF_VOLUME, HandleStatus.VALID, ToolStatus.PARTIALLY_OUT_OF_VOLUME),
        (GOOD | PortStatus.SENSOR_COIL_BROKEN, HandleStatus.VALID, ToolStatus.FAULT),
        (GOOD | PortStatus.PROCESSING_EXCEPTION, HandleStatus.MISSING, ToolStatus.FAULT),
        (GOOD, HandleStatus.MISSING, ToolStatus.MISSING),
        (GOOD, HandleStatus.DISABLED, ToolStatus.DISABLED),
        (None, HandleStatus.DISABLED, ToolStatus.DISABLED),
        (None, HandleStatus.UNOCCUPIED, ToolStatus.UNPLUGGED),
        (GOOD & ~PortStatus.OCCUPIED, HandleStatus.VALID, ToolStatus.UNPLUGGED),
    ],
)
def test_status_that_is_not_valid_carries_no_pose_and_a_sentence(bits, status, expected):
    sample = sample_of(reading(bits=bits, status=status), TOOL)
    assert (sample.status, sample.T_tracker_tool) == (expected, None)
    assert sample.detail
    assert sample.port_status == (bits or 0)


def test_port_status_stays_unsigned():
    assert sample_of(reading(bits=0xFFFFFFB1), TOOL).port_status == 0xFFFFFFB1


def test_unplugged_tool_keeps_its_name_and_has_no_pose():
    sample = unplugged(TOOL)
    assert (sample.name, sample.status, sample.T_tracker_tool) == ("tip", ToolStatus.UNPLUGGED, None)
    assert np.isnan(sample.rms_error_mm)
