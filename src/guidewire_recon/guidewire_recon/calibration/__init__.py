"""Calibration of the guidewire platform: cameras and magnetometers."""
