"""Protocols whose truth the simulated bench makes: here, since no algorithm package may know the bench."""

PROTOCOLS: dict[str, str] = {
    "em_internal": "lodestone_cli.protocols.em_internal:run",
    "em_detector": "lodestone_cli.protocols.em_detector:run",
    "magnetometer_calibration": "lodestone_cli.protocols.magnetometer_calibration:run",
    "stereo_calibration": "lodestone_cli.protocols.stereo_calibration:run",
    "probe_calibration": "lodestone_cli.protocols.probe_calibration:run",
    "latency_calibration": "lodestone_cli.protocols.latency_calibration:run",
}
"""Name in the protocol file -> the function that runs it."""
