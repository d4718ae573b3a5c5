"""Which way leads to the array."""

from __future__ import annotations

from collections.abc import Callable

from guidewire_recon.drivers.array_driver import ArrayDriver, OnSample, StreamArrayDriver
from guidewire_recon.drivers.config import MagnetometersConfig
from guidewire_recon.drivers.i2c_driver import I2cDriver


def array_driver(config: MagnetometersConfig, on_sample: OnSample, on_news: Callable[[], None]) -> ArrayDriver:
    """The driver for the configured way to the array. Raises InputError."""
    kind = I2cDriver if config.source == "i2c" else StreamArrayDriver
    return kind(config, on_sample, on_news)
