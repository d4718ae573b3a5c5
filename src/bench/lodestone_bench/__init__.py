"""Simulated bench: one physical world and the device emulators on the devices' own interfaces."""
