"""The only place of this package that knows ROS: one node a file."""
