"""Functional kernels of the fast engine: what an engine instruction computes, as machine code behind an address.

`abi.py` says how a kernel is called, `emit.py` and `lanes.py` are what they are written with, `choice.py` finds the one for an
instruction, `store.py` compiles it once per computer. Each other file holds kernels with the formula they implement.
"""
