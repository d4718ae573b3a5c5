"""Online detection of field distortion: what pairs of sensors, the tracker's indicator and known points say against the clean field."""
