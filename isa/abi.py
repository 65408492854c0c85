"""The contract between host and device: mailbox in SMEM (8-byte words), token buffer in IO, host queue."""

from __future__ import annotations

from enum import IntEnum, IntFlag

ABI_VERSION = 1
MAILBOX_MAGIC = 0x584C53  # "SLX"
MAILBOX_BYTES = 256
SMEM_IMAGE_OFFSET = MAILBOX_BYTES
TOKEN_BUFFER_OFFSET = 0  # IO: i32[context]
MAX_STOP_TOKENS = 8
EVENT_TOKEN = 1  # yield imm: x[rs] is a generated token id
EVENT_IMAGE = 2  # yield imm: the image is encoded to x[rs] rows
ENCODE_ENTRY = "encode_image"  # the entry point that makes rows of the pixels in IO
NO_IMAGE_ROW = -1  # in the table of places in IO, i32[context]: the token stays


class Mailbox(IntEnum):
    """Word index; the byte address is 8 * index."""

    MAGIC_ABI = 0  # magic | abi version << 32
    ENTRY = 1
    STATE = 2  # 0 idle, 1 running, 2 halted, 3 trapped
    N_TOKENS = 3
    MAX_NEW = 4
    POS = 5  # valid KV length
    N_OUT = 6
    FLAGS = 7
    SAMPLER = 8
    INVERSE_TEMPERATURE = 9  # fp32 bits
    TOP_K = 10
    TOP_P = 11  # fp32 bits
    SEED = 12
    N_STOP = 13
    STOP_0 = 14  # ..21
    CORE = 22
    CORES = 23
    LOGITS_OFFSET = 24  # IO offset of the logit dump
    SEQUENCES = 25
    ABORT = 26
    INPUT_KIND = 27
    TRAP_CAUSE = 29
    TRAP_PC = 30
    TRAP_OPERAND = 31

    @property
    def address(self) -> int:
        return 8 * self.value


class RunFlag(IntFlag):
    """Mailbox FLAGS. Dumped logit rows go to IO at LOGITS_OFFSET, fp32 [row, vocabulary]."""

    DUMP_SAMPLED = 1  # row = number of tokens generated before this one
    DUMP_ALL = 2  # row = position; excludes DUMP_SAMPLED


class Sampler(IntEnum):
    """Mailbox SAMPLER."""

    GREEDY = 0
    TEMPERATURE = 1  # over the whole vocabulary
    TOP_K_TOP_P = 2  # over the TOP_K <= 64 largest logits, cut at probability mass TOP_P
