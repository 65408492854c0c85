"""Closed forms of SRAM, MXU, VPU and DRAM against answers worked out by hand (edge: 64 x 64, 32 banks x 32 B, 1 GHz)."""

import json

import pytest

from isa.descriptor import Descriptor, dense_strides
from isa.machine import Machine, load_machine
from isa.spec import BY_MNEMONIC, FMT_BLOCKED, FMT_SPARSE, VBIN, VRED, VUN, Dtype, Engine, Flag, Region
from simulator.timing import TimingModel
from simulator.timing.actions import ACTION_INDEX, named
from simulator.timing.costs import CostModel
from simulator.timing.dram import Dram
from simulator.timing.resource import WHOLE
from simulator.timing.sram import Access, Runs, access, runs_of

EDGE = load_machine("edge")
SRAM = EDGE.core.sram


def tensor(base, region, dtype, *extents, strides=None, fmt=0, glog2=0):
    extents = tuple(extents) + (1,) * (4 - len(extents))
    return Descriptor(base, region, dtype, extents, strides or dense_strides(dtype, extents), glog2, fmt)


def cost(mnemonic, *tds, fn=0, fl=0, machine=EDGE):
    tds = tuple(tds) + (None,) * (4 - len(tds))
    return CostModel(machine).cost(BY_MNEMONIC[mnemonic], fn, fl, tds)


def actions(found):
    counts = [0] * len(ACTION_INDEX)
    for index, count in found.actions:
        counts[index] += count
    return {name: count for name, count in named(counts).items() if count}


S = Region.SRAM


class TestRuns:
    def test_a_dense_tensor_is_one_run(self):
        assert runs_of(tensor(0, S, Dtype.F32, 8, 4, 2)) == Runs(1, 256)

    def test_rows_of_a_wider_tensor_are_runs(self):
        assert runs_of(tensor(0, S, Dtype.I8, 64, 10, strides=(1, 128, 0, 0))) == Runs(10, 64)

    def test_dimensions_after_a_gap_do_not_merge(self):
        assert runs_of(tensor(0, S, Dtype.F32, 8, 4, 2, strides=(4, 64, 32, 0))) == Runs(8, 32)

    def test_a_strided_tensor_is_single_elements(self):
        assert runs_of(tensor(0, S, Dtype.BF16, 32, 2, strides=(4, 128, 0, 0))) == Runs(64, 2, 4, 2, 128)

    def test_a_broadcast_scalar_is_read_once_per_row(self):
        assert runs_of(tensor(0, S, Dtype.F32, 64, 5, strides=(0, 4, 0, 0))) == Runs(5, 4)

    def test_int4_counts_half_a_byte_per_element(self):
        assert runs_of(tensor(0, S, Dtype.I4, 64, 3, glog2=5)) == Runs(1, 96)


class TestSram:
    def test_dense_runs_take_port_beats_and_bank_accesses(self):
        assert access(Runs(3, 100), 64, SRAM) == Access(3 * 2, 3 * 4)

    @pytest.mark.parametrize(
        ("stride", "per_beat"),
        [(64, 16), (1024, 1), (2048, 1), (96, 32), (32, 32), (512, 2), (8, 64)],
    )
    def test_strides_that_meet_few_banks_are_slow(self, stride, per_beat):
        assert access(Runs(64, 4, stride), 256, SRAM).beats == 64 // per_beat

    def test_strides_that_are_no_multiple_of_a_bank_meet_banks_by_and_by(self):
        # 36 bytes: elements 0 to 28 lie in banks 0 to 31, element 29 in bank 0 again; 208 bytes: banks 0 6 13 19 26, then 0.
        assert access(Runs(64, 4, 36), 256, SRAM).beats == 3
        assert access(Runs(5, 4, 208), 256, SRAM).beats == 1
        assert access(Runs(6, 4, 208), 256, SRAM).beats == 2

    def test_a_beat_does_not_go_on_in_the_next_row(self):
        assert access(Runs(64, 4, 64, 8), 256, SRAM).beats == 8

    def test_rows_begin_where_their_distance_puts_them(self):
        # Bytes 33 apart: from a border, 32 of them lie in 32 banks. From the second byte of a bank on, the last one is in the first
        # bank again.
        assert access(Runs(32, 1, 33), 32, SRAM).beats == 1
        assert access(Runs(32 * 3, 1, 33, 3, 1), 32, SRAM).beats == 1 + 2 + 2
        # Every 32nd row begins at a border.
        assert access(Runs(32 * 33, 1, 33, 33, 1), 32, SRAM).beats == 1 + 31 * 2 + 1

    def test_rows_that_begin_inside_a_bank_reach_one_more(self):
        # 4 elements 16 bytes apart lie in 2 banks, or from byte 16 on in 3.
        assert access(Runs(8, 4, 16, 2, 80), 256, SRAM) == Access(2, 2 + 3)

    def test_elements_closer_than_a_bank_share_its_access(self):
        assert access(Runs(64, 4, 8), 256, SRAM).bank_accesses == 16
        assert access(Runs(64, 4, 64), 256, SRAM).bank_accesses == 64


