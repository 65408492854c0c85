"""Orthogonal matrices that spread every number over all: randomised Hadamard matrices, as products of small ones.

A Hadamard matrix H has entries 1 and -1, and H H^T = n I. Kronecker products of such are such. Sylvester's are of size 2^k;
Paley's of size p + 1 (p = 3 mod 4) and 2 (p + 1) (p = 1 mod 4) for primes p: Paley, On orthogonal matrices, 1933.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compiler.quantization.folding import F32, Edit

F64 = NDArray[np.float64]
LARGEST_FACTOR = 64
"""Powers of 2 are split into factors of at most this size, which are quicker to multiply with."""
LARGEST_PALEY = 512
BLOCK_ELEMENTS = 1 << 20
"""Turned at once, in float64."""


@dataclass(frozen=True)
class Rotation:
    """The orthogonal matrix D (A x B x ..) of size n: signs on a diagonal, and a Kronecker product of orthogonal factors."""

    signs: F64
    factors: tuple[F64, ...]

    @staticmethod
    def of(size: int, rng: np.random.Generator) -> Rotation:
        """Of a size: Hadamard if there is a known one, else one dense orthogonal matrix, from the random numbers."""
        signs = rng.choice((-1.0, 1.0), size)
        return Rotation(signs, hadamard_factors(size) or (random_orthogonal(size, rng),))

    @property
    def size(self) -> int:
        return len(self.signs)

    def apply(self, rows: NDArray[np.floating]) -> F64:
        """rows [M, n] times the matrix."""
        values: F64 = rows.astype(np.float64) * self.signs
        before, after = 1, self.size
        for factor in self.factors:
            after //= len(factor)
            blocks = values.reshape(len(rows) * before, len(factor), after)
            values = np.matmul(factor.T, blocks)
            before *= len(factor)
        return values.reshape(len(rows), self.size)

    def of_columns(self) -> Edit:
        """W [N, heads * n] -> W Q for each head: what reads rows that were multiplied by Q."""

        def edit(values: F32) -> F32:
            rows = values.reshape(-1, self.size)
            turned = np.empty(rows.shape, np.float32)
            step = max(1, BLOCK_ELEMENTS // self.size)
            for first in range(0, len(rows), step):
                turned[first : first + step] = self.apply(rows[first : first + step])
            return turned.reshape(values.shape)

        return edit

    def of_rows(self, heads: int = 1) -> Edit:
        """W [heads * n, K] -> Q^T W for each head, and of a bias: what gives rows that are multiplied by Q."""

        def edit(values: F32) -> F32:
            flat = values.reshape(heads, self.size, -1)
            turned = self.apply(flat.swapaxes(1, 2).reshape(-1, self.size))
            return turned.reshape(heads, -1, self.size).swapaxes(1, 2).astype(np.float32).reshape(values.shape)

        return edit


def hadamard_factors(size: int) -> tuple[F64, ...] | None:
    """Hadamard matrices scaled to be orthogonal whose Kronecker product has the size; None if none is known here."""
    odd, powers = size, 0
    while odd % 2 == 0:
        odd, powers = odd // 2, powers + 1
    if odd == 1:
        return _powers(powers)
    for taken in range(2, powers + 1):
        core = paley(odd << taken)
        if core is not None:
            return (core / np.sqrt(len(core)), *_powers(powers - taken))
    return None


def _powers(exponent: int) -> tuple[F64, ...]:
    largest = LARGEST_FACTOR.bit_length() - 1
    parts = [largest] * (exponent // largest) + ([exponent % largest] if exponent % largest else [])
    return tuple(sylvester(part) / np.sqrt(2.0**part) for part in parts)


def sylvester(exponent: int) -> F64:
    """The Hadamard matrix of size 2^exponent."""
    matrix: F64 = np.ones((1, 1))
    for _ in range(exponent):
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    return matrix


def paley(size: int) -> F64 | None:
    """Paley's Hadamard matrix of a size, None if there is none, or for sizes that would be slow."""
    if size > LARGEST_PALEY:
        return None
    if _is_prime(size - 1) and (size - 1) % 4 == 3:
        conference = _conference(size - 1, -1.0)
        return conference + np.eye(size)
    half = size // 2
    if size % 2 == 0 and _is_prime(half - 1) and (half - 1) % 4 == 1:
        conference = _conference(half - 1, 1.0)
        return np.kron(conference, [[1.0, 1.0], [1.0, -1.0]]) + np.kron(np.eye(half), [[1.0, -1.0], [-1.0, -1.0]])
    return None


def _conference(prime: int, sign: float) -> F64:
    """C with zeros on the diagonal, 1 and -1 elsewhere, C C^T = p I, C^T = sign * C: quadratic residues modulo p."""
    residues = {number * number % prime for number in range(1, prime)}
    character = np.array([0.0] + [1.0 if number in residues else -1.0 for number in range(1, prime)])
    indices = np.arange(prime)
    matrix = np.zeros((prime + 1, prime + 1))
    matrix[0, 1:], matrix[1:, 0] = 1.0, sign
    matrix[1:, 1:] = character[(indices[:, None] - indices) % prime]
    return matrix


def _is_prime(number: int) -> bool:
    return number > 1 and all(number % divisor for divisor in range(2, int(number**0.5) + 1))


def random_orthogonal(size: int, rng: np.random.Generator) -> F64:
    """Uniform among all orthogonal matrices: Q of a normal matrix, R having a positive diagonal."""
    q, r = np.linalg.qr(rng.standard_normal((size, size)))
    return q * np.sign(np.diag(r))
