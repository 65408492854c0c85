"""Placement of buffers: never overlapping while alive, on granules, never better than the bound; lifetimes cover every use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xdsl.dialects import arith, scf
from xdsl.dialects.builtin import IndexType, IntegerAttr, StringAttr, UnknownLoc
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Block, Operation, Region, SSAValue
from xdsl.utils.exceptions import VerifyException

from compiler.analysis.buffer_lifetimes import Lifetime, buffer_lifetimes
from compiler.analysis.sram_solver import GRANULE_BYTES, check, lower_bound, solve
from compiler.analysis.sram_spread import FAR, spread
from compiler.dialects import tile
from compiler.lowering.builder import Place, TileBuilder
from compiler.sizes import to_granules

SETTINGS = settings(deadline=None, derandomize=True, database=None)


@st.composite
def lifetimes(draw: st.DrawFn) -> list[Lifetime]:
    found: list[Lifetime] = []
    for index in range(draw(st.integers(0, 14))):
        first = draw(st.integers(0, 30))
        size_bytes = draw(st.one_of(st.integers(1, 5000), st.sampled_from([1, 63, 64, 65, 128])))
        last = first + draw(st.integers(0, 12))
        inside = draw(st.lists(st.integers(first + 1, last - 1), max_size=4, unique=True)) if last - first > 1 else []
        gaps = batched(sorted(inside))
        apart = tuple(gap for number, gap in enumerate(gaps) if not number or gaps[number - 1][1] + 1 < gap[0])
        found.append(Lifetime(index, f"b{index}", size_bytes, first, last, apart))
    return found


def batched(ops: list[int]) -> list[tuple[int, int]]:
    """Pairs of them, in order."""
    return list(zip(ops[::2], ops[1::2], strict=False))


def used_at(life: Lifetime) -> set[int]:
    """The ops at which a buffer is in use."""
    return set(range(life.first, life.last + 1)) - {op for start, end in life.gaps for op in range(start, end + 1)}


@SETTINGS
@given(lifetimes())
def test_spans_and_overlaps_are_those_of_the_ops(given_lifetimes: list[Lifetime]) -> None:
    for life in given_lifetimes:
        assert {op for first, last in life.spans for op in range(first, last + 1)} == used_at(life)
        assert all(first <= last for first, last in life.spans)
        for other in given_lifetimes:
            assert life.overlaps(other) == bool(used_at(life) & used_at(other))


@SETTINGS
@given(lifetimes())
def test_placements_are_sound(given_lifetimes: list[Lifetime]) -> None:
    placement = solve(given_lifetimes)
    occupied: dict[tuple[int, int], int] = {}
    for life, offset in zip(given_lifetimes, placement.offsets, strict=True):
        assert offset >= 0
        assert offset % GRANULE_BYTES == 0
        assert offset + life.size_bytes <= placement.size_bytes
        for time in used_at(life):
            for granule in range(offset // GRANULE_BYTES, (offset + life.size_bytes - 1) // GRANULE_BYTES + 1):
                assert occupied.setdefault((time, granule), life.index) == life.index
    check(given_lifetimes, placement)
    busiest: dict[int, int] = {}
    for time, _ in occupied:
        busiest[time] = busiest.get(time, 0) + GRANULE_BYTES
    assert placement.lower_bound_bytes == lower_bound(given_lifetimes) == max(busiest.values(), default=0)
    assert placement.lower_bound_bytes <= placement.size_bytes


def closest(given_lifetimes: list[Lifetime], offsets: Sequence[int]) -> int:
    """Ops between the uses of two buffers that share memory, the least of all pairs, at most FAR."""
    found = FAR
    for one, other in combinations(given_lifetimes, 2):
        low, high = offsets[one.index], offsets[one.index] + to_granules(one.size_bytes)
        if low < offsets[other.index] + to_granules(other.size_bytes) and offsets[other.index] < high:
            found = min(found, max(one.first - other.last, other.first - one.last, 0))
    return found


@SETTINGS
@given(lifetimes(), st.integers(0, 20000))
def test_buffers_are_spread_where_there_is_room(given_lifetimes: list[Lifetime], more: int) -> None:
    """Sound, not beyond the room, and memory is not used again sooner than before."""
    before = solve(given_lifetimes)
    room = before.size_bytes + more
    after = spread(given_lifetimes, before, room)
    check(given_lifetimes, after)
    assert after.size_bytes <= room
    assert closest(given_lifetimes, after.offsets) >= closest(given_lifetimes, before.offsets)


def test_memory_is_used_again_late() -> None:
    """Of four buffers one after the other in room for two, none is in the memory of the one before."""
    turns = [Lifetime(index, "turn", 1024, 20 * index, 20 * index + 9) for index in range(4)]
    offsets = spread(turns, solve(turns), 2048).offsets
    assert set(offsets) == {0, 1024}
    assert all(here != there for here, there in pairwise(offsets))


def test_buffers_that_take_turns_share_their_place() -> None:
    turns = [Lifetime(index, "turn", 1000, 2 * index, 2 * index + 1) for index in range(5)]
    assert solve(turns).size_bytes == 1024


@SETTINGS
@given(lifetimes(), st.integers(0, 6000))
def test_more_orders_are_tried_where_there_is_too_little_room(given_lifetimes: list[Lifetime], missing: int) -> None:
    """Never a worse placement, and a sound one."""
    first = solve(given_lifetimes)
    room = max(first.size_bytes - missing, 0)
    placement = solve(given_lifetimes, room)
    check(given_lifetimes, placement)
    assert placement.lower_bound_bytes <= placement.size_bytes <= first.size_bytes
    assert placement.lower_bound_bytes == first.lower_bound_bytes


def test_what_ends_highest_is_placed_first_where_that_helps() -> None:
    lives = [
        Lifetime(0, "a", 320, 6, 10),
        Lifetime(1, "b", 192, 2, 7),
        Lifetime(2, "c", 256, 3, 5),
        Lifetime(3, "d", 384, 0, 3),
    ]
    bound = lower_bound(lives)
    assert solve(lives, bound).size_bytes <= solve(lives).size_bytes


def test_the_check_finds_overlaps_and_crooked_places() -> None:
    pair = [Lifetime(0, "a", 100, 0, 5), Lifetime(1, "b", 100, 3, 8)]
    placement = solve(pair)
    for offsets in ((0, 64), (0, 0), (64, 0)):
        with pytest.raises(ValueError, match="buffers a and b overlap"):
            check(pair, replace(placement, offsets=offsets))
    for offsets in ((0, 130), (-64, 128), (0, 192)):
        with pytest.raises(ValueError, match="lies badly"):
            check(pair, replace(placement, offsets=offsets))
    check([pair[0], replace(pair[1], first=6)], replace(placement, offsets=(0, 0)))


# Lifetimes


class Function:
    """A function that is being written: buffers, uses of them, loops."""

    def __init__(self) -> None:
        self.block = Block()
        self.builder = TileBuilder(self.block, UnknownLoc())

    def buffer(self, size_bytes: int = 256, label: str = "b") -> SSAValue:
        return self.builder.alloc(label, size_bytes)

    def use(self, *buffers: SSAValue) -> Operation:
        views = [self.builder.view(Place("sram", buffer), "f32", [4]) for buffer in buffers]
        op = tile.VunOp(operands=[views[0], views[-1], None], properties={"function": StringAttr("mov")})
        return self.builder.insert(op)

    def finish(self) -> FuncOp:
        self.builder.insert(ReturnOp())
        return FuncOp("f", ((), ()), Region(self.block))


def test_a_buffer_lives_from_its_first_to_its_last_use() -> None:
    f = Function()
    a, b, c = f.buffer(label="a"), f.buffer(label="b"), f.buffer(label="c")
    f.use(a)
    f.use(b, a)
    f.use(b)
    f.use(c)
    _, (la, lb, lc) = buffer_lifetimes(f.finish(), "sram")
    assert la.first < lb.first == la.last < lb.last < lc.first == lc.last
    assert not la.overlaps(lc)
    assert la.overlaps(lb)


def test_a_loop_stretches_what_comes_from_outside() -> None:
    """A buffer written before a loop and read in it is needed again in the next iteration: nothing may share its place."""
    f = Function()
    outside, late = f.buffer(label="outside"), f.buffer(label="late")
    f.use(outside)
    inner: list[SSAValue] = []

    def body(_: SSAValue, __: list[SSAValue]) -> list[SSAValue]:
        f.use(outside)
        inner.append(f.buffer(label="inner"))
        f.use(inner[0])
        f.use(late)
        return []

    f.builder.loop(0, 4, 1, body)
    allocs, lives = buffer_lifetimes(f.finish(), "sram")
    by_label = {life.label: life for life in lives}
    assert [alloc.label.data for alloc in allocs] == ["outside", "late", "inner"]
    assert by_label["outside"].overlaps(by_label["inner"])
    assert by_label["outside"].overlaps(by_label["late"])
    assert by_label["late"].overlaps(by_label["inner"])
    placement = solve(lives)
    assert placement.size_bytes == 3 * 256


def test_the_outermost_loop_counts() -> None:
    f = Function()
    outside = f.buffer(label="outside")

    def inner_body(_: SSAValue, __: list[SSAValue]) -> list[SSAValue]:
        f.use(outside)
        return []

    def body(_: SSAValue, __: list[SSAValue]) -> list[SSAValue]:
        f.builder.loop(0, 2, 1, inner_body)
        f.use(f.buffer(label="temporary"))
        return []

    f.builder.loop(0, 2, 1, body)
    _, lives = buffer_lifetimes(f.finish(), "sram")
    assert lives[0].overlaps(lives[1])


def carried_function(place: str) -> FuncOp:
    """A loop whose iterations fill a buffer for the next one, renewed in the loop itself or in one inside of it."""
    f = Function()
    b = f.builder
    carried = b.alloc("carried", 256, carried=True)
    f.use(carried)

    def body(_: SSAValue, __: list[SSAValue]) -> list[SSAValue]:
        f.use(carried)
        f.use(f.buffer(label="between"))

        def fill(*_: object) -> list[SSAValue]:
            b.renew(carried)
            f.use(f.buffer(label="beside"))
            f.use(carried)
            return []

        if place == "inside":
            b.loop(0, 2, 1, fill)
        else:
            fill()
        f.use(f.buffer(label="behind"))
        return []

    b.loop(0, 4, 1, body)
    f.use(f.buffer(label="end"))
    return f.finish()


@pytest.mark.parametrize("place", ["here", "inside"])
def test_a_carried_buffer_is_free_until_it_is_renewed(place: str) -> None:
    _, lives = buffer_lifetimes(carried_function(place), "sram")
    by_label = {life.label: life for life in lives}
    carried = by_label["carried"]
    overlapping = {label for label, life in by_label.items() if label != "carried" and carried.overlaps(life)}
    assert overlapping == {"beside", "behind"}
    assert len(carried.spans) == 2


def test_only_carried_buffers_are_renewed() -> None:
    f = Function()
    f.builder.renew(f.buffer())
    with pytest.raises(VerifyException, match="only a carried buffer is renewed"):
        f.finish().verify()


def test_branches_do_not_stretch() -> None:
    f = Function()
    a, b = f.buffer(label="a"), f.buffer(label="b")
    condition = f.builder.compare("eq", f.builder.value(1), 1)
    f.builder.when(condition, lambda: (f.use(a), None)[1], lambda: (f.use(b), None)[1])
    _, (la, lb) = buffer_lifetimes(f.finish(), "sram")
    assert not la.overlaps(lb)


def test_only_the_asked_space_counts_and_unused_buffers_live_shortly() -> None:
    f = Function()
    f.builder.alloc("scalars", 64, "smem")
    f.buffer(label="unused")
    function = f.finish()
    assert [life.label for life in buffer_lifetimes(function, "sram")[1]] == ["unused"]
    smem = buffer_lifetimes(function, "smem")[1]
    assert [life.label for life in smem] == ["scalars"]
    assert smem[0].first == smem[0].last


@SETTINGS
@given(st.data())
def test_random_programs_never_read_what_another_buffer_overwrote(data: st.DataObject) -> None:
    """Runs random loops on a memory of granules, placed by the solver: every read finds the last write to its own buffer."""
    f = Function()
    program = data.draw(trees(3))
    emit(f, program, [f.buffer(data.draw(st.integers(1, 300)), f"top{n}") for n in range(3)], data)
    function = f.finish()
    allocs, lives = buffer_lifetimes(function, "sram")
    placement = solve(lives)
    where = {
        alloc: (offset, alloc.size_bytes.value.data) for alloc, offset in zip(allocs, placement.offsets, strict=True)
    }
    memory: dict[int, tuple[tile.AllocOp, int]] = {}
    written: dict[tile.AllocOp, int] = {}

    def run(block: Block) -> None:
        for op in block.ops:
            if isinstance(op, tile.AllocOp):
                written.pop(op, None)  # what an iteration left behind does not count
            elif isinstance(op, scf.ForOp):
                for _ in range(2):
                    run(op.body.block)
            elif isinstance(op, tile.VunOp):
                target, source = (owner(view) for view in (op.target, op.a))
                if source in written:
                    offset, size = where[source]
                    for byte in range(offset, offset + size):
                        assert memory[byte] == (source, written[source])
                written[target] = written.get(target, 0) + 1
                offset, size = where[target]
                memory.update(dict.fromkeys(range(offset, offset + size), (target, written[target])))

    run(function.body.block)


def owner(view: SSAValue | None) -> tile.AllocOp:
    assert view is not None
    made = view.owner
    assert isinstance(made, tile.ViewOp)
    assert made.buffer is not None
    alloc = made.buffer.owner
    assert isinstance(alloc, tile.AllocOp)
    return alloc


@st.composite
def trees(draw: st.DrawFn, depth: int) -> list[object]:
    """`use`, `alloc`, or a list: a loop."""
    kinds = ["use", "use", "alloc"]
    found: list[object] = []
    for _ in range(draw(st.integers(1, 5))):
        if depth and draw(st.integers(0, 2)) == 0:
            found.append(draw(trees(depth - 1)))
        else:
            found.append(draw(st.sampled_from(kinds)))
    return found


def emit(f: Function, program: list[object], buffers: list[SSAValue], data: st.DataObject) -> None:
    known = list(buffers)
    for item in program:
        if item == "use":
            f.use(data.draw(st.sampled_from(known)), data.draw(st.sampled_from(known)))
        elif item == "alloc":
            known.append(f.buffer(data.draw(st.integers(1, 300)), "inner"))
        elif isinstance(item, list):

            def body(_: SSAValue, __: list[SSAValue], inner: list[object] = item) -> list[SSAValue]:
                emit(f, inner, known, data)
                return []

            f.builder.loop(0, 2, 1, body)


def test_constants_are_shared_by_nobody() -> None:
    """The builder computes with Python numbers while it can: no op is made for them."""
    f = Function()
    assert f.builder.add(2, 3) == 5
    assert f.builder.mul(f.builder.value(4), 0) == 0
    assert f.builder.rem(300, 256) == 44
    assert isinstance(f.builder.add(f.builder.value(4), 1), SSAValue)
    kinds = [type(op) for op in f.block.ops]
    assert kinds == [arith.ConstantOp, arith.ConstantOp, arith.ConstantOp, arith.AddiOp]
    first = f.block.first_op
    assert isinstance(first, arith.ConstantOp)
    assert first.value == IntegerAttr(4, IndexType())
