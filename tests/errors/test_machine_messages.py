"""A wrong machine description is explained in one line: file, key, what was expected, what was found."""

import json
from importlib import resources

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isa.errors import SlxError
from isa.machine import MAX_FILE_BYTES, Machine, MachineError, load_machine, parse_machine

TINY = (resources.files("isa") / "machines" / "tiny.toml").read_text("utf-8")
ROWS = 'rows = { value = 16, source = "design choice" }'
RTW = next(line for line in TINY.splitlines() if line.startswith("tRTW"))
MAC = next(line for line in TINY.splitlines() if line.startswith("f32_f32"))


def message(text):
    with pytest.raises(MachineError) as caught:
        parse_machine(text, "m.toml")
    return str(caught.value)


def changed(old, new):
    assert TINY.count(old) == 1, old
    return TINY.replace(old, new)


CASES = [
    (changed("\n" + ROWS, ""), "m.toml: error: cores[0].mxu.rows: missing"),
    (
        changed("\n" + ROWS, "\n" + ROWS.replace("16", "0")),
        "m.toml: error: cores[0].mxu.rows: expected an integer from 1 to 1024, found 0",
    ),
    (
        changed("\n" + ROWS, "\n" + ROWS.replace("16", '"16"')),
        "m.toml: error: cores[0].mxu.rows.value: expected an integer, found '16'",
    ),
    (
        changed("\n" + ROWS, "\n" + ROWS.replace("16", "true")),
        "m.toml: error: cores[0].mxu.rows.value: expected an integer, found 'True'",
    ),
    (changed("\n" + ROWS, "\nrows = 16"), "m.toml: error: cores[0].mxu.rows: expected a table, found '16'"),
    (changed("\n" + ROWS, "\nrows = { value = 16 }"), "m.toml: error: cores[0].mxu.rows.source: missing"),
    (
        changed("\n" + ROWS, '\nrows = { value = 16, source = "a paper" }'),
        'm.toml: error: cores[0].mxu.rows: expected uncertainty and confidence ("A", "B" or "C"), '
        'as the source is not "design choice"',
    ),
    (
        changed("\n" + ROWS, "\n" + ROWS + '\nrow = { value = 16, source = "design choice" }'),
        "m.toml: error: cores[0].mxu.row: unknown key",
    ),
    (
        TINY.replace("outstanding_bytes = { value = 2048", "outstanding_bytes = { value = 512", 1),
        "m.toml: error: (top level): expected cores[0].dml.outstanding_bytes of at least 800, which memories[0] moves during one "
        "response (the timing of fewer is not modelled), found 512",
    ),
    (
        changed("banks = { value = 8,", "banks = { value = 7,"),
        "m.toml: error: cores[0].sram.banks: expected a power of two from 1 to 1024, found 7",
    ),
    (
        changed("smem_bytes = { value = 65536", "smem_bytes = { value = 32768"),
        "m.toml: error: cores[0].seq.smem_bytes: expected an integer from 65536 to 65536, found 32768",
    ),
    (
        changed(
            MAC,
            'f32_f32 = { value = 1.3, unit = "pJ", node = "22 nm", source = "a paper", uncertainty = "about half", confidence = "C" }',
        ),
        "m.toml: error: cores[0].energy.mac.f32_f32: expected uncertainty that begins with a band such as "
        """"+-50 %", "-30 % / +100 %" or "x 0.3 to x 3", found 'about half'""",
    ),
    (
        changed(MAC, 'f32_f32 = { value = 1.3, unit = "pJ" }'),
        "m.toml: error: cores[0].energy.mac.f32_f32.source: missing",
    ),
    (
        changed(MAC, 'f32_f32 = { value = 1.3, unit = "pJ", node = "22 nm", source = "design choice" }'),
        'm.toml: error: cores[0].energy.mac.f32_f32: expected a cited source, as an energy cannot be a "design choice"',
    ),
    (
        changed(MAC, MAC.replace('unit = "pJ"', 'unit = "nJ"')),
        "m.toml: error: cores[0].energy.mac.f32_f32: expected unit = \"pJ\", found 'nJ'",
    ),
    (
        changed(MAC, MAC.replace("value = 1.352", "value = -1.0")),
        "m.toml: error: cores[0].energy.mac.f32_f32: expected a number from 0 to 1e+06, found -1",
    ),
    (
        changed(MAC, MAC.replace("value = 1.352", "value = nan")),
        "m.toml: error: cores[0].energy.mac.f32_f32.value: expected a finite number, found 'nan'",
    ),
    (
        changed(RTW, RTW.replace('confidence = "C"', 'confidence = "D"')),
        "m.toml: error: memories[0].timing.tRTW.confidence: expected 'A', 'B' or 'C', found 'D'",
    ),
    (
        changed("tREFI = { value = 3906", "tREFI = { value = 200"),
        "m.toml: error: memories[0].timing: expected tRFC, with WL + tWR + tRP + tRCD around it, shorter than tREFI",
    ),
    (
        changed('name = "tiny"', 'name = "Tiny!"'),
        "m.toml: error: name: expected match pattern '^[a-z][a-z0-9_-]{0,31}$', found 'Tiny!'",
    ),
    (changed("schema = 1", "schema = 2"), "m.toml: error: schema: expected 1, found '2'"),
    (
        changed("links = []", 'links = [{ name = "x" }]'),
        "m.toml: error: links: expected an empty list (links are not supported yet), found 1",
    ),
    (changed("links = []", "links = 3"), "m.toml: error: links: expected a list of tables, found '3'"),
    (TINY.split("[[memories]]")[0] + "", "m.toml: error: memories: missing"),
    (
        TINY.split("[[memories]]")[0].replace("links = []", "links = []\nmemories = []"),
        "m.toml: error: memories: expected exactly one entry (systems of several are not supported yet), found 0",
    ),
    (
        TINY + "\n[[memories]]\n" + TINY.split("[[memories]]")[1],
        "m.toml: error: memories: expected exactly one entry (systems of several are not supported yet), found 2",
    ),
    ("a = ", "m.toml: error: not TOML: Invalid value (at end of document)"),
    ("", "m.toml: error: schema: missing (and 5 more)"),
]


