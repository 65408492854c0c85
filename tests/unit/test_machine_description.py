"""The built-in machines and the description format."""

import json
from importlib import resources

import pytest
from pydantic import BaseModel

from isa.machine import Machine, builtin_machines, load_machine
from isa.machine_numbers import DESIGN_CHOICE, Sourced


def numbers(item, place=""):
    """Every sourced number with its dotted place."""
    if isinstance(item, Sourced):
        yield place, item
    elif isinstance(item, BaseModel):
        for name, value in item:
            yield from numbers(value, f"{place}.{name}")
    elif isinstance(item, list):
        for index, value in enumerate(item):
            yield from numbers(value, f"{place}[{index}]")


def test_builtin_machines():
    assert builtin_machines() == ("edge", "gddr", "laptop", "micro", "phone", "server", "tiny")


@pytest.mark.parametrize("name", builtin_machines())
def test_ports_are_as_wide_as_the_dram(name):
    """Else one engine alone could not use all channels (docs/machines.md)."""
    machine = load_machine(name)
    for engine in (machine.core.dml, machine.core.dms):
        assert engine.port_bytes.value >= machine.dram_bytes_per_cycle


@pytest.mark.parametrize(
    ("name", "gigabytes"),
    [
        ("micro", 8.533),
        ("tiny", 12.8),
        ("edge", 51.2),
        ("phone", 68.27),
        ("laptop", 102.4),
        ("gddr", 448),
        ("server", 819.2),
    ],
)
def test_bandwidth_is_pins_times_speed(name, gigabytes):
    assert load_machine(name).memory.peak_bytes_per_second == pytest.approx(gigabytes * 1e9, rel=1e-4)


def test_edge_has_the_numbers_of_the_default_machine():
    edge = load_machine("edge")
    assert (edge.mxu_rows, edge.mxu_columns, edge.clock_hz) == (64, 64, 1_000_000_000)
    assert (edge.sram_bytes, edge.core.sram.banks.value, edge.core.sram.bank_bytes.value) == (2 << 20, 32, 32)
    assert (edge.smem_bytes, edge.vpu_lanes, edge.memory.channels.value) == (65536, 64, 4)
    assert edge.dram_bytes_per_cycle == pytest.approx(51.2)
    assert edge.dram_stripe_bytes == 4 * 16 * 2048
    assert edge.dram_capacity_bytes == 8 << 30
    assert edge.memory.refreshed_bytes_per_second == pytest.approx(51.2e9 * (1 - (18.75 + 280 + 18.75) / 3906))


def test_tiny_has_one_channel_and_little_of_everything():
    tiny = load_machine("tiny")
    assert (tiny.mxu_rows, tiny.mxu_columns, tiny.sram_bytes, tiny.memory.channels.value) == (16, 16, 65536, 1)
    assert tiny.dram_bytes_per_cycle == pytest.approx(12.8)


def test_edge_draws_a_few_watts_at_full_dram_bandwidth():
    rows = {name: row.value for name, row in load_machine("edge").energy_rows()}
    static = rows["sram_static"] + rows["logic_static"] + rows["dram.static"]
    streaming = (rows["dram.read"] + rows["dram.controller"] + rows["sram_write"] + rows["sram_read"]) * 51.2e9 * 1e-12
    assert 2 < static + streaming < 8


@pytest.mark.parametrize("name", builtin_machines())
def test_every_number_has_a_source_and_what_is_no_choice_an_uncertainty(name):
    found = list(numbers(load_machine(name)))
    assert len(found) > 70
    for place, number in found:
        assert number.source.strip(), place
        if number.source != DESIGN_CHOICE:
            assert number.uncertainty and number.confidence, place


@pytest.mark.parametrize("name", builtin_machines())
def test_no_energy_is_a_design_choice(name):
    rows = dict(load_machine(name).energy_rows())
    assert len(rows) == 29
    assert all(row.source != DESIGN_CHOICE and row.node for row in rows.values())


def test_mac_energies_are_horowitz_scaled_to_22_nm():
    mac = load_machine("edge").core.energy.mac
    assert mac.i8_i8.value == pytest.approx((0.2 + 0.1) * 0.294, rel=1e-3)
    assert mac.f16_f16.value == pytest.approx((1.1 + 0.9) * 0.294, rel=1e-3)
    assert mac.f32_f32.value == pytest.approx((3.7 + 0.9) * 0.294, rel=1e-3)


def test_a_description_from_before_the_microscaled_types_prices_them_as_integers():
    """Executables hold their machine, so it must stay the same machine."""
    data = json.loads(load_machine("edge").canonical_json())
    mac = data["cores"][0]["energy"]["mac"]
    for name in ("f16_e4m3", "bf16_e4m3", "f16_e2m1", "bf16_e2m1"):
        del mac[name]
    mac["f16_i8"]["value"], mac["bf16_i4"]["value"] = 0.25, 0.75
    machine = Machine.from_canonical(data)
    assert json.loads(machine.canonical_json()) == data
    rows = {name: row.value for name, row in machine.energy_rows()}
    assert (rows["mac.f16_e4m3"], rows["mac.bf16_e2m1"]) == (0.25, 0.75)
    assert rows["mac.bf16_e4m3"] == mac["bf16_i8"]["value"]


@pytest.mark.parametrize("name", builtin_machines())
def test_the_canonical_form_round_trips(name):
    machine = load_machine(name)
    again = Machine.from_canonical(json.loads(machine.canonical_json()))
    assert again == machine
    assert again.hash == machine.hash
    assert len(machine.hash) == 8


def test_the_hash_depends_on_every_value_but_not_on_layout(tmp_path):
    text = (resources.files("isa") / "machines" / "tiny.toml").read_text()
    same, other = tmp_path / "same.toml", tmp_path / "other.toml"
    same.write_text("# a comment\n\n" + text)
    other.write_text(text.replace("accumulator_rows = { value = 128", "accumulator_rows = { value = 64"))
    assert load_machine(same).hash == load_machine("tiny").hash
    assert load_machine(str(other)).hash != load_machine("tiny").hash
