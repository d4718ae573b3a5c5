"""What drivers of serial and video devices share: the line, its faults and its trace, framed streams, capture."""
