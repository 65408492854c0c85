"""Energy by hand: every action has its price, everything that costs is counted once."""

import pytest

from isa.machine import load_machine
from simulator.energy import COMPONENTS, EnergyModel
from simulator.timing.actions import ACTION_INDEX, ACTIONS

EDGE = load_machine("edge")
MODEL = EnergyModel(EDGE)
STATIC_WATTS = 0.329 + 0.0356 + 0.305


def joules(**counts):
    actions = [0] * len(ACTIONS)
    for name, count in counts.items():
        actions[ACTION_INDEX[name.replace("__", ".")]] = count
    return {name: value for name, value in MODEL.breakdown(actions, 0, 0).joules.items() if value}


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({"mac__i8_i8": 1000}, {"mac": 88.2e-12}),
        ({"mac__bf16_bf16": 10, "mac__f32_f32": 10}, {"mac": (5.88 + 13.52) * 1e-12}),
        ({"vpu__simple": 100, "vpu__division": 100}, {"vpu": (135.2 + 541.0) * 1e-12}),
        ({"sram_read__mxu_b": 32}, {"sram": 32 * 2.904e-12}),
        ({"sram_write__dml": 32}, {"sram": 32 * 2.904e-12}),
        ({"accumulator": 8}, {"accumulator": 8 * 0.2064e-12}),
        ({"smem": 32}, {"smem": 32 * 0.4824e-12}),
        ({"dram__activate": 2}, {"dram": 1126e-12}),
        ({"dram__read": 1000}, {"dram": 34.4e-9, "dram_interface": 54.4e-9}),
        ({"dram__write": 1000}, {"dram": 34.4e-9, "dram_interface": 54.4e-9}),
    ],
)
def test_the_price_of_each_action(counts, expected):
    assert joules(**counts) == pytest.approx(expected)


def test_instructions_and_time_cost_too():
    found = MODEL.breakdown([0] * len(ACTIONS), 1_000_000, EDGE.clock_hz)
    assert found.joules["seq"] == pytest.approx(7.718e-6)
    static = [found.joules[f"static_{part}"] for part in ("sram", "logic", "dram")]
    assert static == pytest.approx([0.329, 0.0356, 0.305])
    assert found.total == pytest.approx(STATIC_WATTS + 7.718e-6)
    assert tuple(found.joules) == COMPONENTS


def test_bands_are_sums_of_the_ends_of_every_row():
    """int8 MACs +-50 %, an LPDDR5 burst -10 % / +30 %, its interface -50 % / +20 %, statics x 0.3 to x 2, x 3 and -50 % / +20 %."""
    actions = [0] * len(ACTIONS)
    actions[ACTION_INDEX["mac.i8_i8"]], actions[ACTION_INDEX["dram.read"]] = 10**6, 10**6
    found = MODEL.bands(actions, 0, EDGE.clock_hz // 1000)
    expected = {
        "mac": (88.2e-9, 44.1e-9, 132.3e-9),
        "dram": (34.4e-6, 30.96e-6, 44.72e-6),
        "dram_interface": (54.4e-6, 27.2e-6, 65.28e-6),
        "static_sram": (329e-6, 98.7e-6, 658e-6),
        "static_logic": (35.6e-6, 10.68e-6, 106.8e-6),
        "static_dram": (305e-6, 152.5e-6, 366e-6),
    }
    for name, numbers in expected.items():
        assert (found[name].joules, found[name].low, found[name].high) == pytest.approx(numbers), name
    groups = {
        "dynamic": ("mac", "dram", "dram_interface"),
        "leakage": ("static_sram", "static_logic"),
        "idle": ("static_dram",),
        "total": tuple(expected),
    }
    for name, parts in groups.items():
        sums = [sum(expected[part][end] for part in parts) for end in range(3)]
        assert (found[name].joules, found[name].low, found[name].high) == pytest.approx(sums), name


def test_what_costs_nothing_counts_the_same_bytes_in_another_way():
    free = {name for name in ACTIONS if ACTION_INDEX[name] not in MODEL.charged}
    requested = {name for name in ACTIONS if name.split(".")[0] in ("read", "write")}
    assert free == {"dram.burst", "dram.row_hit"} | requested


def test_every_row_of_the_machine_is_used():
    for name, row in EDGE.energy_rows():
        data = EDGE.model_dump(mode="json", by_alias=True, exclude_none=True)
        place = data["memories"][0]["energy"] if name.startswith("dram.") else data["cores"][0]["energy"]
        *path, last = name.removeprefix("dram.").split(".")
        for part in path:
            place = place[part]
        place[last]["value"] = row.value * 2 + 1
        changed = EnergyModel(type(EDGE).from_canonical(data))
        counts = [1_000_000] * len(ACTIONS)
        assert changed.breakdown(counts, 10**6, 10**9).total > MODEL.breakdown(counts, 10**6, 10**9).total, name
