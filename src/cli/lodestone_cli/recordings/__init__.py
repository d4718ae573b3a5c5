"""Public recordings: what there is, where it comes from, where it lies on this machine."""
