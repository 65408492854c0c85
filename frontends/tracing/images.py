"""Splits a traced `forward` that takes an image: what is computed from the image alone becomes @encode_image.

    forward(%tokens, %pixels, %mask)         @encode_image(%pixels) -> %rows
      %x = slm.embedding %tokens        ->   forward(%tokens, %places, %rows)
      %rows = .. %pixels ..                    %x = slm.embedding %tokens
      %y = slm.replace %x, %mask, %rows        %y = slm.replace %x, %places, %rows
An image enters by `replace` and nowhere else, so that one @forward serves prompts with and without an image.
"""

from __future__ import annotations

from io import StringIO

from xdsl.dialects.builtin import FunctionType
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Block, Operation, Region, SSAValue
from xdsl.printer import Printer
from xdsl.rewriter import Rewriter

from compiler.dialects import slm
from compiler.program import ENCODER
from frontends.errors import FrontendError
from frontends.language.syntax import ArchitectureFile

ONLY_BY_REPLACE = "an image that enters forward other than by one replace"


def split_images(file: ArchitectureFile, full: FuncOp, plain: FuncOp) -> list[FuncOp]:
    """[@forward, @encode_image] of `full`, traced with all inputs; `plain` is forward traced without the optional ones.

    Raises FrontendError if the image enters other than by one `replace` at the top of forward.
    """
    block = full.body.block
    replaces = [op for op in full.walk() if isinstance(op, slm.ReplaceOp)]
    images = [arg for arg in block.args if len(slm.shape_of(arg)) == 3]
    if len(replaces) != 1 or len(images) != 1 or len(block.args) != 3:
        raise _unavailable(file)
    replace, pixels = replaces[0], images[0]
    encoder = _cut(file, block, replace, pixels)
    encoder.location = replace.location
    rows = block.insert_arg(replace.rows.type, len(block.args))
    replace.operands[2] = rows
    if pixels.uses:
        raise _unavailable(file)
    block.erase_arg(pixels)
    full.function_type = FunctionType.from_lists(list(block.arg_types), list(full.function_type.outputs))
    _check_same_without_image(file, full, plain)
    return [full, encoder]


def _unavailable(file: ArchitectureFile) -> FrontendError:
    place = file.functions["forward"].place
    return file.source.error(place, f"{ONLY_BY_REPLACE} is in the language, but the compiler does not have it yet")


def _cut(file: ArchitectureFile, block: Block, replace: slm.ReplaceOp, pixels: SSAValue) -> FuncOp:
    """Moves what the rows are computed by out of the block, into a function of the pixels."""
    rows = replace.rows
    needed = _needed(rows)
    ops = [op for op in block.ops if op in needed]
    users = {use.operation for op in ops for result in op.results for use in result.uses if result is not rows}
    other_inputs = [arg for arg in block.args if arg is not pixels]
    read = [operand for op in needed for operand in op.operands]
    if not users <= needed or any(operand in other_inputs for operand in read):
        raise _unavailable(file)
    if [use.operation for use in rows.uses] != [replace]:
        raise _unavailable(file)
    body = Block(arg_types=[pixels.type])
    for op in ops:
        op.detach()
        body.add_op(op)
    for use in tuple(pixels.uses):
        if use.operation in needed:
            use.operation.operands[use.index] = body.args[0]
    end = ReturnOp(rows)
    end.location = replace.location
    body.add_op(end)
    return FuncOp(ENCODER, ([pixels.type], [rows.type]), Region(body))


def _needed(value: SSAValue) -> set[Operation]:
    """The operations a value is computed by, regions with what they contain."""
    found: set[Operation] = set()
    pending = [value.owner]
    while pending:
        op = pending.pop()
        if isinstance(op, Operation) and op not in found:
            found.update(op.walk())
            pending += [operand.owner for inner in op.walk() for operand in inner.operands]
    return found


def _check_same_without_image(file: ArchitectureFile, full: FuncOp, plain: FuncOp) -> None:
    """Without its replace, forward with an image must be forward without one."""
    bare = full.clone()
    replace = next(op for op in bare.walk() if isinstance(op, slm.ReplaceOp))
    Rewriter.replace_op(replace, [], [replace.x])
    for argument in reversed(bare.body.block.args[1:]):
        if argument.uses:
            raise _unavailable(file)
        bare.body.block.erase_arg(argument)
    bare.function_type = plain.function_type
    if _text(bare) != _text(plain):
        raise _unavailable(file)


def _text(function: FuncOp) -> str:
    stream = StringIO()
    Printer(stream=stream).print_op(function)
    return stream.getvalue()
