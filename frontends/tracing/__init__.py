"""`forward` with the config known -> the slm dialect."""
