"""Every way to misuse the encoder, and what it says."""

import pytest

from isa.encoding import encode
from isa.errors import EncodingError

CASES = [
    (("aluu",), {}, "unknown instruction 'aluu'", "did you mean 'alu'?"),
    (("alu",), {"fn": "ad", "rd": 0, "rs": 0, "rt": 0}, "unknown function 'ad'", "did you mean"),
    (("alu",), {"fn": 14, "rd": 0, "rs": 0, "rt": 0}, "unknown function '14'", "one of add sub"),
    (("alu",), {"rd": 0, "rs": 0, "rt": 0}, "unknown function 'None'", "one of add"),
    (("halt",), {"fn": 0}, "halt has no functions", None),
    (("alu",), {"fn": "add", "fl": 4, "rd": 0, "rs": 0, "rt": 0}, "flags 4 are not legal", "legal: [0, 1]"),
    (("vbin",), {"fn": "add", "fl": 3, "ta": 0, "tb": 0, "imm": 0}, "flags 3 are not legal", "legal: [0, 1, 2]"),
    (("alu",), {"fn": "add", "rd": 0, "rs": 0}, "fields rt are missing or not used", "fields: rd, rs, rt"),
    (("alu",), {"fn": "add", "rd": 0, "rs": 0, "rt": 0, "ta": 1}, "fields ta are", "fields: rd, rs, rt"),
    (("alu",), {"fn": "add", "rd": 32, "rs": 0, "rt": 0}, "rd = 32 is not in [0, 31]", None),
    (("ld",), {"ta": 128, "tb": 0}, "ta = 128 is not in [0, 127]", None),
    (("ld",), {"ta": 1, "tb": -1}, "tb = -1 is not in [0, 127]", None),
    (("trap",), {"imm": 1 << 31}, "imm = 2147483648 is not in [-2147483648, 2147483647]", None),
]


@pytest.mark.parametrize(("arguments", "fields", "message", "hint"), CASES)
def test_encoding_errors(arguments, fields, message, hint):
    with pytest.raises(EncodingError) as caught:
        encode(*arguments, **fields)
    assert message in caught.value.message
    assert (caught.value.hint is None) == (hint is None)
    assert hint is None or hint in caught.value.hint
