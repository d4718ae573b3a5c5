"""Standard ROS 2 launch files (YAML) without an installation of ROS: read, checked against Jazzy's keys, turned into processes."""
