"""The bench's cameras: what a wire and a calibration board look like through a real lens. Own projection, no algorithm."""