def edge_with(unit, name, value):
    """With another size of a unit of the core."""
    data = json.loads(EDGE.canonical_json())
    data["cores"][0][unit][name]["value"] = value
    return Machine.from_canonical(data)


def blocked(k, n, dtype=Dtype.I8):
    return tensor(0, S, dtype, k, n, strides=(0, 16 * k * (2 if dtype == Dtype.BF16 else 1), 0, 0), fmt=FMT_BLOCKED)


def gemv(mnemonic, k, n, b, *scales):
    """Cycles of one row of int8 times these weights."""
    c = tensor(0, S, Dtype.F32 if mnemonic == "mmg" else Dtype.I32, n, 1)
    return cost(mnemonic, c, tensor(0, S, Dtype.I8, k, 1), b, *scales).cycles


class TestMatrix:
    def test_gemv_is_bound_by_the_weight_port(self):
        found = cost("mm", tensor(0, S, Dtype.I32, 128, 1), tensor(4096, S, Dtype.I8, 256, 1), blocked(256, 128))
        # 2 x 4 passes of 64 x 64 weights, 4096 bytes each over 128 bytes per cycle.
        # Behind them, the last pass streams its row.
        assert (found.cycles, found.latency) == (8 * 32, 24 + 1)
        assert actions(found) == {
            "mac.i8_i8": 128 * 256,
            "sram_read.mxu_a": 2 * 4 * 64,
            "sram_read.mxu_b": 128 * 256,
            "sram_write.mxu_c": 2 * 64 * 4,
            "accumulator": 4 * 128 * 8,
        }

    @pytest.mark.parametrize(
        ("dtype", "c", "beats"), [(Dtype.I8, Dtype.I32, 1), (Dtype.BF16, Dtype.F32, 2), (Dtype.F32, Dtype.F32, 4)]
    )
    def test_many_rows_are_bound_by_the_array(self, dtype, c, beats):
        size = {Dtype.I8: 1, Dtype.BF16: 2, Dtype.F32: 4}[dtype]
        b = tensor(0, S, dtype, 64, 64, strides=(0, 16 * 64 * size, 0, 0), fmt=FMT_BLOCKED)
        found = cost("mm", tensor(0, S, c, 64, 128), tensor(0, S, dtype, 64, 128), b)
        assert found.cycles == 128 * beats

    def test_tails_are_passes_of_their_own(self):
        found = cost("mm", tensor(0, S, Dtype.I32, 65, 100), tensor(0, S, Dtype.I8, 65, 100), blocked(65, 65))
        assert found.cycles == 4 * 100  # 2 x 2 passes, each streams 100 rows

    def test_rows_beyond_the_accumulators_load_the_weights_again(self):
        found = cost("mm", tensor(0, S, Dtype.I32, 64, 129), tensor(0, S, Dtype.I8, 64, 129), blocked(64, 64))
        assert found.cycles == 128 + 32
        assert actions(found)["sram_read.mxu_b"] == 2 * 64 * 64

    def test_batched_weights_cost_per_batch_and_share_rows_over_tokens(self):
        b = tensor(0, S, Dtype.BF16, 64, 32, 4)
        found = cost("mm", tensor(0, S, Dtype.F32, 32, 8, 4, 10), tensor(0, S, Dtype.BF16, 64, 8, 4, 10), b)
        # 4 batches, M = 8 x 10, one pass of 32 x 64 each, two beats per row.
        assert found.cycles == 4 * 80 * 2
        assert actions(found)["mac.bf16_bf16"] == 4 * 80 * 32 * 64

    def test_weights_are_loaded_while_the_pass_before_them_streams(self):
        # K = 64 + 16: 16 rows of A stream in 64 and 32 cycles, weights are loaded in 64 and 16.
        tds = tensor(0, S, Dtype.F32, 128, 16), tensor(1 << 17, S, Dtype.BF16, 80, 16), blocked(80, 128, Dtype.BF16)
        found = cost("mm", *tds, machine=edge_with("mxu", "a_port_bytes", 32))
        # The first tile streams from cycle 64 to 160, and the other one when its weights are there, from 192 to 288.
        assert (found.cycles, found.lead, found.fill) == (288 - 32, 64, 32)

    def test_unbatched_weights_stream_all_rows(self):
        found = cost("mm", tensor(0, S, Dtype.I32, 64, 2, 3, 5), tensor(0, S, Dtype.I8, 64, 2, 3, 5), blocked(64, 64))
        assert found.cycles == max(30, 32)

    def test_values_of_attention_load_along_their_dense_dimension(self):
        # V [n = 64 channels, k = 64 positions]: 64 runs of 128 bytes, one beat each.
        v = tensor(0, S, Dtype.BF16, 64, 64, strides=(256, 2, 0, 0))
        found = cost("mm", tensor(0, S, Dtype.F32, 64, 1), tensor(0, S, Dtype.BF16, 64, 1), v)
        assert found.cycles == 64

    def test_blocked_scales_are_dense(self):
        b = tensor(0, S, Dtype.I4, 64, 64, strides=(0, 512, 0, 0), fmt=FMT_BLOCKED, glog2=5)
        scales = tensor(0, S, Dtype.F16, 2, 64, strides=(0, 64, 0, 0), fmt=FMT_BLOCKED)
        # 2048 bytes of weights, then 64 x 2 scales of 2 bytes, over 128 bytes per cycle.
        assert gemv("mmg", 64, 64, b, scales) == 16 + 2

    @pytest.mark.parametrize(
        ("groups", "strides", "beats"),
        [
            (2, (2, 4, 0, 0), 2),  # all scales of a row in this pass, rows adjacent: 256 bytes
            (2, (2, 64, 0, 0), 64),  # one run per row
            (2, (128, 2, 0, 0), 2),  # transposed: a run of 64 scales per group
            (4, (2, 8, 0, 0), 64),  # two of four scales of a row
        ],
    )
    def test_row_major_scales_take_a_run_per_row(self, groups, strides, beats):
        k = 32 * groups
        b = tensor(0, S, Dtype.I4, k, 64, strides=(0, 8 * k, 0, 0), fmt=FMT_BLOCKED, glog2=5)
        scales = tensor(0, S, Dtype.F16, groups, 64, strides=strides)
        assert gemv("mmg", k, 64, b, scales) == k // 64 * (16 + beats)

    def test_a_group_longer_than_a_pass_loads_its_scale_in_each(self):
        b = tensor(0, S, Dtype.I8, 128, 64, strides=(0, 2048, 0, 0), fmt=FMT_BLOCKED, glog2=7)
        scales = tensor(0, S, Dtype.F16, 1, 64, strides=(0, 32, 0, 0), fmt=FMT_BLOCKED)
        assert gemv("mmg", 128, 64, b, scales) == 2 * (32 + 1)

    def test_blocks_are_loaded_whole(self):
        b = tensor(0, S, Dtype.I8, 62, 65, strides=(0, 1024, 0, 0), fmt=FMT_BLOCKED)
        assert gemv("mm", 62, 65, b) == 32 + 8  # 64 columns of 62 padded to 64; one row of the last block of 16

    @pytest.mark.parametrize("glog2", [5, 6, 7])
    def test_plain_nibbles_of_a_group_lie_half_a_group_apart(self, glog2):
        b = tensor(0, S, Dtype.I4, 128, 64, strides=(0, 128, 0, 0), glog2=glog2)
        found = cost("mm", tensor(0, S, Dtype.F32, 64, 1), tensor(0, S, Dtype.F16, 128, 1), b)
        assert found.cycles == 2 * 64
        per_row = 64 if glog2 == 7 else 32  # a pass of 64 finds its nibbles in 64 bytes if the group is 128
        assert actions(found)["sram_read.mxu_b"] == 2 * 64 * per_row

    def test_sparse_rows_are_values_and_positions(self):
        whole = tensor(0, S, Dtype.I8, 128, 64, strides=(1, 80, 0, 0), fmt=FMT_SPARSE)
        assert gemv("mm", 128, 64, whole) == 40  # 64 rows of 64 values and 16 bytes of positions, dense
        parts = tensor(0, S, Dtype.I8, 256, 64, strides=(1, 160, 0, 0), fmt=FMT_SPARSE)
        assert gemv("mm", 256, 64, parts) == 2 * (64 + 64)  # in each pass a run of values and one of positions per row

    def test_accumulating_reads_c(self):
        tds = tensor(0, S, Dtype.I32, 64, 1), tensor(0, S, Dtype.I8, 64, 1), blocked(64, 64)
        assert "sram_read.mxu_c" not in actions(cost("mm", *tds))
        assert actions(cost("mm", *tds, fl=Flag.ACC))["sram_read.mxu_c"] == 256


