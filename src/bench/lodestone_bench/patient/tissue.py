"""Kinds of tissue, and what sound and X-rays make of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt


class Tissue(IntEnum):
    """What is at a place; NONE in the liver's map means: not the liver's, ask the body's."""

    NONE = 0
    AIR = 1
    FAT = 2
    MUSCLE = 3
    SOFT = 4
    LIVER = 5
    PORTAL_WALL = 6
    PORTAL = 7
    HEPATIC = 8
    CAPSULE = 9
    BONE = 10
    GAS = 11
    LUNG = 12
    GEL = 13
    KIDNEY = 14
    FATTY = 15


@dataclass(frozen=True, slots=True)
class Properties:
    """Of one tissue: standard deviation of scattering (liver 1), attenuation one way, acoustic impedance, X-ray density."""

    scatter: float
    attenuation_db_cm_mhz: float
    impedance_mrayl: float
    hounsfield: float


PROPERTIES = {
    Tissue.NONE: Properties(0.0, 0.5, 1.60, -1000.0),
    Tissue.AIR: Properties(0.0, 30.0, 0.0004, -1000.0),
    Tissue.FAT: Properties(0.6, 0.6, 1.40, -95.0),
    Tissue.MUSCLE: Properties(0.5, 0.8, 1.68, 45.0),
    Tissue.SOFT: Properties(0.95, 0.6, 1.62, 30.0),
    Tissue.LIVER: Properties(1.0, 0.5, 1.64, 60.0),
    Tissue.PORTAL_WALL: Properties(3.2, 0.6, 1.70, 62.0),
    Tissue.PORTAL: Properties(0.03, 0.15, 1.61, 120.0),
    Tissue.HEPATIC: Properties(0.03, 0.15, 1.61, 95.0),
    Tissue.CAPSULE: Properties(3.5, 0.6, 1.75, 50.0),
    Tissue.BONE: Properties(2.5, 18.0, 5.0, 650.0),
    Tissue.GAS: Properties(1.5, 20.0, 0.05, -900.0),
    Tissue.LUNG: Properties(1.2, 9.0, 0.26, -750.0),
    Tissue.GEL: Properties(0.01, 0.02, 1.52, 0.0),
    Tissue.KIDNEY: Properties(0.6, 0.5, 1.62, 75.0),
    Tissue.FATTY: Properties(2.1, 0.6, 1.50, -80.0),
}
"""After F. A. Duck, "Physical Properties of Tissue", Academic Press 1990, and ICRU report 61 (1998), rounded; veins with contrast."""


def column(name: str) -> npt.NDArray[np.float32]:
    """One property of all tissues, by the tissue's number."""
    return np.array([getattr(PROPERTIES[tissue], name) for tissue in Tissue], dtype=np.float32)


def joined() -> npt.NDArray[np.uint8]:
    """Which of two maps counts, by 16 times the liver's label plus the body's: the liver's, but lung never lies in the wall."""
    own, around = np.meshgrid(np.arange(16), np.arange(16), indexing="ij")
    wall = np.isin(around, [Tissue.AIR, Tissue.FAT, Tissue.MUSCLE, Tissue.BONE])
    found = np.where((own == Tissue.NONE) | ((own == Tissue.LUNG) & wall), around, own)
    return np.where(found == Tissue.NONE, Tissue.AIR, found).astype(np.uint8).ravel()
