"""Devices of the bench, each on the interface that the real one has."""
