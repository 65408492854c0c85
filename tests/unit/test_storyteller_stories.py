"""The story grammar of the storyteller example, and the model files that ship with it."""

import hashlib
import json
import re
import sys
from itertools import islice
from pathlib import Path

import pytest

STORYTELLER = Path(__file__).resolve().parents[2] / "examples" / "storyteller"
sys.path.insert(0, str(STORYTELLER))

import stories  # noqa: E402
import story_crafts as crafts  # noqa: E402
import story_obstacles as obstacles  # noqa: E402
import story_words as words  # noqa: E402

COUNT = 1500
CAPITALISED = {*words.GIRLS, *words.BOYS}
MALE = {"he", "him", "his", "himself"}
FEMALE = {"she", "her", "hers", "herself"}


@pytest.fixture(scope="module")
def train() -> list[stories.Story]:
    return list(islice(stories.generate("train", 11), COUNT))


@pytest.fixture(scope="module")
def held_out() -> list[stories.Story]:
    return list(islice(stories.generate("heldout", 12), COUNT))


def tokens(text: str) -> list[str]:
    return re.findall(r"[A-Za-z'-]+", text)


def test_same_seed_gives_the_same_stories() -> None:
    first = [s.text for s in islice(stories.generate("train", 5), 20)]
    again = [s.text for s in islice(stories.generate("train", 5), 20)]
    other = [s.text for s in islice(stories.generate("train", 6), 20)]
    assert first == again
    assert not set(first) & set(other)


def test_stories_are_pinned() -> None:
    """The shipped model was trained on exactly these stories, so the grammar must not drift from it."""
    text = "\x00".join(s.text for s in islice(stories.generate("train", 4), 300))
    assert hashlib.sha256(text.encode()).hexdigest() == PINNED


# SHA-256 of 300 stories, each followed by a zero byte but the last.
PINNED = "38fcafa963965b99c2399e2c7669566d1c26955d234da5d947153ff96912d0ce"


def test_unknown_split_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown split 'test'"):
        next(stories.generate("test", 1))


def test_splits_share_no_combination(train: list[stories.Story], held_out: list[stories.Story]) -> None:
    assert not {s.combination for s in train} & {s.combination for s in held_out}
    assert {s.split for s in train} == {"train"}
    assert {s.split for s in held_out} == {"heldout"}
    assert not {s.text for s in train} & {s.text for s in held_out}


def test_combination_is_what_the_story_tells(train: list[stories.Story]) -> None:
    for story in train:
        name, want, _ = story.combination
        assert name in story.text
        assert want.split()[-1] in story.text


def test_stories_are_varied(train: list[stories.Story]) -> None:
    assert len({s.text for s in train}) == COUNT
    assert len({s.combination for s in train}) > 0.8 * COUNT
    assert {s.combination[2] for s in train} >= {o.key for o in obstacles.OBSTACLES}


def test_length(train: list[stories.Story], held_out: list[stories.Story]) -> None:
    for story in [*train, *held_out]:
        assert 80 <= len(story.text.split()) <= 220


def test_articles_agree(train: list[stories.Story]) -> None:
    for story in train:
        for article, word in re.findall(r"\b([Aa]n?) ([a-z-]+)", story.text):
            vowel = word[0] in "aeiou" or word in ("honest", "hour")
            assert (article.lower() == "an") == vowel, (article, word)


def test_one_gender_means_one_set_of_pronouns(train: list[stories.Story], held_out: list[stories.Story]) -> None:
    """If all characters of a story are female, there is no male pronoun in it, and the other way round."""
    seen = set()
    for story in [*train, *held_out]:
        if len(story.pronouns) != 1:
            continue
        (pronoun,) = story.pronouns
        seen.add(pronoun)
        forbidden = MALE if pronoun == "she" else FEMALE
        text = story.text.replace("People said that she knew", "").replace("on her birthday", "")
        assert not forbidden & {word.lower() for word in tokens(text)}, story.text
    assert seen == {"she", "he"}


def test_only_the_hero_has_a_name(train: list[stories.Story]) -> None:
    for story in train:
        assert CAPITALISED & set(tokens(story.text)) == {story.combination[0]}


