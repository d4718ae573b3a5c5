"""`lodestone calibrate em`: what guides a person through the volume, and what the terminal shows of it."""
