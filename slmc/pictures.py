"""A picture in a prompt: its pixels, and where its rows stand among the tokens."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compiler.images import image_shape
from compiler.program import Program
from frontends.image_files import pixels_of
from frontends.image_processing import check_record
from frontends.tokenizer import TextTokenizer
from isa.container import Executable
from slmc.errors import CommandError

FILLER = 0
"""The id at the positions of an image: its rows take their place."""


@dataclass(frozen=True)
class PictureInput:
    """What a model says about images: pixels `shape` [C, h, w] become `rows` rows; `processing`: the processor's record."""

    model: str
    shape: tuple[int, ...]
    rows: int
    processing: dict[str, Any] | None

    @staticmethod
    def of_program(program: Program) -> PictureInput:
        """Raises CommandError for a model without images."""
        shape = image_shape(program.module)
        if shape is None:
            raise CommandError(f"{program.architecture} takes no image", "leave out --image")
        return PictureInput(program.architecture, shape.pixels, shape.rows, program.image_processing)

    @staticmethod
    def of_executable(executable: Executable) -> PictureInput:
        """Raises CommandError for a program without images, FrontendError if its record is none."""
        record: dict[str, Any] | None = executable.meta.get("image")
        if record is None:
            raise CommandError(f"{executable.meta['model']} takes no image", "leave out --image")
        processing = record.get("processing")
        shape = (record["channels"], record["height"], record["width"])
        known = None if processing is None else check_record(processing, str(executable.path))
        return PictureInput(executable.meta["model"], shape, record["rows"], known)

    def pixels(self, path: Path) -> NDArray[np.float32]:
        """Raises CommandError if nothing says how to make pixels of a file, FrontendError for the file."""
        if self.processing is None:
            hint = "put the preprocessor_config.json of the published model beside config.json"
            raise CommandError(f"{self.model} does not say how a picture becomes pixels", hint)
        return pixels_of(path, self.processing, self.shape)

    def prompt(self, tokenizer: TextTokenizer, text: str) -> tuple[list[int], int]:
        """(token ids, position of the first row) of a text with an image before it. Raises CommandError."""
        layout = None if self.processing is None else self.processing["prompt"]
        if layout is None:
            hint = "give --tokens, and --image-at for the position of the image's first row"
            raise CommandError(f"how a prompt with an image is written is not known for {self.model}", hint)
        before = tokenizer.encode(layout["before"], bare=True)
        after = tokenizer.encode(layout["after"] + text.strip(), bare=True)
        return [*before, *[FILLER] * self.rows, *after], len(before)
