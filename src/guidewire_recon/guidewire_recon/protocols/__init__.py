"""Protocols of this package, by the name in a protocol file."""

from collections.abc import Mapping

PROTOCOLS: Mapping[str, str] = {"magnet_localisation": "guidewire_recon.protocols.magnet_localisation:run"}
