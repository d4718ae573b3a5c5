"""AK09940A array and stereo cameras: drivers, calibration, guidewire reconstruction."""
