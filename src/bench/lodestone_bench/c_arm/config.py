"""Section `c_arm` of the world: geometry, beam, detector, and what moves in the picture."""

from __future__ import annotations

from dataclasses import dataclass

from lodestone_core.config import option, section
from lodestone_core.errors import InputError


@dataclass(frozen=True, slots=True)
class DetectorConfig:
    """From photons to grey values."""

    photons: float = option(400_000.0, doc="photons a pixel and picture that reach the detector with nothing in between", minimum=100.0)
    electronic_noise: float = option(6.0, doc="noise of the read-out as a number of photons, standard deviation", minimum=0.0)
    scatter_share: float = option(0.35, doc="scattered photons for each direct one, in the middle of the picture", minimum=0.0, maximum=5.0)
    scatter_mm: float = option(45.0, unit="mm", doc="width of the glow of the scattered photons on the detector", minimum=1.0)
    blur_mm: float = option(0.35, unit="mm", doc="focal spot and scintillator together, standard deviation on the detector", minimum=0.0)
    heel: float = option(0.0, doc="how much weaker the beam is at the end of the rows (the anode's side)", minimum=0.0, maximum=0.9)
    collimator_mm: tuple[float, float, float, float] = option(
        (-150.0, 150.0, -150.0, 150.0), unit="mm", doc="blades as they show on the detector: left, right, top, bottom"
    )
    leak: float = option(0.003, doc="what passes the blades", minimum=0.0, maximum=1.0)
    darkest: float = option(300.0, doc="photons that are black in the video, which is logarithmic", minimum=1.0)


@dataclass(frozen=True, slots=True)
class WireConfig:
    """The guidewire in a hepatic vein."""

    radius_mm: float = option(0.45, unit="mm", doc="radius", minimum=0.05)
    attenuation_mm: float = option(0.55, unit="1/mm", doc="its attenuation (nitinol with a platinum tip coil at 60 keV)", minimum=0.0)
    start_mm: float = option(45.0, unit="mm", doc="how far in the vein its tip is in the middle of its motion", minimum=0.0)
    advance_mm: float = option(12.0, unit="mm", doc="half the way that it is pushed to and fro", minimum=0.0)
    period_s: float = option(17.0, unit="s", doc="of that motion", minimum=0.1)


@dataclass(frozen=True, slots=True)
class ContrastConfig:
    """Boluses of contrast medium in the vessels."""

    attenuation_mm: float = option(0.045, unit="1/mm", doc="extra attenuation of a vessel at the height of a bolus", minimum=0.0)
    begins_s: tuple[float, ...] = option((6.0,), unit="s", doc="when injections begin")
    every_s: float = option(30.0, unit="s", doc="they come again after this; 0 for once", minimum=0.0)
    rise_s: float = option(1.5, unit="s", doc="time to the height of a bolus", minimum=0.1)
    sharpness: float = option(2.5, doc="shape of the bolus (gamma variate)", minimum=0.5)


@dataclass(frozen=True, slots=True)
class CArmConfig:
    """One C-arm. The patient's axes at the isocentre: left is -y of the bench, back is -z, head is +x."""

    isocentre_mm: tuple[float, float, float] = option((700.0, 0.0, 150.0), unit="mm", doc="on the bench")
    source_to_isocentre_mm: float = option(750.0, unit="mm", doc="focal spot to isocentre", minimum=10.0)
    source_to_detector_mm: float = option(1200.0, unit="mm", doc="focal spot to detector", minimum=20.0)
    size_px: tuple[int, int] = option((512, 512), unit="px", doc="columns and rows", minimum=16)
    spacing_mm: float = option(0.6, unit="mm", doc="pixels on the detector", minimum=0.05)
    primary_deg: tuple[float, ...] = option((0.0,), unit="deg", doc="positioner primary angle (LAO positive) of each view")
    secondary_deg: tuple[float, ...] = option((0.0,), unit="deg", doc="positioner secondary angle (cranial positive) of each view")
    dwell_s: float = option(0.0, unit="s", doc="time in each view; 0 stays in the first", minimum=0.0)
    rate_hz: float = option(8.0, unit="Hz", doc="pictures a second", minimum=0.1, maximum=60.0)
    volume_mm: float = option(2.0, unit="mm", doc="grid of the patient that the rays pass", minimum=0.5, maximum=8.0)
    detector: DetectorConfig = section(DetectorConfig, "photons to grey values")
    wire: WireConfig = section(WireConfig, "guidewire")
    contrast: ContrastConfig = section(ContrastConfig, "contrast medium")

    def __post_init__(self) -> None:
        if len(self.primary_deg) != len(self.secondary_deg) or not self.primary_deg:
            got = f"{len(self.primary_deg)} and {len(self.secondary_deg)}"
            raise InputError("c_arm: primary_deg, secondary_deg", expected="one of each for every view", got=got, remedy="complete them")
        if self.source_to_isocentre_mm >= self.source_to_detector_mm:
            remedy = "the isocentre lies between source and detector"
            raise InputError("c_arm: source_to_isocentre_mm", expected=f"less than {self.source_to_detector_mm}",
                             got=self.source_to_isocentre_mm, remedy=remedy)  # fmt: skip

    def view(self, world_s: float) -> int:
        """Number of the view at that time."""
        return 0 if self.dwell_s == 0.0 else int(max(world_s, 0.0) // self.dwell_s) % len(self.primary_deg)
