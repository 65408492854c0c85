"""What a module says about its image input, and the input itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.rewriter import Rewriter

from compiler.dialects.slm import shape_of
from compiler.errors import CompileError
from compiler.program import ENCODER
from isa.abi import NO_IMAGE_ROW


@dataclass(frozen=True)
class ImageShape:
    """Pixels [channels, height, width] become `rows` rows of the model's width."""

    channels: int
    height: int
    width: int
    rows: int

    @property
    def pixels(self) -> tuple[int, int, int]:
        return self.channels, self.height, self.width


@dataclass(frozen=True)
class ImageInput:
    """pixels: float32 [C, h, w]; places: int32 [T], the number of the image row at each position, -1 for none."""

    pixels: NDArray[np.float32]
    places: NDArray[np.int32]


def encoder_of(module: ModuleOp) -> FuncOp | None:
    """The function that makes rows of an image, if the model takes one."""
    return next((op for op in module.ops if isinstance(op, FuncOp) and op.sym_name.data == ENCODER), None)


def without_encoder(module: ModuleOp) -> ModuleOp:
    """What is done to tokens."""
    if encoder_of(module) is None:
        return module
    copy = module.clone()
    encoder = encoder_of(copy)
    assert encoder is not None
    Rewriter.erase_op(encoder)
    return copy


def image_shape(module: ModuleOp) -> ImageShape | None:
    """None for a model without images."""
    encoder = encoder_of(module)
    if encoder is None:
        return None
    end = encoder.body.block.last_op
    pixels = shape_of(encoder.body.block.args[0])
    if end is None or len(pixels) != 3:
        raise CompileError(f"@{ENCODER} takes pixels [C, h, w] and returns rows, found {pixels}")
    return ImageShape(pixels[0], pixels[1], pixels[2], shape_of(end.operands[0])[0])


def places_at(first: int, rows: int, tokens: int) -> NDArray[np.int32]:
    """Places [tokens] of an image whose rows lie at positions first .. first + rows - 1."""
    places = np.full(tokens, NO_IMAGE_ROW, np.int32)
    places[first : first + rows] = np.arange(rows, dtype=np.int32)
    return places
