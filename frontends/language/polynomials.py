"""Dimensions with names: integer polynomials such as `2*f + 1`. Equal dimensions compare equal."""

from __future__ import annotations

from dataclasses import dataclass

MAX_TERMS = 64
MAX_DEGREE = 16

Monomial = tuple[str, ...]


@dataclass(frozen=True)
class Polynomial:
    """A sum of `coefficient * product of symbols`, in canonical order, without zero terms."""

    terms: tuple[tuple[Monomial, int], ...]

    @staticmethod
    def constant(value: int) -> Polynomial:
        return _canonical({(): value})

    @staticmethod
    def symbol(name: str) -> Polynomial:
        return Polynomial((((name,), 1),))

    @property
    def value(self) -> int | None:
        """The number, if there are no symbols."""
        if not self.terms:
            return 0
        return self.terms[0][1] if len(self.terms) == 1 and not self.terms[0][0] else None

    def plus(self, other: Polynomial, factor: int = 1) -> Polynomial | None:
        """self + factor * other; None if the result is too large to be a sensible dimension."""
        sums = dict(self.terms)
        for monomial, coefficient in other.terms:
            sums[monomial] = sums.get(monomial, 0) + factor * coefficient
        return _canonical(sums) if len(sums) <= MAX_TERMS else None

    def times(self, other: Polynomial) -> Polynomial | None:
        """The product; None if it is too large."""
        if len(self.terms) * len(other.terms) > MAX_TERMS:
            return None
        sums: dict[Monomial, int] = {}
        for left, factor in self.terms:
            for right, coefficient in other.terms:
                monomial = tuple(sorted(left + right))
                if len(monomial) > MAX_DEGREE:
                    return None
                sums[monomial] = sums.get(monomial, 0) + factor * coefficient
        return _canonical(sums)

    def __str__(self) -> str:
        if not self.terms:
            return "0"
        return " + ".join(_term_text(monomial, coefficient) for monomial, coefficient in self.terms)


def _canonical(sums: dict[Monomial, int]) -> Polynomial:
    terms = [(monomial, coefficient) for monomial, coefficient in sums.items() if coefficient]
    return Polynomial(tuple(sorted(terms, key=lambda term: (-len(term[0]), term[0]))))


def _term_text(monomial: Monomial, coefficient: int) -> str:
    factors = ([str(coefficient)] if coefficient != 1 or not monomial else []) + list(monomial)
    return "*".join(factors)


ONE = Polynomial.constant(1)
