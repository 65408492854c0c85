"""The prose of docs/isa.md: what the table does not say about syntax, formats, traps and files."""

from __future__ import annotations

from isa.spec import Engine, Trap

INTRODUCTION = """\
SLX is a small accelerator: a scalar sequencer, DMA engines, a matrix unit and a vector unit around one scratchpad. This page
is generated from the table in `isa/spec.py` (`python -m isa.docs`). The bits of every result are in
[numerics.md](numerics.md).

## 1 Machine model

The state is `x0`..`x31` (64-bit signed, `x0` is 0), `t0`..`t127` (tensor descriptors of 32 bytes), `pc`, and the memories.

SEQ fetches one instruction per cycle, executes scalar instructions and dispatches the others to the in-order queues of the
engines. Descriptors and x-registers are captured by value at dispatch. The meaning of a program is its sequential execution in
dispatch order: engines wait for conflicting accesses of older instructions, compared as bounding intervals, so no value depends
on timing.
"""

OPERANDS = """\
Operands in assembly, separated by commas:

| operand | text | encoded as |
|---|---|---|
| rd, rs, rt | `x5` | register number 0..31 |
| ta, tb, tc, td | `t5` | descriptor number 0..127; `ta` is the destination |
| imm | `-12`, `0x1f`, `name`, `name+8` | imm, signed 32 bits |
| imm(rs) | `16(x3)`, `name(x0)` | imm and rs |
| label | `loop`, `17` | imm, an absolute instruction index |
| ta.fn | `t3.base` | ta and fn |
| rt or imm, rs or imm | `x5` or `12` | the register, or flag I and imm |
| tc, f32 or rs | `t5`, `1.5` or `x5` | the descriptor; flag I and fp32 bits in imm; flag X and rs, whose low 32 bits are fp32 bits |

fp32 immediates are decimals (rounded once), `inf`, `-inf`, `nan` (canonical) or `0f` and the eight hex digits of the bits.

Decoding checks, in the order of the fields: the opcode (`ILLEGAL_OPCODE`, operand: the opcode), the function
(`ILLEGAL_FUNCTION`, operand: the code), the flags (only those listed for the instruction, I and X not together), each register
number, and that every field the instruction does not use is zero (`RESERVED_FIELD`, operand: the index of the field, op = 0).

### Assembly text

A line is `[name:]... [instruction or directive] [; comment]`. A name before an instruction is its index, a name before data
its SMEM address; both can be used as numbers anywhere. Data fills the SMEM image from address {smem_image} on.

| directive | meaning |
|---|---|
| `.td NAME dtype region base [e0, ..] [s0, ..] glog2 n fmt n` | a descriptor constant, 8-byte aligned; \
missing extents are 1, without strides it is dense |
| `.word v, ..` | 64-bit words, 8-byte aligned |
| `.float f, ..` | fp32 numbers, 4-byte aligned |
| `.byte v, ..` | bytes |
| `.zero n` | n zero bytes |
| `.equ NAME v` | a constant, used after its definition |
| `.raw digits` | one instruction as 32 hex digits, legal or not |
"""

FORMATS = """\
Extents count elements, strides bytes; dimension 0 is innermost. Broadcast is stride 0. An extent of 0 traps; base and strides
are multiples of the element size. The byte address of element (i0, i1, i2, i3), `size` in bytes per element:

| format | address | element |
|---|---|---|
| plain | `base + i0*s0 + i1*s1 + i2*s2 + i3*s3` | `size` bytes, little-endian |
| plain i4, e2m1 | `base + (i0 div g)*(g/2) + (i0 mod g/2) + i1*s1 + i2*s2 + i3*s3` | low nibble if `i0 mod g < g/2`, else high |
| blocked i8, e4m3: `[N/16][K/4][16][4]` | `block + (k div 4)*64 + r*4 + k mod 4` | the byte |
| blocked i4, e2m1: `[N/16][K/8][16][8 nibbles]` | `block + (k div 8)*64 + r*4 + k mod 4` | low nibble if `k mod 8 < 4`, else high |
| blocked f16, bf16, f32: `[N/16][K][16]` | `block + (k*16 + r)*size` | `size` bytes |
| blocked scales: `[N/16][K/g][16]` | `block + (j*16 + r)*size`, j = group index | `size` bytes: f32, f16, e8m0 |

Plain i4, e2m1: g = 2^glog2 >= 32, e0 is a multiple of g, s0 = 0. A nibble of i4 stores value + 8, one of e2m1 its code.
Blocked (fmt bit 1): k = i0, n = i1, `r = n mod 16`, `block = base + (n div 16)*s1 + i2*s2 + i3*s3`; s1 is the number of
bytes from one block of 16 rows to the next, s0 = 0, e0 = K, e1 = N. Storage is padded with zeros, N to 16 and K to 8. Only
weights and their scales are blocked; a tile starts at a block. Values never depend on the format.
Sparse rows (fmt bit 0, feature SPARSE; not of e4m3 and e2m1): K/2 kept values, then K/8 bytes of 2-bit positions; e0 = K. Kept i4
values lie in pairs, the first in the low nibble, and s0 = 0.

The bounding interval of a tensor, used by bounds checks and interlocks, runs from its lowest to its highest byte.
"""

