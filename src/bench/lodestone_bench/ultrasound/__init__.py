"""Ultrasound of the bench: a curved array, speckle, shadows, slice thickness; live frames, a volume, phantoms."""

from lodestone_bench.ultrasound.config import UltrasoundConfig
from lodestone_bench.ultrasound.fan import Fan
from lodestone_bench.ultrasound.source import UltrasoundSource

__all__ = ["Fan", "UltrasoundConfig", "UltrasoundSource"]