class TestResults:
    """A port of 64 bytes for C: a row of 64 sums takes 4 cycles, and one of A only 1."""

    NARROW = edge_with("mxu", "c_port_bytes", 64)

    def product(self, rows, base=0):
        """Of so many rows, with 64 x 64 weights that take 32 cycles to load."""
        c, a = tensor(base + (1 << 16), S, Dtype.I32, 64, rows), tensor(base + (1 << 17), S, Dtype.I8, 64, rows)
        return c, a, blocked(64, 64)

    def test_rows_are_written_when_the_last_pass_streams_them(self):
        found = cost("mm", *self.product(128), machine=self.NARROW)
        # Rows stream from cycle 32 to 160 and are written from 32 to 32 + 4 x 128.
        assert (found.cycles, found.lead, found.fill) == (128, 32, 160 - 128)
        assert (found.writes, found.first_tile) == (512, 160 + 24)
        assert found.latency == 544 - 128 + 24

    def test_a_row_is_written_after_it_has_streamed(self):
        c = tensor(0, S, Dtype.I32, 64, 1)
        found = cost("mm", c, tensor(0, S, Dtype.I8, 128, 1), blocked(128, 64), machine=self.NARROW)
        # Weights are loaded until 32 and 64, the row has streamed in 65, and the 3 beats left of it are written until 68.
        assert (found.cycles, found.fill, found.latency) == (64, 1, 4 + 24)

    def test_an_accumulator_is_free_when_the_tile_before_is_written(self):
        found = cost("mm", *self.product(130), machine=self.NARROW)
        # 128 rows as above; 2 more have streamed in 128 + 32 + 2 and are written after the others, from 544 to 552.
        assert (found.cycles, found.fill) == (160, 544 - 160)
        assert found.latency == 552 - 160 + 24

    def test_batches_are_written_one_after_the_other(self):
        b = tensor(1 << 17, S, Dtype.I8, 64, 64, 3)
        tds = tensor(0, S, Dtype.I32, 64, 128, 3), tensor(1 << 18, S, Dtype.I8, 64, 128, 3), b
        found = cost("mm", *tds, machine=self.NARROW)
        # The third one has accumulators when the first one is written, in cycle 544.
        assert (found.cycles, found.writes) == (544 + 128 - 32, 3 * 512)
        assert found.latency == 32 + 3 * 512 - found.cycles + 24
        assert found.fill == 32 + 2 * 512 - found.cycles  # two of them are written

    def test_the_results_of_two_products_share_the_port(self):
        timing = TimingModel(self.NARROW)
        for base in (0, 1 << 18):
            timing.engine(0, BY_MNEMONIC["mm"], 0, 0, (*self.product(128, base), None))
        assert timing.cycles == 32 + 2 * 512 + 24

    def test_no_tile_has_streamed_before_there_are_accumulators_for_another_one(self):
        timing = TimingModel(self.NARROW)
        for base in (0, 1 << 18):
            timing.engine(0, BY_MNEMONIC["mm"], 0, 0, (*self.product(128, base), None))
        # The first one is written in cycle 544, not 512 after the start of the second one, which starts in cycle 128.
        assert timing.engines[int(Engine.MXU)].busy == 128 + 128 + (544 - 128 - 160)

    def test_tiles_with_many_accesses_are_bound_by_their_banks(self):
        machine = edge_with("sram", "banks", 8)
        found = cost("mm", *self.product(130), machine=machine)
        # 128 rows take 2 + 8 accesses each and their weights 128: 1408 of 8 a cycle. The other 2 rows wait for their weights.
        assert found.cycles == 1408 // 8 + 32


