"""X-ray source: drivers and 2D/3D registration."""
