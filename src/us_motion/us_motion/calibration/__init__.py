"""Probe calibration: where the image lies on the probe, from recordings of wires or of a point."""
