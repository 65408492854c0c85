"""Weights: safetensors files, lazy recipes that bring stored tensors to their declared form, random weights."""
