"""docs/slm-language.md names everything the language has: kinds, functions, operations, options, activations, rope scalings, limits."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from frontends.configuration.declared import MAX_GROUP_MEMBERS
from frontends.configuration.evaluator import MAX_LIST_LENGTH
from frontends.configuration.rotary import OPTIONAL_KEYS, REQUIRED_KEYS
from frontends.language import catalogue
from frontends.language.parser import MAX_SOURCE_CHARACTERS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "slm-language.md").read_text(encoding="utf-8")
WORDS = set(re.findall(r"[A-Za-z_0-9]+", PAGE))
GRAMMAR = (ROOT / "frontends" / "language" / "grammar.lark").read_text(encoding="utf-8")
TABLES = (
    catalogue.KINDS,
    catalogue.CONFIG_FUNCTIONS,
    catalogue.DIALECT_FUNCTIONS,
    catalogue.SOURCE_FUNCTIONS,
    catalogue.OPERATIONS,
)
NAMES = [name for table in TABLES for name in table]
OPTIONS = [option for table in TABLES for signature in table.values() for option in signature.options]


@pytest.mark.parametrize("name", sorted({*NAMES, *OPTIONS, *catalogue.ACTIVATIONS, *catalogue.ACTIVATION_ALIASES}))
def test_every_name_is_explained(name: str) -> None:
    assert name in WORDS


@pytest.mark.parametrize("kind", sorted(REQUIRED_KEYS))
def test_every_rope_scaling_is_explained(kind: str) -> None:
    assert f"`{kind}`" in PAGE
    for key in OPTIONAL_KEYS.get(kind, {}):
        assert key in WORDS


def test_every_keyword_and_operator_is_explained() -> None:
    keywords = set(re.findall(r'"([a-z]{2,})"', GRAMMAR))
    assert {"architecture", "dialect", "comprehension"} & keywords == {"architecture", "dialect"}
    assert keywords <= WORDS
    rules = "\n".join(line for line in GRAMMAR.splitlines() if ": /" not in line)  # without regular expressions
    operators = set(re.findall(r'"([^a-zA-Z0-9\s"]+)"', rules)) - {"{", "}", "(", ")", "[", "]", ",", ":"}
    assert {"??", "->", "..", "**", "//", "+="} <= operators
    assert all(operator in PAGE for operator in operators)


def test_the_limits_are_the_real_ones() -> None:
    text = " ".join(PAGE.split())
    assert f"{MAX_SOURCE_CHARACTERS:,} characters" in text
    assert f"a group at most {MAX_GROUP_MEMBERS:,} members" in text
    assert f"a list at most {MAX_LIST_LENGTH:,} items" in text
