"""Memories of a machine description: DRAM organisation, timing and energy."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import model_validator

from isa.machine_numbers import (
    Count,
    PicojoulePerAction,
    PicojoulePerByte,
    Real,
    Strict,
    Text,
    Watt,
    measured,
    power_of_two,
)

Nanoseconds = Annotated[Real, measured(0.0, 1e6, "ns")]


class AddressMap(Strict):
    """Which part of a DRAM address selects what, see docs/timing.md."""

    order: Literal["row:bank:column"]
    channel_interleave_bytes: Annotated[Count, power_of_two(32, 1 << 20)]
    bank_group_interleave: Annotated[Count, power_of_two(1, 16)]


class DramTiming(Strict):
    """JEDEC names; nanoseconds."""

    burst: Annotated[Real, measured(0.05, 1000, "ns")]
    tCCD_L: Nanoseconds
    tRCD: Nanoseconds
    tRP: Nanoseconds
    tRC: Nanoseconds
    tRRD: Nanoseconds
    tFAW: Nanoseconds
    tWR: Nanoseconds
    tWTR: Nanoseconds
    tRTW: Nanoseconds
    RL: Nanoseconds
    WL: Nanoseconds
    tREFI: Annotated[Real, measured(1, 1e6, "ns")]
    tRFC: Nanoseconds
    controller: Nanoseconds

    @model_validator(mode="after")
    def _refreshes(self) -> DramTiming:
        around = self.WL.value + self.tWR.value + self.tRP.value + self.tRCD.value
        if self.tRFC.value + around >= self.tREFI.value:
            raise ValueError("tRFC, with WL + tWR + tRP + tRCD around it, shorter than tREFI")
        return self


class MemoryEnergy(Strict):
    """Actions of a memory device, of its controller and interface on the chip, and its background power."""

    activate: PicojoulePerAction
    read: PicojoulePerByte
    write: PicojoulePerByte
    controller: PicojoulePerByte
    static: Watt


class Memory(Strict):
    """DRAM: channels of identical organisation."""

    name: Text
    type: Text
    channels: Annotated[Count, power_of_two(1, 64)]
    capacity_bytes: Annotated[Count, power_of_two(1 << 20, 1 << 40)]
    banks: Annotated[Count, power_of_two(1, 256)]
    row_bytes: Annotated[Count, power_of_two(256, 65536)]
    burst_bytes: Annotated[Count, power_of_two(8, 256)]
    address_map: AddressMap
    timing: DramTiming
    energy: MemoryEnergy

    @model_validator(mode="after")
    def _fits(self) -> Memory:
        if self.address_map.channel_interleave_bytes.value < self.burst_bytes.value:
            raise ValueError("address_map.channel_interleave_bytes of at least burst_bytes")
        if self.address_map.bank_group_interleave.value > self.banks.value:
            raise ValueError("address_map.bank_group_interleave of at most banks")
        if self.row_bytes.value < self.burst_bytes.value:
            raise ValueError("row_bytes of at least burst_bytes")
        return self

    @property
    def peak_bytes_per_second(self) -> float:
        """All channels, back-to-back bursts, no refresh."""
        return self.channels.value * self.burst_bytes.value / (self.timing.burst.value * 1e-9)

    @property
    def response_bytes(self) -> float:
        """What all channels move between a request to a closed row and the end of its data."""
        timing = self.timing
        response_ns = timing.controller.value + timing.tRCD.value + timing.RL.value + timing.burst.value
        return self.peak_bytes_per_second * response_ns * 1e-9

    @property
    def refreshed_bytes_per_second(self) -> float:
        """The peak less the time of refresh, with the precharge before it and the activate after it: no stream is faster."""
        timing = self.timing
        closed = timing.tRP.value + timing.tRFC.value + timing.tRCD.value
        return self.peak_bytes_per_second * (1.0 - closed / timing.tREFI.value)
