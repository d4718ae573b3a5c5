"""What the command needs of ROS itself."""