CONTAINER = """\
Integers are little-endian. The file is a header, a section table, and sections in ascending order; the gaps before aligned
sections are zero and the file ends with the last section. A reader checks all of this before it maps anything.
"""

CONTAINER_RULES = """\
The CRC-32C covers header (with this field 0) and table. A reader refuses another major version, a newer minor version, another
ABI version, unknown feature bits, a type twice, and an unknown type whose flag REQUIRED (1) is set; it ignores other unknown
types. JSON is canonical: sorted keys, no spaces, ASCII.

The flag VIRTUAL (2) is known on WEIGHTS only. The section then has no bytes of the region but a statement in JSON of at most
{statement_bytes} bytes, `{{"fill": text, "size_bytes": n}}`: how large region WEIGHT is (at most 2^40 bytes) and in words what would
fill it; SYM says which tensor lies where. Such a program is timed, not run: a host refuses to run it with values.

| section | content |
|---|---|
| TEXT | instructions; required |
| SMEM | image placed at SMEM address {smem_image} |
| TABLE | content of region TABLE |
| WEIGHTS | content of region WEIGHT, or with VIRTUAL the statement of its size |
| SYM | `{{"symbols": [[name, region or "TEXT", offset, size in bytes, kind], ..]}}` |
| DBG | `{{"locations": [..], "operators": [..], "location_of_pc": [index or -1, ..], \
"operator_of_pc": [..], "descriptors": {{name: tensor}}}}` |
| META | below; required |
| PRED | `{{"schema": 1, "steps": [[tokens, position, last 0 or 1, cycles, DRAM bytes], ..], "operators": {{"prefill" or "decode": \
[[name, cycles, [busy cycles of DML, DMS, MXU, VPU], DRAM bytes, bound], ..]}}}}`: docs/prediction.md; another schema is ignored |

META is an object; other keys are allowed:

| key | value |
|---|---|
| model, scheme | strings |
| context, chunk, vocabulary | integers, at least 1 |
| regions | `{{"IO": n, "KV": n, "SCRATCH": n}}`, sizes in bytes, at most 2^40 |
| stop_tokens | at most {stop_tokens} integers |
| tokenizer | the text of tokenizer.json, or null |
| chat | null, or `{{"template": text, "special_tokens": {{name: text}}}}`: a Jinja chat template; may be absent |
| image | of a program that takes one: channels, height, width, rows, and the IO offsets \
pixels_offset (f32 [channels, height, width]) and places_offset |
| machine | the canonical machine description; the first 8 bytes of its SHA-256 are the header's machine hash |

Optional keys a host knows: `oversize` true: larger than the machine's DRAM on purpose, so it is timed, not run; `routed` true: the program
chooses experts by values, which a run without values makes up.
"""

_TENSOR = (
    Trap.ILLEGAL_DTYPE, Trap.SHAPE_MISMATCH, Trap.OUT_OF_BOUNDS, Trap.MISALIGNED, Trap.TD_ILLEGAL,
    Trap.ILLEGAL_REGION, Trap.UNINITIALISED_READ,
)  # fmt: skip
_TENSOR_WRITE = (*_TENSOR, Trap.ILLEGAL_OVERLAP)
_DMA = (*_TENSOR_WRITE, Trap.READ_ONLY)
_SMEM = (Trap.OUT_OF_BOUNDS, Trap.MISALIGNED)

