"""NDI Aurora driver without ROS: bytes in, tracked frames out."""
