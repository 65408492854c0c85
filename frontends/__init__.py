"""Reads models: checkpoint directories and architecture files in, a Program for the compiler out."""

from frontends.architectures import known_architectures
from frontends.errors import FrontendError
from frontends.loading import Virtual, load_program

__all__ = ["FrontendError", "Virtual", "known_architectures", "load_program"]
