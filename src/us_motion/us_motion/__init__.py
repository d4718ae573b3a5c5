"""Ultrasound arm and frame grabber: drivers, calibration, motion registration."""