def test_plural_things_take_plural_verbs(train: list[stories.Story]) -> None:
    nouns = [t.noun for t in words.PLANTS if t.plural]
    checked = 0
    for story in train:
        if any(story.combination[1].endswith(noun) for noun in nouns):
            checked += 1
            assert not re.search(r"\b(it was!|it is for you|held it|gave it)", story.text, re.IGNORECASE)
    assert checked > 50


def test_typography(train: list[stories.Story]) -> None:
    for story in train:
        assert not re.search(r"[{}]|  |\b([A-Za-z]+) \1\b| [,.!?]", story.text), story.text
        for paragraph in story.text.split("\n\n"):
            assert paragraph.count('"') % 2 == 0
            assert re.match(r'["A-Z]', paragraph) and paragraph[-1] in '.!?"'
            sentences = re.split(r"(?<=[.]) ", paragraph.replace('"', ""))
            assert all(sentence[0].isupper() for sentence in sentences)


def test_a_helper_of_another_kind_always_exists() -> None:
    heroes = {kind.noun for kind in words.ANIMALS}
    for helpers in [s.helpers for o in obstacles.OBSTACLES for s in o.solutions] + [c.helpers for c in crafts.CRAFTS]:
        assert len(set(helpers)) == len(helpers)
        assert all(len(set(helpers) - {hero}) >= 1 for hero in heroes)


def test_every_hero_can_have_every_kind_of_tale() -> None:
    for kind in words.ANIMALS:
        for goal in ("treasure", "plant", "light toy", "round toy", "journey", "delivery"):
            assert any(goal in o.goals and o.key not in kind.immune for o in obstacles.OBSTACLES), (kind.noun, goal)


def test_model_files() -> None:
    config = json.loads((STORYTELLER / "config.json").read_text())
    assert config["hidden_size"] % 128 == 0 and config["intermediate_size"] % 128 == 0
    assert config["vocab_size"] <= 2048 and config["max_position_embeddings"] == 512
    files = [path for path in STORYTELLER.iterdir() if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 8_000_000


def test_model_tensors_are_those_of_the_config() -> None:
    config = json.loads((STORYTELLER / "config.json").read_text())
    with (STORYTELLER / "model.safetensors").open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    header.pop("__metadata__")
    assert {entry["dtype"] for entry in header.values()} == {"BF16"}
    assert "lm_head.weight" not in header
    assert header["model.embed_tokens.weight"]["shape"] == [config["vocab_size"], config["hidden_size"]]
    assert len(header) == 2 + 9 * config["num_hidden_layers"]
    parameters = sum((entry["data_offsets"][1] - entry["data_offsets"][0]) // 2 for entry in header.values())
    assert 1_000_000 <= parameters <= 4_000_000


def test_reference_belongs_to_the_shipped_files() -> None:
    reference = json.loads((STORYTELLER / "perplexity_reference.json").read_text())
    assert reference["model_sha256"] == hashlib.sha256((STORYTELLER / "model.safetensors").read_bytes()).hexdigest()
    assert reference["heldout_sha256"] == hashlib.sha256((STORYTELLER / "heldout.txt").read_bytes()).hexdigest()
    assert reference["window"] == 512 and reference["tokens"] >= 20_000
    assert reference["tokens"] == reference["windows"] * 511


def test_heldout_text_is_held_out() -> None:
    """Every story of heldout.txt comes from the held-out stream, and the text is long enough to evaluate."""
    from tokenizers import Tokenizer

    text = (STORYTELLER / "heldout.txt").read_text(encoding="utf-8")
    end = "<|endoftext|>"
    assert text.startswith(end) and text.endswith(end)
    parts = text.split(end)[1:-1]
    assert parts == [s.text for s in islice(stories.generate("heldout", 3), len(parts))]
    tokenizer = Tokenizer.from_file(str(STORYTELLER / "tokenizer.json"))
    ids = tokenizer.encode(text).ids
    assert len(ids) >= 25_000 and ids.count(0) == len(parts) + 1
    assert tokenizer.decode(tokenizer.encode(parts[0]).ids) == parts[0]