@pytest.mark.parametrize(("text", "expected"), CASES, ids=range(len(CASES)))
def test_the_message_is_exact(text, expected):
    assert message(text) == expected


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(MachineError) as caught:
        load_machine("edgy")
    assert str(caught.value) == (
        "error: unknown machine 'edgy': expected one of edge, gddr, laptop, micro, phone, server, tiny, or the path of a .toml file\n"
        "  hint: did you mean 'edge'?"
    )


def test_files_that_cannot_be_read(tmp_path):
    def reason(path):
        with pytest.raises(MachineError) as caught:
            load_machine(path)
        return str(caught.value).removeprefix(str(path))

    large, binary = tmp_path / "large.toml", tmp_path / "binary.toml"
    large.write_bytes(b"#" * (MAX_FILE_BYTES + 1))
    binary.write_bytes(b"name = '\xff'")
    assert reason(large) == f": error: expected a machine description of at most {MAX_FILE_BYTES} bytes, found more"
    assert reason(binary) == ": error: expected UTF-8 text, found byte 0xff at 8"
    missing = ": error: no such file; `slmc machines` lists the built-in machines"
    assert reason(tmp_path) == missing
    assert reason(tmp_path / "no.toml") == missing
    assert reason("\0.toml") == missing


def test_deep_nesting_and_foreign_json():
    with pytest.raises(MachineError):
        parse_machine("a = " + "[" * 100_000, "m.toml")
    for data in (None, 3, [], {}, {"schema": 1, "cores": {}}, {"cores": [[[[]]]]}):
        with pytest.raises(MachineError):
            Machine.from_canonical(data)


def test_control_characters_never_reach_the_terminal():
    assert "\x1b" not in message(TINY.replace("links = []", '"\\u001b[31m" = 1\nlinks = []'))


PIECES = st.sampled_from(
    ["{", "}", "[", "]", "=", '"', "'", "\n", "-", "1e999", "nan", "true", "9" * 30, "\x00", "é", "#"]
)


@settings(max_examples=250, deadline=None)
@given(st.integers(0, len(TINY)), st.integers(0, 40), st.one_of(st.just(""), PIECES, st.text(max_size=8)))
def test_a_mutated_text_is_accepted_or_explained(position, removed, inserted):
    text = TINY[:position] + inserted + TINY[position + removed :]
    try:
        machine = parse_machine(text, "m.toml")
    except SlxError as error:
        assert isinstance(error, MachineError)
        assert str(error).startswith("m.toml: error: ")
        assert "\n" not in str(error)
    else:
        assert isinstance(machine, Machine)


VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(st.data(), VALUES)
def test_a_replaced_value_is_accepted_or_explained(data, value):
    tree = json.loads(load_machine("tiny").canonical_json())
    node = tree
    for _ in range(data.draw(st.integers(0, 5))):
        keys = list(node.keys()) if isinstance(node, dict) else list(range(len(node)))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(node[key], dict | list) or not node[key]:
            break
        node = node[key]
    keys = list(node.keys()) if isinstance(node, dict) else list(range(len(node)))
    node[data.draw(st.sampled_from(keys))] = value
    try:
        Machine.from_canonical(tree).canonical_json().encode("ascii")
    except MachineError as error:
        assert "\n" not in str(error)
