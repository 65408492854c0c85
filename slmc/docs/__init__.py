"""Generated pages of docs/: `python -m slmc.docs` writes them, `--check` tells which are not fresh."""
