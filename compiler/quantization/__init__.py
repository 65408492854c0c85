"""Bringing matrices into the number formats of compiler/formats.py."""
