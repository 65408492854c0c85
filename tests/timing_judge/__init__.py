"""A second timing model that judges the first: slow, in steps of one core cycle and one DRAM command.

Written from docs/timing.md, docs/machines.md and the JEDEC meaning of the parameters. It shares nothing with simulator/:
only the descriptions of instructions, descriptors and machines in isa/ are common ground.
"""
