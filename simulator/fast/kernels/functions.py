"""The functions of vbin, vmad and vun on lanes of binary32 (docs/numerics.md, section 4).

What stores the result makes its NaN canonical.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from simulator.fast.kernels import transcendental
from simulator.fast.kernels.emit import Code
from simulator.fast.kernels.lanes import Value

VBIN: dict[str, Callable[[Code, Value, Value], Value]] = {
    "add": lambda code, a, b: a + b,
    "sub": lambda code, a, b: a - b,
    "mul": lambda code, a, b: a * b,
    "div": lambda code, a, b: a / b,
    "min": lambda code, a, b: a.call("minimum", b),
    "max": lambda code, a, b: a.call("maximum", b),
    "lt": lambda code, a, b: (a < b).choose(a.like(1.0), a.like(0.0)),
}
VMAD: dict[str, Callable[[Code, Value, Value, Value], Value]] = {
    "mad": lambda code, a, b, c: a * b + c,
    "msub": lambda code, a, b, c: a * b - c,
    "nmsub": lambda code, a, b, c: c - a * b,
}
VUN: dict[str, Callable[[Code, Value], Value]] = {
    "mov": lambda code, a: a,
    "abs": lambda code, a: a.call("fabs"),
    "sqrt": lambda code, a: a.call("sqrt"),
    "exp": transcendental.exp,
    "log": transcendental.log,
    "sigmoid": transcendental.sigmoid,
    "tanh": transcendental.tanh,
    "erf": transcendental.erf,
}
FUNCTIONS: dict[str, Mapping[str, Callable[..., Value]]] = {"vbin": VBIN, "vmad": VMAD, "vun": VUN}
"""Arguments: the code that is written, and a vector for each source."""
LONG = ("exp", "log", "sigmoid", "tanh", "erf")
"""Functions of many instructions: they are not written twice, for whole vectors and for the last one."""


def applied(code: Code, mnemonic: str, function: str, sources: list[Value]) -> Value:
    """A function of its sources."""
    return FUNCTIONS[mnemonic][function](code, *sources)
