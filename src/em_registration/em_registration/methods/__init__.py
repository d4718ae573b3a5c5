"""Maps from the tracker to the image behind one interface: what is fitted, what a model answers, and every method by name."""
