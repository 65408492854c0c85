"""Instruction selection and register allocation: from structured tile IR to a flat list of instructions."""
