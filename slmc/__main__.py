"""`python -m slmc` is `slmc`."""

from slmc.cli import main

main()
