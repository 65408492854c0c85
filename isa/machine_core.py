"""Cores of a machine description: engines, scratchpad, scalar memory, energy per action."""

from __future__ import annotations

from typing import Annotated

from pydantic import model_validator

from isa.machine_numbers import Count, PicojoulePerAction, PicojoulePerByte, Strict, Text, Watt, counted, power_of_two
from isa.spec import SMEM_BYTES

Latency = Annotated[Count, counted(0, 100_000)]


class Seq(Strict):
    """Scalar engine: dispatches one instruction per cycle."""

    queue_depth: Annotated[Count, counted(1, 64)]
    smem_bytes: Annotated[Count, counted(SMEM_BYTES, SMEM_BYTES)]
    smem_port_bytes: Annotated[Count, power_of_two(1, 64)]


class Dma(Strict):
    """DRAM to SRAM (dml) or back (dms): bytes per cycle of its scratchpad port, and bytes of its requests in flight."""

    port_bytes: Annotated[Count, power_of_two(1, 4096)]
    outstanding_bytes: Annotated[Count, power_of_two(256, 1 << 24)]


class MxuBeats(Strict):
    """Cycles for which one row of A occupies the array, by the wider operand dtype."""

    i8: Annotated[Count, counted(1, 64)]
    f16: Annotated[Count, counted(1, 64)]
    f32: Annotated[Count, counted(1, 64)]


class Mxu(Strict):
    """rows (n) x columns (lanes of k) multiply-accumulators, weights stationary, bytes per cycle at each port."""

    rows: Annotated[Count, counted(1, 1024)]
    columns: Annotated[Count, counted(1, 1024)]
    accumulator_rows: Annotated[Count, counted(1, 65536)]
    a_port_bytes: Annotated[Count, power_of_two(1, 4096)]
    b_port_bytes: Annotated[Count, power_of_two(1, 4096)]
    c_port_bytes: Annotated[Count, power_of_two(1, 4096)]
    beats_per_row: MxuBeats
    latency: Latency


class VpuCycles(Strict):
    """Cycles per group of `lanes` elements, by class of operation."""

    simple: Annotated[Count, counted(1, 256)]
    transcendental: Annotated[Count, counted(1, 256)]
    softmax: Annotated[Count, counted(1, 256)]
    division: Annotated[Count, counted(1, 256)]


class Vpu(Strict):
    """fp32 lanes; each operand has a port of port_bytes per cycle."""

    lanes: Annotated[Count, counted(1, 1024)]
    port_bytes: Annotated[Count, power_of_two(4, 4096)]
    cycles: VpuCycles
    latency: Latency
    reduction_latency: Latency


class Sram(Strict):
    """The scratchpad: one bank serves one access of bank_bytes per cycle."""

    size_bytes: Annotated[Count, counted(16384, 1 << 31)]
    banks: Annotated[Count, power_of_two(1, 1024)]
    bank_bytes: Annotated[Count, power_of_two(4, 1024)]

    @model_validator(mode="after")
    def _divides(self) -> Sram:
        if self.size_bytes.value % (self.banks.value * self.bank_bytes.value):
            raise ValueError("size_bytes to be a multiple of banks x bank_bytes")
        return self


class MacEnergy(Strict):
    """One multiply-accumulate, by (A, B) dtype. Pairs that came with ISA 1.2 may be absent: STAND_INS."""

    i8_i8: PicojoulePerAction
    i8_i4: PicojoulePerAction
    f16_f16: PicojoulePerAction
    bf16_bf16: PicojoulePerAction
    f16_i8: PicojoulePerAction
    bf16_i8: PicojoulePerAction
    f16_i4: PicojoulePerAction
    bf16_i4: PicojoulePerAction
    f32_f32: PicojoulePerAction
    f16_e4m3: PicojoulePerAction | None = None
    bf16_e4m3: PicojoulePerAction | None = None
    f16_e2m1: PicojoulePerAction | None = None
    bf16_e2m1: PicojoulePerAction | None = None


STAND_INS = {"f16_e4m3": "f16_i8", "bf16_e4m3": "bf16_i8", "f16_e2m1": "f16_i4", "bf16_e2m1": "bf16_i4"}
"""Which row counts for an absent one: B is converted as well, and as wide."""


class VpuEnergy(Strict):
    """One element, by class of operation."""

    simple: PicojoulePerAction
    transcendental: PicojoulePerAction
    softmax: PicojoulePerAction
    division: PicojoulePerAction


class CoreEnergy(Strict):
    """Actions of a core, and what it draws when nothing happens."""

    instruction: PicojoulePerAction
    smem: PicojoulePerByte
    sram_read: PicojoulePerByte
    sram_write: PicojoulePerByte
    accumulator: PicojoulePerByte
    mac: MacEnergy
    vpu: VpuEnergy
    sram_static: Watt
    logic_static: Watt


class Core(Strict):
    """One processor: engines, scratchpad, scalar memory, energies."""

    name: Text
    clock_hz: Annotated[Count, counted(1_000_000, 10_000_000_000)]
    seq: Seq
    dml: Dma
    dms: Dma
    mxu: Mxu
    vpu: Vpu
    sram: Sram
    energy: CoreEnergy
