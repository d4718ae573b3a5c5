"""Readers of recordings in formats of others."""