class TestVector:
    @pytest.mark.parametrize(
        ("mnemonic", "function", "cycles", "latency"),
        [
            ("vbin", VBIN.index("add"), 1, 12),
            ("vbin", VBIN.index("div"), 4, 12),
            ("vun", VUN.index("mov"), 1, 12),
            ("vun", VUN.index("abs"), 1, 12),
            ("vun", VUN.index("exp"), 2, 12),
            ("vun", VUN.index("erf"), 2, 12),
            ("vun", VUN.index("sqrt"), 4, 12),
            ("vrng", 0, 4, 12),
        ],
    )
    def test_cycles_per_step_of_64_elements(self, mnemonic, function, cycles, latency):
        x = tensor(0, S, Dtype.F32, 640)
        tds = {"vbin": (x, x, x), "vun": (x, x), "vrng": (x,)}[mnemonic]
        found = cost(mnemonic, *tds, fn=function)
        assert (found.cycles, found.latency) == (10 * cycles, latency)

    def test_a_tail_takes_a_whole_step(self):
        x = tensor(0, S, Dtype.F32, 65)
        assert cost("vbin", x, x, x).cycles == 2

    def test_reductions_count_their_source(self):
        found = cost("vred", tensor(0, S, Dtype.F32, 1, 4), tensor(1024, S, Dtype.F32, 128, 4), fn=VRED.index("sum"))
        assert (found.cycles, found.latency) == (8, 24)
        assert actions(found)["vpu.simple"] == 512

    def test_softmax_takes_three_cycles_per_step(self):
        p, s = tensor(0, S, Dtype.BF16, 256, 8), tensor(8192, S, Dtype.F32, 256, 8)
        found = cost("vsmx", p, s, tensor(32768, S, Dtype.F32, 4, 8))
        assert (found.cycles, found.latency) == (3 * 32, 12)

    def test_short_rows_cost_a_beat_each(self):
        x = tensor(0, S, Dtype.F32, 4, 100, strides=(4, 256, 0, 0))
        assert cost("vbin", x, x, x).cycles == 100

    def test_bank_conflicts_slow_a_strided_operand(self):
        y = tensor(0, S, Dtype.F32, 64)
        assert cost("vun", y, tensor(4096, S, Dtype.F32, 64, strides=(1024, 0, 0, 0)), fn=0).cycles == 64

    def test_smem_operands_move_eight_bytes_per_cycle(self):
        found = cost("vun", tensor(0, S, Dtype.F32, 64), tensor(512, Region.SMEM, Dtype.F32, 64), fn=0)
        assert found.cycles == 32
        assert actions(found)["smem"] == 256


