"""The compiler's closed forms against answers by hand, on machine edge: 64 x 64 MACs, 64 lanes, 4 channels of LPDDR5-6400 at 1 GHz."""

from __future__ import annotations

from gc import collect
from math import ceil
from weakref import ref

import pytest
from xdsl.ir import Block

from compiler.analysis.predict_accesses import Pieces, pieces_of, port_use
from compiler.analysis.predict_engines import EngineCost, EngineForms, vector_kind
from compiler.analysis.predict_operations import EngineForm, OperationCosts
from compiler.analysis.predict_rows import Bus
from compiler.analysis.predict_sharing import Demand, Shared, run_shared
from compiler.analysis.predict_timeline import Timeline
from compiler.dialects import tile
from isa.descriptor import Descriptor, dense_strides
from isa.machine import load_machine
from isa.spec import FMT_BLOCKED, Dtype, Region

MACHINE = load_machine("edge")
FORMS = EngineForms(MACHINE)
REFRESHED = 3906 / (3906 - (18.75 + 280 + 18.75))


def dense(region: Region, dtype: Dtype, *extents: int, base: int = 0) -> Descriptor:
    quad = (extents + (1, 1, 1, 1))[:4]
    return Descriptor(base, region, dtype, (quad[0], quad[1], quad[2], quad[3]), dense_strides(dtype, quad))


def test_dense_dimensions_are_one_run() -> None:
    assert pieces_of(dense(Region.SRAM, Dtype.F32, 16, 3)) == Pieces(1, 192)


def test_a_form_whose_cost_is_known_stays() -> None:
    """Costs are found by its identity, which nothing else may get."""
    form = EngineForm(tile.LoadOp.create(operands=Block(arg_types=[tile.ViewType()] * 2).args))
    costs, kept = OperationCosts(FORMS), ref(form)
    costs.cost(form, (dense(Region.SRAM, Dtype.F32, 16), dense(Region.IO, Dtype.F32, 16)))
    del form
    collect()
    assert kept() is not None


def test_strided_elements_fall_into_banks() -> None:
    # 32 banks of 32 bytes: a stride of 64 bytes meets every other bank, 16 of them; the port takes 64 elements.
    assert port_use(Pieces(64, 4, 64, 1), 256, MACHINE.core.sram).cycles == 4
    # A stride of all banks meets the same one each time.
    assert port_use(Pieces(64, 4, 1024, 1), 256, MACHINE.core.sram).cycles == 64


def test_dense_transfer_is_bound_by_the_bus() -> None:
    moved = FORMS.dram.moved(dense(Region.WEIGHT, Dtype.U8, 131072), write=False)
    # A quarter of 4,096 bursts of 32 bytes on each channel, 2.5 ns each.
    assert (moved.cycles, moved.size_bytes) == (ceil(1024 * 2.5 * REFRESHED), 131072)


def test_small_transfer_is_one_burst() -> None:
    moved = FORMS.dram.moved(dense(Region.IO, Dtype.I32, 1, base=4), write=False)
    assert moved.size_bytes == 32
    assert moved.cycles <= ceil(5 * REFRESHED)


def test_rows_change_in_the_order_of_requests() -> None:
    """A burst of two rows of a bank, then of two rows of another bank."""
    moved = FORMS.dram.moved(
        Descriptor(0, Region.WEIGHT, Dtype.U8, (32, 2, 2, 1), (1, 128 << 10, 16 << 10, 0)), write=False
    )
    # The second one is asked for tRCD 18.75 after the first, and the third behind it; the last one's row opens tRC 61.25 later.
    assert moved.cycles == ceil((18.75 + 61.25 + 2.5) * REFRESHED)


def test_what_comes_in_time_fills_a_gap_of_the_bus() -> None:
    bus = Bus()
    assert [bus.take(20, 5), bus.take(0, 10), bus.take(5, 5), bus.take(0, 10)] == [20, 0, 10, 25]


def test_latency_of_a_load() -> None:
    # controller 20 + tRCD 18.75 + RL 21.25
    assert FORMS.dram.latency[False] == 60


def test_one_token_is_bound_by_the_weights() -> None:
    a, c = dense(Region.SRAM, Dtype.I8, 2048, 1), dense(Region.SRAM, Dtype.I32, 64, 1)
    b = Descriptor(0, Region.SRAM, Dtype.I8, (2048, 64, 1, 1), (0, 32768, 0, 0), 0, FMT_BLOCKED)
    cost = FORMS.matrix(c, a, b, None, False)
    # 32 passes of 64 x 64 bytes over a port of 128.
    assert (cost.cycles, cost.lead) == (32 * 32, 32)


def test_a_chunk_is_bound_by_its_rows() -> None:
    a, c = dense(Region.SRAM, Dtype.I8, 2048, 128), dense(Region.SRAM, Dtype.I32, 64, 128)
    b = Descriptor(0, Region.SRAM, Dtype.I8, (2048, 64, 1, 1), (0, 32768, 0, 0), 0, FMT_BLOCKED)
    assert FORMS.matrix(c, a, b, None, False).cycles == 32 * 128


@pytest.mark.parametrize(
    ("op", "function", "cycles"), [("vbin", "add", 16), ("vbin", "div", 64), ("vun", "exp", 32), ("vun", "mov", 16)]
)
def test_vector_classes(op: str, function: str, cycles: int) -> None:
    td = dense(Region.SRAM, Dtype.F32, 1024)
    assert FORMS.vector(vector_kind(op, function), 1024, [td], [td], False).cycles == cycles


def test_the_younger_gets_what_is_left() -> None:
    bus = Shared()
    assert run_shared(0, 100, [Demand(bus, 0.75)], 0) == 100
    # A quarter of the speed for 100 cycles, then all of it.
    assert run_shared(0, 50, [Demand(bus, 1.0)], 0) == 125


def test_what_is_in_flight_is_done_before_an_older_one_that_begins_then() -> None:
    for in_flight, end, promises in ((3, 114, 3), (4, 14, 4)):
        bus = Shared()
        assert run_shared(10, 100, [Demand(bus, 1.0)], 0) == 110
        # Of 14 cycles 4 are left in cycle 10. What they take is owed behind the other one.
        assert run_shared(0, 14, [Demand(bus, 1.0, in_flight)], 0) == end
        assert len(bus.promises) == promises
        assert (110, 114, 1.0) in bus.promises


def test_queue_and_interlock() -> None:
    timeline = Timeline(MACHINE)
    written = (int(Region.SRAM), 0, 64, True)
    read = (int(Region.SRAM), 0, 64, False)
    timeline.engine("a", EngineCost(2, 100, latency=24), [written], 0)
    timeline.engine("b", EngineCost(3, 10, latency=12), [read], 0)
    assert timeline.latest == 100 + 24 + 10 + 12
    assert [timeline.tallies[name].cycles for name in "ab"] == [124, 22]
    for _ in range(5):
        timeline.engine("c", EngineCost(2, 100), [], 0)
    # One runs and four wait: the next one is dispatched when the first of these starts.
    timeline.engine("c", EngineCost(2, 100), [], 0)
    assert timeline.now == 201


def test_a_shift_moves_the_future() -> None:
    plain, shifted = Timeline(MACHINE), Timeline(MACHINE)
    for timeline in (plain, shifted):
        timeline.engine("a", EngineCost(2, 100, latency=24), [(int(Region.SRAM), 0, 64, True)], 0)
    shifted.shift(1000)
    for timeline in (plain, shifted):
        timeline.engine("b", EngineCost(3, 10, latency=12), [(int(Region.SRAM), 0, 64, False)], 0)
    assert shifted.latest == plain.latest + 1000
