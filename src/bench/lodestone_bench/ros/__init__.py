"""Nodes of the bench."""
