"""Section `ultrasound` of the world: probe, beam and display."""

from __future__ import annotations

from dataclasses import dataclass

from lodestone_core.config import option, section


@dataclass(frozen=True, slots=True)
class BeamConfig:
    """What one line of sound is like. Widths are standard deviations of Gaussians over amplitude, there and back."""

    focus_mm: float = option(80.0, unit="mm", doc="distance from the face at which the beam is narrowest", minimum=5.0)
    pulse_mm: float = option(0.45, unit="mm", doc="length of the pulse", minimum=0.05)
    width_deg: float = option(0.45, unit="deg", doc="lateral width at the focus: constant in angle, wider in mm with depth", minimum=0.05)
    defocus_deg: float = option(0.9, unit="deg", doc="lateral width at the face and at twice the focus", minimum=0.05)
    thickness_mm: float = option(1.2, unit="mm", doc="thickness of the slice at the focus", minimum=0.0)
    thickening: float = option(0.018, doc="growth of the thickness per mm from the focus", minimum=0.0)
    profile: str = option("gaussian", doc="across the slice", choices=("gaussian", "box"))
    slices: int = option(3, doc="planes that are summed across the slice; each is a third of a live frame's cost", minimum=1, maximum=31)
    echo_gain: float = option(14.0, doc="strength of an interface's echo over its step in impedance", minimum=0.0)


@dataclass(frozen=True, slots=True)
class UltrasoundConfig:
    """Probe, beam, display. us_probe has its origin in the middle of the transducer's face, z out of it and x along the array."""

    columns: int = option(400, doc="width of the image", minimum=64)
    rows: int = option(320, doc="height of the image", minimum=64)
    depth_mm: tuple[float, ...] = option((150.0, 100.0, 200.0), unit="mm", doc="depths that can be chosen; the first one at the start")
    radius_mm: float = option(45.0, unit="mm", doc="radius of the transducer's face", minimum=5.0)
    half_angle_deg: float = option(30.0, unit="deg", doc="half the angle of the fan", minimum=5.0, maximum=60.0)
    beams: int = option(128, doc="lines of sound", minimum=16, maximum=1024)
    samples: int = option(320, doc="samples along a line", minimum=32, maximum=4096)
    frequency_mhz: float = option(3.5, unit="MHz", doc="frequency; attenuation rises with it", minimum=0.5, maximum=20.0)
    tgc_db_cm: float = option(3.3, unit="dB/cm", doc="gain against depth", minimum=0.0)
    dynamic_range_db: float = option(60.0, unit="dB", doc="from black to white", minimum=10.0)
    white_db: float = option(22.0, unit="dB", doc="level that is white; liver's speckle is at 0 on average")
    noise_db: float = option(-60.0, unit="dB", doc="electronic noise at the face, before the gain against depth")
    gel_mm: float = option(25.0, unit="mm", doc="longest way through gel between face and skin", minimum=0.0)
    offset_mm: tuple[float, float, float] = option(
        (2.4, -1.7, 3.1), unit="mm", doc="where the middle of the image's upper arc is in us_probe: what a calibration finds"
    )
    offset_deg: tuple[float, float, float] = option((2.0, -3.0, 1.5), unit="deg", doc="turn of the image against us_probe")
    beam: BeamConfig = section(BeamConfig, doc="live beam")
    volume_beam: BeamConfig = section(
        BeamConfig,
        doc="beam of the sweep that a volume is made of",
        profile="box",
        slices=7,
        focus_mm=95.0,
        thickness_mm=1.7,
        thickening=0.012,
    )
