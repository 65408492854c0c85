"""The study behind docs/comparison.md; run.py beside this package makes it."""
