"""NDI Aurora driver and EM-to-image registration."""
