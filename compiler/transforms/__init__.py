"""Passes, one file each; the file name is the pass name with underscores. compiler/driver.py lists them in order."""
