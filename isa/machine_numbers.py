"""Numbers of a machine description: each carries its value, where it comes from and how sure we are.

A number that is a choice of the designer says `source = "design choice"`. Every other number cites a paper, a tool's
output or a scaling, and states its uncertainty and confidence (A primary source, B secondary, C estimate).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from isa.uncertainty import Band, band_of

DESIGN_CHOICE = "design choice"
MAX_ENERGY = 1e6

Text = Annotated[str, Field(min_length=1, max_length=600)]


class Strict(BaseModel):
    """Base of every table: exact types, no unknown keys, immutable."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)


class Sourced(Strict):
    """What every number has beside its value."""

    source: Text
    unit: Text | None = None
    node: Text | None = None
    uncertainty: Text | None = None
    confidence: Literal["A", "B", "C"] | None = None

    @model_validator(mode="after")
    def _is_qualified(self) -> Sourced:
        if self.source != DESIGN_CHOICE and (self.uncertainty is None or self.confidence is None):
            raise ValueError('uncertainty and confidence ("A", "B" or "C"), as the source is not "design choice"')
        return self


class Count(Sourced):
    """An integer quantity."""

    value: int


class Real(Sourced):
    """A real quantity."""

    value: float


class EnergyRow(Real):
    """An energy per action or a static power. Never a design choice: someone measured or modelled it."""

    @model_validator(mode="after")
    def _is_cited(self) -> EnergyRow:
        if self.source == DESIGN_CHOICE:
            raise ValueError('a cited source, as an energy cannot be a "design choice"')
        if self.node is None:
            raise ValueError("node, the technology the energy belongs to")
        if not 0 <= self.value <= MAX_ENERGY:
            raise ValueError(f"a number from 0 to {MAX_ENERGY:g}, found {self.value:g}")
        band_of(self.uncertainty or "")
        return self

    @property
    def band(self) -> Band:
        """What the uncertainty says."""
        return band_of(self.uncertainty or "")


def _count_check(low: int, high: int, power_of_two: bool) -> Callable[[Count], Count]:
    wanted = f"{'a power of two' if power_of_two else 'an integer'} from {low} to {high}"

    def check(number: Count) -> Count:
        if not low <= number.value <= high or (power_of_two and number.value & (number.value - 1)):
            raise ValueError(f"{wanted}, found {number.value}")
        return number

    return check


def counted(low: int, high: int) -> AfterValidator:
    """The value of a Count lies in [low, high]."""
    return AfterValidator(_count_check(low, high, power_of_two=False))


def power_of_two(low: int, high: int) -> AfterValidator:
    """The value of a Count is a power of two in [low, high]."""
    return AfterValidator(_count_check(low, high, power_of_two=True))


def measured(low: float, high: float, unit: str) -> AfterValidator:
    """The value of a Real lies in [low, high] and its unit is the given one."""

    def check(number: Real) -> Real:
        if number.unit != unit:
            raise ValueError(f'unit = "{unit}", found {number.unit!r}')
        if not low <= number.value <= high:
            raise ValueError(f"a number from {low:g} to {high:g}, found {number.value:g}")
        return number

    return AfterValidator(check)


def energy_in(unit: str) -> AfterValidator:
    """The unit of an EnergyRow is the given one."""

    def check(row: EnergyRow) -> EnergyRow:
        if row.unit != unit:
            raise ValueError(f'unit = "{unit}", found {row.unit!r}')
        return row

    return AfterValidator(check)


PicojoulePerAction = Annotated[EnergyRow, energy_in("pJ")]
PicojoulePerByte = Annotated[EnergyRow, energy_in("pJ/byte")]
Watt = Annotated[EnergyRow, energy_in("W")]
