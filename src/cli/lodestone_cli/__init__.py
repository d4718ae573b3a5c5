"""The lodestone command: up, record, recover, evaluate, data, doctor, calibrate."""
