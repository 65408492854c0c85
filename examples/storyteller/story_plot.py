"""A story under construction: the slots of its sentences, who appears, what is wanted and what stands in the way."""

import random
import re
from dataclasses import dataclass, field

import story_obstacles as obstacles
import story_words as words

# Half of the stories are told briefly: an optional sentence is then this much less likely.
BRIEF_CHANCE = 0.3
PRONOUNS = {
    "she": {"he": "she", "him": "her", "his": "her"},
    "he": {"he": "he", "him": "him", "his": "his"},
}


class Slots(dict[str, str]):
    """Values of the slots of a sentence. A capitalised key asks for the capitalised value."""

    def __missing__(self, key: str) -> str:
        lower = key[0].lower() + key[1:]
        if lower == key:
            raise KeyError(key)
        value = self[lower]
        return value[0].upper() + value[1:]

    def fill(self, template: str) -> str:
        """The template with every slot replaced."""
        return template.format_map(self)


@dataclass
class Plot:
    """A story under construction: paragraphs of sentences, and who appears."""

    rng: random.Random
    slots: Slots
    want: str = ""
    obstacle: str = ""
    brief: bool = False
    paragraphs: list[list[str]] = field(default_factory=lambda: [[]])
    pronouns: set[str] = field(default_factory=set)

    def say(self, *choices: str, chance: float = 1.0) -> None:
        """Appends one of the sentences, with the given probability."""
        if chance < 1.0 and self.brief:
            chance *= BRIEF_CHANCE
        if self.rng.random() < chance:
            self.paragraphs[-1].append(self.slots.fill(self.rng.choice(choices)))

    def paragraph(self) -> None:
        """Starts a new paragraph."""
        self.paragraphs.append([])


def with_article(phrase: str) -> str:
    """The phrase with its indefinite article, by the first sound of its first word."""
    return ("an " if phrase.startswith(("a", "e", "i", "o", "u", "honest")) else "a ") + phrase


def add_pronouns(plot: Plot, prefix: str, pronoun: str) -> None:
    """Defines the pronoun slots of somebody and notes the pronoun used."""
    plot.pronouns.add(pronoun)
    for key, value in PRONOUNS[pronoun].items():
        plot.slots[prefix + key] = value


def add_hero(plot: Plot) -> words.Kind:
    """Chooses the hero and tells the opening."""
    rng, slots = plot.rng, plot.slots
    pronoun = rng.choice(("she", "he"))
    kind = words.CHILDREN[pronoun] if rng.random() < 0.35 else rng.choice(words.ANIMALS)
    trait = rng.choice(words.TRAITS)
    add_pronouns(plot, "", pronoun)
    slots["name"] = rng.choice(words.GIRLS if pronoun == "she" else words.BOYS)
    slots["trait"] = trait
    slots["hero_noun"] = kind.noun
    little = "" if kind.noun.startswith("bear") else "little "
    slots["a_hero"] = with_article(rng.choice((f"{trait} {little}{kind.noun}", f"{little or trait + ' '}{kind.noun}")))
    slots["home"] = rng.choice(kind.homes)
    plot.say(*words.OPENINGS)
    plot.say(*words.HABITS, chance=0.3)
    return kind


def add_thing(plot: Plot, thing: words.Thing) -> None:
    """Defines the slots of the wanted thing in its number."""
    phrase = f"{plot.rng.choice(thing.adjectives)} {thing.noun}"
    slots = plot.slots
    slots["the_thing"] = "the " + thing.noun
    slots["full_thing"] = "the " + phrase
    slots["a_thing"] = "some " + phrase if thing.plural else with_article(phrase)
    slots["it"], slots["it_obj"] = ("they", "them") if thing.plural else ("it", "it")
    slots["was"], slots["are"] = ("were", "are") if thing.plural else ("was", "is")
    plot.want = phrase


def add_person(plot: Plot, person: words.Person) -> None:
    """Defines the slots of somebody the hero cares for."""
    plot.slots["who"] = plot.slots.fill(person.who)
    add_pronouns(plot, "who_", person.pronoun)


def set_goal(plot: Plot, template: str) -> None:
    """Defines the goal as the narrator says it and as the hero says it."""
    spoken = Slots(plot.slots)
    spoken["his"] = "my"
    if "who" in plot.slots:
        spoken["who"] = re.sub(r"^(her|his)\b", "my", plot.slots["who"])
    plot.slots["goal"] = plot.slots.fill(template)
    plot.slots["my_goal"] = spoken.fill(template)


def choose_obstacle(plot: Plot, goals: tuple[str, ...], kind: words.Kind) -> obstacles.Obstacle:
    """An obstacle that fits one of the kinds of goal and that really stops this hero."""
    fitting = [o for o in obstacles.OBSTACLES if set(o.goals) & set(goals) and o.key not in kind.immune]
    obstacle = plot.rng.choice(fitting)
    plot.obstacle = obstacle.key
    if obstacle.key == "guard":
        guard, pronoun = plot.rng.choice(obstacles.GUARDS)
        add_pronouns(plot, "guard_", pronoun)
        plot.slots["guard"] = guard
        plot.slots["a_guard"] = "a grumpy " + guard
    plot.slots["where"] = obstacle.where
    return obstacle


def add_helper(plot: Plot, helpers: tuple[str, ...]) -> None:
    """Chooses a helper who is not of the hero's own kind."""
    slots, rng = plot.slots, plot.rng
    noun = rng.choice([h for h in helpers if h != slots["hero_noun"]])
    adjectives = obstacles.BIG_ADJECTIVES if noun in obstacles.BIG_HELPERS else obstacles.HELPER_ADJECTIVES
    if noun in obstacles.PERSON_PRONOUNS:
        adjectives = ("kind", "friendly", "old", "young", "cheerful", "tall")
    adjective = rng.choice([a for a in adjectives if a != slots["trait"]])
    add_pronouns(plot, "helper_", obstacles.PERSON_PRONOUNS.get(noun) or rng.choice(("she", "he")))
    slots["helper_noun"] = noun
    slots["the_helper"] = "the " + noun
    slots["the_helper_s"] = f"the {noun}'s"
    slots["a_helper"] = with_article(f"{adjective} {noun}")