class TestDram:
    dram = Dram(EDGE)

    def test_a_stream_runs_at_peak_less_refresh(self):
        found = self.dram.transfer(tensor(0, Region.WEIGHT, Dtype.I8, 1 << 17), write=False)
        # 4 channels x 16 rows of 2 KiB: 4096 bursts, 1024 per channel, 2.5 ns each, x 3906 / (3906 - 18.75 - 280 - 18.75).
        assert (found.bursts, found.activates, found.row_hits) == (4096, 64, 4032)
        assert found.cycles == 2787  # ceil(2560 * 1.08848)

    def test_one_burst_is_a_slot_on_the_bus(self):
        found = self.dram.transfer(tensor(64, Region.KV, Dtype.I8, 32), write=False)
        assert (found.bursts, found.activates) == (1, 1)
        assert found.cycles == 3  # ceil(2.5 ns * 1.08848)

    def test_a_write_chain_is_longer(self):
        # The second row of a bank: WL 13.75 + burst 2.5 + tWR 35 + tRP 18.75 + tRCD 18.75 = 88.75 ns after the first one, then
        # 2.5 ns; x 3906 / (3906 - 366.25).
        rows = tensor(0, Region.KV, Dtype.I8, 32, 2, strides=(1, EDGE.dram_stripe_bytes, 0, 0))
        assert self.dram.transfer(rows, write=True).cycles == 101

    def test_bytes_across_a_burst_border_take_two(self):
        assert self.dram.transfer(tensor(30, Region.KV, Dtype.I8, 4), write=False).bursts == 2

    def test_rows_of_one_bank_wait_for_each_other(self):
        # One burst in each of 10 rows of one bank: 9 x 61.25 + 2.5 ns. Half a stripe apart they fall on two banks: 4 x 61.25,
        # the second bank a tRRD later.
        stripe = EDGE.dram_stripe_bytes
        for stride, cycles in ((stripe, 603), (stripe // 2, 275)):
            rows = tensor(0, Region.KV, Dtype.I8, 32, 10, strides=(1, stride, 0, 0))
            found = self.dram.transfer(rows, write=False)
            assert (found.bursts, found.activates, found.cycles) == (10, 10, cycles)

    def test_a_channel_whose_requests_come_late_waits_for_its_own_bank_group(self):
        # 64 bursts of one bank group of channel 0, then as many of channel 1. 32 may be in flight: the last one of channel 0 is
        # sent after the 32nd one, 31 x 5 ns, controller 20 + RL 21.25 + burst 2.5 + tRCD 18.75 later. From there on 63 x 5 + 2.5
        # ns; x 3906 / (3906 - 317.5).
        rows = tensor(0, Region.KV, Dtype.I8, 32, 64, 2, strides=(1, 1024, (1 << 16) + 256, 0))
        assert self.dram.limits[0] == 32
        assert self.dram.transfer(rows, write=False).cycles == 583

    def test_bursts_of_another_group_move_between_those_of_one(self):
        # tCCD_L of 1.5 bursts. 16 runs of two bursts of one group and one of the other: of each run two bursts move one behind
        # the other with the third in between, and the next run begins with the same group, a tCCD_L later: 16 x (2 x 2.5 + 3.75)
        # ns, where the last burst takes 2.5; x 3906 / (3906 - 317.5).
        data = json.loads(EDGE.canonical_json())
        data["memories"][0]["timing"]["tCCD_L"]["value"] = 3.75
        rows = tensor(0, Region.KV, Dtype.I8, 96, 16, strides=(1, 1024, 0, 0))
        assert Dram(Machine.from_canonical(data)).transfer(rows, write=False).cycles == 152

    def test_latencies_are_those_of_a_closed_row(self):
        # controller 20 + tRCD 18.75 + RL 21.25 (WL 13.75)
        assert (self.dram.read_latency, self.dram.write_latency) == (60, 53)
        assert (self.dram.read_to_write, self.dram.write_to_read) == (3, 34)


class TestCopies:
    def test_a_load_is_bound_by_the_dram(self):
        found = cost("ld", tensor(0, S, Dtype.I8, 1 << 17), tensor(0, Region.WEIGHT, Dtype.I8, 1 << 17))
        assert (found.cycles, found.latency, found.dram_write) == (2787, 60, False)
        assert found.dram_share == WHOLE
        assert found.sram_share == (1 << 17) // 32 * WHOLE // (32 * 2787)
        assert actions(found)["read.WEIGHT"] == 1 << 17

    def test_a_store_into_small_pieces_is_bound_by_the_scratchpad_port(self):
        source = tensor(0, S, Dtype.I8, 64, 64, strides=(1024, 1, 0, 0))
        found = cost("st", tensor(0, Region.KV, Dtype.I8, 64, 64), source)
        assert found.cycles == 4096  # one bank
        assert 0 < found.dram_share < WHOLE // 10

    def test_read_only_regions_have_no_interlock_span(self):
        found = cost("ld", tensor(0, S, Dtype.I8, 64), tensor(0, Region.WEIGHT, Dtype.I8, 64))
        assert [(span.operand, span.write) for span in found.spans] == [(0, True)]
        found = cost("ld", tensor(0, S, Dtype.I8, 64), tensor(0, Region.KV, Dtype.I8, 64))
        assert [(span.operand, span.write) for span in found.spans] == [(0, True), (1, False)]

    def test_engines_without_timing_are_refused(self):
        with pytest.raises(ValueError, match="pmm: engine PIM has no timing model"):
            cost("pmm", tensor(0, S, Dtype.F32, 1), tensor(0, S, Dtype.F32, 1), tensor(0, Region.PIMW, Dtype.F32, 1))
