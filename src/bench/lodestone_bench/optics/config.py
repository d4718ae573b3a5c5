"""Section `cameras` of the world: where the two cameras stand, their lenses, sensors and light."""

from __future__ import annotations

from dataclasses import dataclass

from lodestone_core.config import option, section


@dataclass(frozen=True, slots=True)
class EyeConfig:
    """One camera: its place (optical frame: x right, y down, z forward) and its lens."""

    position_mm: tuple[float, float, float] = option((0.0, 0.0, 520.0), unit="mm", doc="centre of projection in bench")
    quaternion_xyzw: tuple[float, float, float, float] = option((1.0, 0.0, 0.0, 0.0), doc="orientation of the optical frame in bench")
    focal_px: tuple[float, float] = option((5803.0, 5801.0), unit="px", doc="focal length across columns and rows", minimum=1.0)
    principal_px: tuple[float, float] = option((1031.0, 759.0), unit="px", doc="where the axis meets the sensor; pixel centres are whole")
    radial: tuple[float, float, float] = option((-0.08, 0.15, 0.0), doc="radial distortion of second, fourth and sixth order")
    tangential: tuple[float, float] = option((3e-4, -2e-4), doc="decentring of the lens")
    prism: tuple[float, float] = option((3e-4, -2e-4), doc="tilt of the sensor, a term that the usual lens models do not have")


@dataclass(frozen=True, slots=True)
class BarConfig:
    """A straight round bar in front of the scene (a stand's arm, a catheter holder) that hides what is behind it."""

    present: bool = option(True, doc="whether it is there")
    from_mm: tuple[float, float, float] = option((-95.0, 10.0, 130.0), unit="mm", doc="one end in bench")
    to_mm: tuple[float, float, float] = option((-34.0, 14.0, 130.0), unit="mm", doc="other end in bench")
    radius_mm: float = option(2.0, unit="mm", doc="radius", minimum=0.01)
    grey: float = option(45.0, unit="grey", doc="how bright it is in full light", minimum=0.0, maximum=255.0)


@dataclass(frozen=True, slots=True)
class CamerasConfig:
    """Both cameras of the guidewire platform and what they look at."""

    width: int = option(2048, unit="px", doc="columns", minimum=16, maximum=8192)
    height: int = option(1536, unit="px", doc="rows", minimum=16, maximum=8192)
    left: EyeConfig = section(EyeConfig)
    right: EyeConfig = section(
        EyeConfig,
        position_mm=(0.0, 450.0, 70.0),
        quaternion_xyzw=(0.0, 0.7071067811865476, -0.7071067811865476, 0.0),
        focal_px=(5789.0, 5790.5),
        principal_px=(1018.0, 772.0),
        radial=(-0.07, 0.11, 0.0),
        tangential=(-2e-4, 4e-4),
        prism=(-2e-4, 3e-4),
    )
    aperture_mm: float = option(2.5, unit="mm", doc="diameter of the entrance pupil: what is out of focus spreads with it", minimum=0.0)
    focus_mm: float = option(450.0, unit="mm", doc="depth that is sharp", minimum=1.0)
    lens_blur_px: float = option(0.6, unit="px", doc="standard deviation of the lens's own blur", minimum=0.05, maximum=20.0)
    exposure_ms: float = option(5.0, unit="ms", doc="what moves is smeared over this time", minimum=0.0)
    full_well_e: float = option(9000.0, unit="electrons", doc="electrons of a white pixel: shot noise", minimum=1.0)
    read_noise_e: float = option(7.0, unit="electrons", doc="noise of a dark pixel", minimum=0.0)
    background: float = option(165.0, unit="grey", doc="mean grey of the backdrop at the brightest place", minimum=0.0, maximum=255.0)
    texture: float = option(5.0, unit="grey", doc="standard deviation of its texture", minimum=0.0)
    texture_px: float = option(9.0, unit="px", doc="size of its grain", minimum=0.5)
    uneven: float = option(0.25, doc="share of light that is missing at the darker side", minimum=0.0, maximum=1.0)
    vignetting: float = option(0.12, doc="share of light that is missing in the corners", minimum=0.0, maximum=1.0)
    light_mm: tuple[float, float, float] = option((180.0, 260.0, 480.0), unit="mm", doc="where the lamp stands in bench")
    wire_grey: float = option(55.0, unit="grey", doc="brightness of the wire, evenly lit", minimum=0.0)
    highlight_grey: float = option(320.0, unit="grey", doc="what a highlight on the wire adds at most", minimum=0.0)
    shininess: float = option(40.0, doc="exponent of the highlight: larger is narrower", minimum=1.0)
    bar: BarConfig = section(BarConfig)
    noise_tiles: int = option(8, doc="live: how many noise patterns each tile of the image has", minimum=2, maximum=64)
    wire_points: int = option(400, doc="live: points along the wire that are projected", minimum=8)
