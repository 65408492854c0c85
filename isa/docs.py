"""Generates docs/isa.md from the table: `python -m isa.docs`, or `--check` to verify that the page is fresh."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from isa import docs_text
from isa.abi import (
    ENCODE_ENTRY,
    EVENT_IMAGE,
    EVENT_TOKEN,
    MAILBOX_MAGIC,
    MAX_STOP_TOKENS,
    NO_IMAGE_ROW,
    SMEM_IMAGE_OFFSET,
    TOKEN_BUFFER_OFFSET,
    Mailbox,
)
from isa.assembly_grammar import spellings
from isa.container_format import (
    ALIGNMENT_BYTES,
    ENTRY,
    ENTRY_FIELDS,
    HEADER,
    HEADER_BYTES,
    HEADER_FIELDS,
    MAGIC,
    MAX_SECTIONS,
    MAX_STATEMENT_BYTES,
    PAGE_BYTES,
    SIZE_LIMIT_BYTES,
    Section,
)
from isa.encoding import flag_choices
from isa.spec import (
    ELEMENT_BITS,
    FIELDS,
    INSTRUCTION_BYTES,
    ISA_VERSION,
    MAX_MM_K,
    MAX_SOFTMAX_KEYS,
    MAX_TOPK,
    MM_DTYPES,
    MMG_DTYPES,
    MMG_SCALES,
    READ_ONLY_REGIONS,
    TABLE,
    TD_BYTES,
    TD_FIELDS,
    VPU_RESULTS,
    VPU_SOURCES,
    Dtype,
    Engine,
    Feature,
    Flag,
    Instruction,
    Region,
    Trap,
    used_fields,
)

PAGE = Path(__file__).parent.parent / "docs" / "isa.md"
_SIZES = {"B": 1, "H": 2, "I": 4, "Q": 8}


def page() -> str:
    """The whole text of docs/isa.md."""
    version = ".".join(map(str, ISA_VERSION))
    parts = [
        f"# The SLX instruction set, version {version}\n\n{docs_text.INTRODUCTION}",
        _machine_tables(),
        _encoding(),
        _descriptors(),
        f"## 4 Instructions\n\n{_opcodes()}",
        *(_instruction(row) for row in TABLE),
        _traps(),
        _abi(),
        _container(),
    ]
    return "\n".join(parts)


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    lines += ["| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _machine_tables() -> str:
    work = {
        Engine.SEQ: "scalar instructions, fetch and dispatch",
        Engine.DML: "DRAM to SRAM or SMEM",
        Engine.DMS: "SRAM or SMEM to DRAM",
        Engine.MXU: "matrix products",
        Engine.VPU: "elementwise, reductions, softmax, top-k, random numbers",
        Engine.PIM: "matrix-vector products in the DRAM banks (feature PIM)",
        Engine.NET: "messages between cores (feature NET)",
    }
    engines = table(("engine", "work"), ((engine.name, text) for engine, text in work.items()))
    regions = table(
        ("code", "region", "where", "access"),
        (
            (
                int(region),
                region.name,
                region.name if region in (Region.SRAM, Region.SMEM) else "DRAM",
                "read" if region in READ_ONLY_REGIONS else "read, write",
            )
            for region in Region
        ),
    )
    dtypes = table(
        ("code", "dtype", "bits"), ((int(d), d.name.lower(), ELEMENT_BITS.get(d, "reserved")) for d in Dtype)
    )
    features = table(("bit", "feature"), ((int(f), str(f.name)) for f in Feature))
    return f"{engines}\nAddresses are relative to the region.\n\n{regions}\n{dtypes}\n{features}"


def _bit_rows(fields: Iterable[tuple[str, int, str]]) -> list[tuple[str, str, str]]:
    rows: list[tuple[str, str, str]] = []
    low = 0
    for name, width, kind in fields:
        rows.append((f"{low + width - 1}:{low}", name, kind))
        low += width
    return rows


def _encoding() -> str:
    kinds = {"imm": "signed", "reserved": "zero"}
    word = table(("bits", "field", ""), _bit_rows((name, width, kinds.get(name, "")) for name, width in FIELDS))
    flags = table(("value", "flag", "meaning"), (
        (int(Flag.I), "I", "the second operand is imm (for the VPU: its fp32 bits)"),
        (int(Flag.X), "X", "the scalar of the VPU is the fp32 bits in x[rs]"),
        (int(Flag.ACC), "ACC", "the product is added to C; written as the suffix `.acc`"),
    ))  # fmt: skip
    operands = docs_text.OPERANDS.format(smem_image=SMEM_IMAGE_OFFSET)
    return (
        f"## 2 Encoding\n\nAn instruction has {INSTRUCTION_BYTES} bytes, little-endian, the first field in the low bits:\n\n"
        f"{word}\n{flags}\n{operands}"
    )


def _descriptors() -> str:
    rows = ((name, width, "signed" if signed else "") for name, width, signed in TD_FIELDS)
    return (
        f"## 3 Tensor descriptors\n\n{TD_BYTES} bytes, the first field in the low bits:\n\n"
        f"{table(('bits', 'field', ''), _bit_rows(rows))}\n{docs_text.FORMATS}"
    )


def _opcodes() -> str:
    return table(
        ("opcode", "instruction", "engine"), ((row.opcode, f"`{row.mnemonic}`", row.engine.name) for row in TABLE)
    )


def _instruction(row: Instruction) -> str:
    lines = [f"### {row.mnemonic}\n", row.doc + "\n", "```", *_syntax_lines(row), "```\n"]
    lines.append(f"- Opcode {row.opcode}, engine {row.engine.name}.")
    if row.functions:
        lines.append(f"- fn: {', '.join(f'{code} `{name}`' for code, name in enumerate(row.functions))}.")
    lines.append(f"- Fields: {'; '.join(_field_uses(row))}.")
    lines += [f"- {text}" for text in _dtype_notes(row)]
    if row.engine in docs_text.ENGINE_OPERANDS:
        lines.append(f"- {docs_text.ENGINE_OPERANDS[row.engine]}")
    if row.feature:
        lines.append(f"- Needs feature {row.feature.name}.")
    causes = (*docs_text.INSTRUCTION_TRAPS.get(row.mnemonic, ()), *docs_text.ENGINE_TRAPS[row.engine])
    if causes:
        lines.append(f"- Traps, besides those of decoding: {', '.join(f'`{cause.name}`' for cause in sorted(causes))}.")
    return "\n".join(lines) + "\n"


def _syntax_lines(row: Instruction) -> list[str]:
    """One line per form; functions are written as the placeholder f."""
    name = f"{row.mnemonic}.f" if row.functions and "ta.fn" not in row.syntax else row.mnemonic
    names = [name, *(spelling for spelling in spellings(row) if spelling.endswith(".acc"))]
    operands = row.syntax.replace("ta.fn", "ta.field").split()
    return [f"{spelling} {', '.join(operands)}".rstrip() for spelling in names]


def _field_uses(row: Instruction) -> list[str]:
    uses: list[str] = []
    for flags in flag_choices(row):
        used = used_fields(row, flags) - {"op", "fn", "fl"}
        names = ", ".join(name for name, _ in FIELDS if name in used) or "none"
        uses.append(f"fl = {int(flags)} uses {names}" if row.flags else names)
    return uses


def _names(dtypes: Iterable[Dtype]) -> str:
    return ", ".join(dtype.name.lower() for dtype in sorted(dtypes))


def _dtype_notes(row: Instruction) -> list[str]:
    if row.mnemonic in ("mm", "pmm"):
        pairs = [f"{a.name} x {b.name} -> {c.name}".lower() for (a, b), c in MM_DTYPES.items()]
        return [f"Dtypes A x B -> C: {', '.join(pairs)}."]
    if row.mnemonic == "mmg":
        pairs = [f"{a.name} x {b.name}".lower() for a, b in sorted(MMG_DTYPES)]
        return [f"Dtypes A x B -> f32: {', '.join(pairs)}; S is {_names(MMG_SCALES)}."]
    if row.mnemonic == "vtopk":
        return [
            f"Dtypes: tb {_names(VPU_SOURCES)}; ta f32 with s0 = 8 (it describes the values), at most {MAX_TOPK} entries."
        ]
    if row.mnemonic == "vsmx":
        dtypes = f"Dtypes: S {_names(VPU_SOURCES)}; P {_names(VPU_RESULTS)}; ML f32."
        return [dtypes, f"At most {MAX_SOFTMAX_KEYS} keys (S.e0)."]
    if row.mnemonic == "vrng":
        return [f"Dtypes: ta {_names(VPU_RESULTS)}."]
    if row.engine == Engine.VPU:
        return [f"Dtypes: sources {_names(VPU_SOURCES)}; ta {_names(VPU_RESULTS)}."]
    if row.engine in (Engine.DML, Engine.DMS):
        return ["Any dtype, the same on both sides; the bits are copied."]
    return []


def _traps() -> str:
    rows = ((int(trap), f"`{trap.name}`", docs_text.TRAP_MEANINGS[trap].format(max_k=f"{MAX_MM_K:,}")) for trap in Trap)
    return (
        "## 5 Traps\n\nA trap is precise: no instruction after it is dispatched, older ones finish. Cause, pc and operand go "
        f"to the mailbox.\n\n{table(('code', 'cause', 'when'), rows)}"
    )


def _abi() -> str:
    rows = ((int(word), word.address, f"`{word.name}`", docs_text.MAILBOX_NOTES[word.name]) for word in Mailbox)
    return (
        "## 6 Mailbox and host\n\nThe mailbox is the first 256 bytes of SMEM, 8-byte words. The host writes it and the IO "
        f"region only while the device is halted. The magic is {MAILBOX_MAGIC:#x}.\n\n"
        f"{table(('word', 'address', 'name', 'content'), rows)}\n"
        f"The token buffer is i32[context] at IO offset {TOKEN_BUFFER_OFFSET}: the host writes the prompt, the device appends. "
        f"The event `yield` with imm {EVENT_TOKEN} reports a generated token, x[rs]. A program with an image has an entry "
        f"`{ENCODE_ENTRY}`, which makes rows of the pixels in IO and reports their number by the event with imm {EVENT_IMAGE}; a table "
        f"i32[context] in IO has the number of the row at each position, {NO_IMAGE_ROW} where a token stays.\n"
    )


def _layout(formats: str, names: Sequence[str]) -> list[tuple[int, int, str]]:
    """(offset, size, field) of a struct format with one name per item."""
    rows: list[tuple[int, int, str]] = []
    offset = 0
    for item, name in zip(_struct_items(formats), names, strict=True):
        rows.append((offset, item, name))
        offset += item
    return rows


def _struct_items(formats: str) -> list[int]:
    """Sizes in bytes of the items of a little-endian struct format."""
    sizes: list[int] = []
    count = ""
    for letter in formats:
        if letter.isdigit():
            count += letter
        elif letter == "s":
            sizes.append(int(count))
            count = ""
        elif letter in _SIZES:
            sizes += [_SIZES[letter]] * int(count or "1")
            count = ""
    return sizes


def _container() -> str:
    header = table(("offset", "bytes", "field"), _layout(HEADER.format, HEADER_FIELDS))
    entry = table(("offset", "bytes", "field"), _layout(ENTRY.format, ENTRY_FIELDS))
    sections = table(
        ("type", "section", "alignment", "largest size in bytes"),
        ((int(s), s.name, ALIGNMENT_BYTES[s], f"{SIZE_LIMIT_BYTES[s]:,}") for s in Section),
    )
    rules = docs_text.CONTAINER_RULES.format(
        smem_image=SMEM_IMAGE_OFFSET, stop_tokens=MAX_STOP_TOKENS, statement_bytes=MAX_STATEMENT_BYTES
    )
    return (
        f"## 7 Executable (`.slx`)\n\n{docs_text.CONTAINER}\nHeader, {HEADER_BYTES} bytes, magic `{MAGIC.hex(' ')}`:\n\n{header}\n"
        f"Section table from byte {HEADER_BYTES} on, {ENTRY.size} bytes per section, at most {MAX_SECTIONS} sections; the rest "
        f"of the first {PAGE_BYTES} bytes is zero:\n\n{entry}\n{sections}\n{rules}"
    )


def main(arguments: Sequence[str]) -> int:
    """Writes the page, or with --check returns 1 if it is not fresh."""
    if list(arguments) not in ([], ["--check"]):
        print("usage: python -m isa.docs [--check]", file=sys.stderr)
        return 2
    text = page()
    if not arguments:
        PAGE.write_text(text, encoding="utf-8")
        return 0
    if PAGE.exists() and PAGE.read_text(encoding="utf-8") == text:
        return 0
    print("docs/isa.md is not fresh: run python -m isa.docs", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
