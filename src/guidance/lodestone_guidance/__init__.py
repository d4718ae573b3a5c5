"""Frame authority, lifecycle manager and example controller."""
