"""A small published model with a tokenizer: one token per character."""

from __future__ import annotations

import shutil
from pathlib import Path

from tokenizers import Tokenizer, models

from tests.end_to_end.e2e_support import PUBLISHED

VOCABULARY = 181
LETTERS = "abcdefghijklmnopqrstuvwxyz ."
TEXT = "the quick brown fox jumps over the lazy dog. the end."


def ids_of(text: str) -> list[int]:
    return [LETTERS.index(character) for character in text]


def write_model(folder: Path, letters: str = LETTERS) -> Path:
    """The published `gqa` checkpoint in a new folder, with a tokenizer."""
    shutil.copytree(PUBLISHED / "gqa", folder)
    others = [chr(0x100 + number) for number in range(len(letters), VOCABULARY)]
    vocabulary = {character: number for number, character in enumerate([*letters, *others])}
    Tokenizer(models.BPE(vocab=vocabulary, merges=[])).save(str(folder / "tokenizer.json"))
    return folder
