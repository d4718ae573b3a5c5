"""A walk through the volume: what is covered, where the next correspondence helps most, and when there are enough of them."""
