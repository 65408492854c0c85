"""The fast engine: timing-only runs in compiled code."""
