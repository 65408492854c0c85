"""The reference engine: NumPy, one function per instruction, written from isa/spec.py and docs/numerics.md for clarity."""
