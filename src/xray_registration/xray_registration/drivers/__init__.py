"""Bytes and frames in, records out."""
