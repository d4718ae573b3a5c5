"""The distortion field over pose: a Gaussian process on what a rigid registration leaves, and whether one is needed."""
