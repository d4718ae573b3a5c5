"""Strict readers of recordings and calibration files as published; each file here names its format's source."""
