"""Processes of a launch file: started in groups of their own, watched, restarted, ended; none is left behind."""
