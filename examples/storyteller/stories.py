"""A seeded grammar of short stories: a hero wants something, is stopped, meets a helper, and gets it.

Each story is a chain of causes. The want named at the start is repeated when the hero explains the problem, the
helper's solution fits the obstacle, and the ending returns to the want. A (name, want, obstacle) combination belongs
either to the training split or to the held-out split, by a hash, so that the two splits share no combination.

Run `python stories.py --seed 1 --count 5` to read some.
"""

import argparse
import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass

from story_plot import Plot, Slots, add_hero
from story_tales import TALES

MIN_WORDS, MAX_WORDS = 80, 220
# One combination in twenty is kept for the held-out split.
HELD_OUT_SHARE = 20
SPLITS = ("train", "heldout")


@dataclass(frozen=True)
class Story:
    """One story: its text and the choices that the tests and the split need."""

    text: str
    combination: tuple[str, str, str]
    pronouns: frozenset[str]

    @property
    def split(self) -> str:
        """`train` or `heldout`: the split that owns this story's combination."""
        return split_of(self.combination)


def split_of(combination: tuple[str, str, str]) -> str:
    """The split that owns a (name, want, obstacle) combination."""
    digest = hashlib.sha256("|".join(combination).encode()).digest()
    return "heldout" if int.from_bytes(digest[:4], "big") % HELD_OUT_SHARE == 0 else "train"


def draw_story(rng: random.Random) -> Story:
    """One story of either split."""
    plot = Plot(rng, Slots(), brief=rng.random() < 0.5)
    kind = add_hero(plot)
    rng.choice(TALES)(plot, kind)
    text = "\n\n".join(" ".join(sentences) for sentences in plot.paragraphs if sentences)
    return Story(text, (plot.slots["name"], plot.want, plot.obstacle), frozenset(plot.pronouns))


def generate(split: str, seed: int) -> Iterator[Story]:
    """An endless stream of the stories of one split. The same seed gives the same stories."""
    if split not in SPLITS:
        raise ValueError(f"unknown split {split!r}: expected one of {', '.join(SPLITS)}")
    rng = random.Random(f"{split}-{seed}")
    while True:
        story = draw_story(rng)
        if story.split == split and MIN_WORDS <= len(story.text.split()) <= MAX_WORDS:
            yield story


def main() -> None:
    """Prints some stories."""
    parser = argparse.ArgumentParser(description="Prints stories of the grammar.")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=5)
    parser.add_argument("--split", choices=SPLITS, default="train")
    options = parser.parse_args()
    for _, story in zip(range(options.count), generate(options.split, options.seed), strict=False):
        print(story.text, end="\n\n---\n\n")


if __name__ == "__main__":
    main()