ENGINE_TRAPS = {
    Engine.SEQ: (),
    Engine.DML: _TENSOR_WRITE,
    Engine.DMS: _DMA,
    Engine.MXU: (*_TENSOR_WRITE, Trap.K_TOO_LONG, Trap.UNSUPPORTED_FEATURE),
    Engine.VPU: _TENSOR_WRITE,
    Engine.PIM: (*_TENSOR_WRITE, Trap.K_TOO_LONG, Trap.UNSUPPORTED_FEATURE),
    Engine.NET: (*_TENSOR, Trap.UNSUPPORTED_FEATURE),
}
ENGINE_OPERANDS = {
    Engine.DML: "ta lies in SRAM or SMEM, tb in DRAM; both are plain (fmt 0).",
    Engine.DMS: "ta lies in a writable DRAM region, tb in SRAM or SMEM; both are plain (fmt 0).",
    Engine.MXU: "All operands lie in SRAM; B may be blocked or sparse, scales may be blocked, A and C are plain.",
    Engine.VPU: "All operands lie in SRAM or SMEM and are plain (fmt 0).",
    Engine.PIM: "B lies in PIMW, the others in SRAM.",
}
"""Regions and formats an engine accepts."""

INSTRUCTION_TRAPS = {
    "alu": (Trap.DIVISION_BY_ZERO,),
    "lds": (*_SMEM, Trap.UNINITIALISED_READ),
    "sts": _SMEM,
    "br": (Trap.PC_OUT_OF_RANGE,),
    "jal": (Trap.PC_OUT_OF_RANGE,),
    "jalr": (Trap.PC_OUT_OF_RANGE,),
    "tdld": (*_SMEM, Trap.TD_ILLEGAL, Trap.UNINITIALISED_READ),
    "tdset": (Trap.TD_OVERFLOW,),
    "tdadd": (Trap.TD_OVERFLOW,),
    "trap": (Trap.PROGRAM,),
}
"""Causes beyond those of decoding, in addition to the engine's."""

TRAP_MEANINGS = {
    Trap.ILLEGAL_OPCODE: "the opcode does not exist",
    Trap.RESERVED_FIELD: "a field that is not used is not zero, a flag is not allowed, or a register does not exist",
    Trap.ILLEGAL_FUNCTION: "the function code does not exist",
    Trap.ILLEGAL_DTYPE: "the combination of element types is not one of those listed",
    Trap.SHAPE_MISMATCH: "extents do not fit together",
    Trap.OUT_OF_BOUNDS: "a byte outside of the region is addressed",
    Trap.MISALIGNED: "an address, a base or a stride is not a multiple of the element size",
    Trap.READ_ONLY: "a store to WEIGHT, TABLE or PIMW",
    Trap.TD_OVERFLOW: "a value does not fit the descriptor's field",
    Trap.TD_ILLEGAL: "an illegal descriptor: reserved dtype or bits, extent 0, format not allowed here",
    Trap.K_TOO_LONG: "a matrix product over more than {max_k} terms",
    Trap.ILLEGAL_OVERLAP: "the destination overlaps a source without being equal to it, or itself",
    Trap.DIVISION_BY_ZERO: "integer division or remainder by 0",
    Trap.WATCHDOG: "too many instructions without an event for the host",
    Trap.PROGRAM: "the instruction trap",
    Trap.PC_OUT_OF_RANGE: "the next instruction lies outside of the text",
    Trap.ILLEGAL_REGION: "the engine cannot reach the operand's region",
    Trap.UNSUPPORTED_FEATURE: "the machine lacks the feature",
    Trap.UNINITIALISED_READ: "debug mode: a byte is read that was never written",
}

MAILBOX_NOTES = {
    "MAGIC_ABI": "magic | ABI version << 32", "ENTRY": "instruction index", "STATE": "0 idle, 1 running, 2 halted, 3 trapped",
    "N_TOKENS": "tokens in the token buffer", "MAX_NEW": "tokens to generate at most", "POS": "valid length of the KV cache",
    "N_OUT": "tokens generated", "FLAGS": "1: dump sampled logit rows, 2: dump all",
    "SAMPLER": "0 greedy, 1 temperature, 2 top-k/top-p", "INVERSE_TEMPERATURE": "fp32 bits of 1/T",
    "TOP_K": "1..64", "TOP_P": "fp32 bits", "SEED": "64 bits", "N_STOP": "number of stop tokens",
    "STOP_0": "first of 8 stop tokens", "CORE": "this core", "CORES": "number of cores", "LOGITS_OFFSET": "IO offset of the dump",
    "SEQUENCES": "1", "ABORT": "not 0: stop after this token", "INPUT_KIND": "0: token ids",
    "TRAP_CAUSE": "section 5", "TRAP_PC": "instruction index", "TRAP_OPERAND": "field index, or as the cause says",
}  # fmt: skip
