"""What the storyteller is trained on: batches of token ids, and the loss weights of the tokens."""

import random
from collections.abc import Iterable, Iterator
from itertools import islice

import torch
from stories import Story
from story_crafts import CRAFTS
from story_words import ANIMALS, LIGHT_TOYS, PARCELS, PLANTS, ROUND_TOYS, TREASURES
from tokenizers import Tokenizer

VOCABULARY_TOKENS = 2048
WINDOW, WINDOWS_PER_BATCH, STORIES_PER_BATCH = 512, 4, 8
# The loss weight of words that must be copied, in the steps with one story per row.
COPY_WEIGHT = 3.0
IGNORED = -100


def encode_story(tokenizer: Tokenizer, story: str) -> list[int]:
    """The token ids of a story, with the end-of-text token before and after."""
    return [0, *tokenizer.encode(story).ids, 0]


class SingleStories:
    """Batches with one story per row, for the first part of the training.

    With nothing else in sight, the model soon learns to look back for the name and the wanted thing. In half of the
    rows the end-of-text token before the story is left out, because a user's opening comes without it too.
    """

    def __init__(self, tokenizer: Tokenizer, stories: Iterator[Story], seed: int) -> None:
        self.tokenizer, self.stories, self.rng = tokenizer, stories, random.Random(seed)

    def batch(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Inputs and targets [STORIES_PER_BATCH, T], int64; padded targets are IGNORED."""
        stories = islice(self.stories, STORIES_PER_BATCH)
        rows = [encode_story(self.tokenizer, s.text)[self.rng.randrange(2) :] for s in stories]
        length = max(len(row) for row in rows) - 1
        inputs = torch.zeros(len(rows), length, dtype=torch.int64)
        targets = torch.full_like(inputs, IGNORED)
        for index, row in enumerate(rows):
            inputs[index, : len(row) - 1] = torch.tensor(row[:-1])
            targets[index, : len(row) - 1] = torch.tensor(row[1:])
        return inputs[:, :WINDOW], targets[:, :WINDOW]


class Windows:
    """Batches of full windows cut from the endless stream of stories, for the second part of the training.

    Three windows in four start anywhere; the others start exactly at the first word of a story.
    """

    def __init__(self, tokenizer: Tokenizer, stories: Iterator[Story], seed: int) -> None:
        self.tokenizer, self.stories, self.rng = tokenizer, stories, random.Random(seed)
        self.buffer: list[int] = []

    def window(self) -> list[int]:
        """The next WINDOW + 1 tokens."""
        while len(self.buffer) < 3 * WINDOW:
            self.buffer += encode_story(self.tokenizer, next(self.stories).text)[:-1]
        if self.rng.random() < 0.25:
            self.buffer = self.buffer[self.buffer.index(0) + 1 :]
        window, self.buffer = self.buffer[: WINDOW + 1], self.buffer[WINDOW:]
        return window

    def batch(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Inputs and targets [WINDOWS_PER_BATCH, WINDOW], int64."""
        windows = torch.tensor([self.window() for _ in range(WINDOWS_PER_BATCH)])
        return windows[:, :-1], windows[:, 1:]


def copy_weights(tokenizer: Tokenizer, words: Iterable[str]) -> torch.Tensor:
    """Loss weight of each token id [VOCABULARY_TOKENS]: words that must be copied from earlier weigh more."""
    weights = torch.ones(VOCABULARY_TOKENS)
    for word in words:
        for text in (word, " " + word):
            ids = tokenizer.encode(text).ids
            if len(ids) == 1:
                weights[ids[0]] = COPY_WEIGHT
    return weights


def things() -> list[str]:
    """The words for heroes and wanted things, which a story must repeat without a change."""
    tables = (TREASURES, PLANTS, LIGHT_TOYS, ROUND_TOYS)
    phrases = [thing.noun for table in tables for thing in table]
    phrases += [adjective for table in tables for thing in table for adjective in thing.adjectives]
    phrases += [parcel.noun for parcel in PARCELS] + [kind.noun for kind in ANIMALS] + ["girl", "boy"]
    phrases += [craft.noun for craft in CRAFTS]
    return sorted({word for phrase in phrases for word in phrase.split() if word not in ("a", "of", "the")})
