"""Calibration of the magnetometer array."""
