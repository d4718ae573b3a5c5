"""The ROS side: node base, parameters, QoS, conversions, TF, recorder. Nothing outside `ros/` imports rclpy."""
