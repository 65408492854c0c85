"""Makes simulator/tables/transcendental.json: `python -m simulator.tables.make_transcendental [FUNCTION ...]`.

For each function all 2^32 binary32 inputs are evaluated. Inputs whose binary64 value lies within the error bound of a rounding
boundary are decided with mpmath; those that plain rounding gets wrong become exceptions. Prints the SHA-256 of all outputs (uint32,
little-endian, ascending input pattern). One thread; a few minutes per function.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import mpmath
import numpy as np
from numpy.typing import NDArray

from simulator import transcendental

OUTPUT = Path(__file__).with_name("transcendental.json")
ERF_CELLS = 65  # centres 0, 1/16, .. 4
ERF_TERMS = 11
CHUNK = 1 << 15
PRECISION_BITS = 400  # the closest case, sigmoid at 2^-23, is 2^-74 away from a tie

_MP = cast(Any, mpmath)
EXACT: dict[str, Callable[[Any], Any]] = {
    "exp": lambda x: _MP.exp(x),
    "log": lambda x: _MP.log(x),
    "sigmoid": lambda x: 1 / (1 + _MP.exp(-x)),
    "tanh": lambda x: _MP.tanh(x),
    "erf": lambda x: _MP.erf(x),
}


def round_exact(value: Any) -> int:
    """The binary32 pattern of an mpmath number, to nearest even, with gradual underflow."""
    sign, mantissa, exponent, _ = value._mpf_
    magnitude = Fraction(int(mantissa)) * Fraction(2) ** int(exponent)
    if not magnitude:
        return sign << 31
    leading = int(exponent) + int(mantissa).bit_length() - 1
    unit = Fraction(2) ** (max(leading, -126) - 23)
    units = round(magnitude / unit)  # Fraction rounds ties to even
    number = float(units * unit)
    if number >= 2.0**128:
        return sign << 31 | 0x7F800000
    return sign << 31 | int(np.float32(number).view(np.uint32))


def correctly_rounded(name: str, pattern: int) -> int:
    """The binary32 pattern of the function at a finite input, by mpmath."""
    x = float(np.uint32(pattern).view(np.float32))
    with _MP.workprec(PRECISION_BITS):
        return round_exact(EXACT[name](_MP.mpf(x)))


def erf_coefficients() -> list[list[str]]:
    """Taylor coefficients [term][cell] of erf about the multiples of 1/16, as hexadecimal binary64."""
    rows: list[list[str]] = [[] for _ in range(ERF_TERMS)]
    with _MP.workprec(PRECISION_BITS):
        for cell in range(ERF_CELLS):
            centre = _MP.mpf(cell) / 16
            for row, coefficient in zip(rows, _MP.taylor(_MP.erf, centre, ERF_TERMS - 1), strict=True):
                row.append(float(coefficient).hex())
    return rows


def sweep(name: str, report: Callable[[str], None]) -> tuple[list[list[str]], str, int]:
    """All 2^32 inputs: the exceptions, the SHA-256 of the outputs and how many inputs mpmath had to decide."""
    digest = hashlib.sha256()
    exceptions: list[list[str]] = []
    decided = 0
    started = time.monotonic()
    for first in range(0, 1 << 32, CHUNK):
        patterns = np.arange(first, first + CHUNK, dtype=np.uint64).astype(np.uint32)
        x = patterns.view(np.float32)
        with np.errstate(all="ignore"):
            values = transcendental.EVALUATIONS[name](x)
            outputs = values.astype(np.float32)
        outputs[np.isnan(outputs)] = transcendental.CANONICAL_NAN
        bits = outputs.view(np.uint32)
        for place in np.flatnonzero(transcendental.undecided(values) & np.isfinite(values)):
            decided += 1
            _decide(name, int(patterns[place]), bits, int(place), exceptions)
        digest.update(bits.astype("<u4", copy=False).tobytes())
        if first % (1 << 28) == 0:
            report(
                f"{name}: {first >> 28}/16, {time.monotonic() - started:.0f} s, {decided} decided, {len(exceptions)} listed"
            )
    return exceptions, digest.hexdigest(), decided


def _decide(name: str, pattern: int, bits: NDArray[np.uint32], place: int, exceptions: list[list[str]]) -> None:
    right = correctly_rounded(name, pattern)
    if right != int(bits[place]):
        exceptions.append([f"{pattern:08x}", f"{right:08x}"])
        bits[place] = right


def _store(data: dict[str, Any]) -> None:
    OUTPUT.write_text(
        json.dumps(data, indent=None, separators=(",", ":"), sort_keys=True).replace("]],", "]],\n") + "\n"
    )
    transcendental.tables.cache_clear()


def main() -> None:
    """Sweeps the named functions (default: all) and rewrites their part of the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("functions", nargs="*", choices=[*EXACT, []], help="default: all")
    names: list[str] = parser.parse_args().functions or list(EXACT)
    data: dict[str, Any] = json.loads(OUTPUT.read_text()) if OUTPUT.exists() else {"exceptions": {}, "sha256": {}}
    data["erf_coefficients"] = erf_coefficients()
    for name in EXACT:
        data["exceptions"].setdefault(name, [])
    _store(data)
    for name in names:
        exceptions, digest, decided = sweep(name, lambda line: print(line, file=sys.stderr, flush=True))
        data["exceptions"][name] = exceptions
        data["sha256"][name] = digest
        _store(data)
        print(f"{name}: {decided} decided by mpmath, {len(exceptions)} exceptions, sha256 {digest}", flush=True)


if __name__ == "__main__":
    main()
