"""Pure core of Lodestone: geometry, time, units, configuration, estimation, metrics, bags, results; ROS only under ros/."""
