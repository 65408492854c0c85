"""Word and sentence tables of the story grammar: who is in a story, what is wanted, what it is for.

Sentences are format strings. `{name}`, `{he}`, `{him}`, `{his}` are the hero, `{helper_he}` and so on the helper,
`{the_thing}`, `{it}` (subject), `{it_obj}` and `{was}` the wanted thing in its number. A key written with a capital
(`{He}`) gives the capitalised value. In speech the same goal sentence is rendered with `{his}` = "my".
"""

from typing import NamedTuple

# fmt: off
GIRLS = (
    "Mira", "Lily", "Anna", "Rosa", "Tess", "Nora", "Ella", "Ivy", "Hana",
    "Zoe", "Lucy", "Clara", "Maya", "Nina", "Freya", "Ada", "Daisy", "Poppy",
    "Wren", "Olive", "Greta", "Ruby", "Stella", "Alma", "Edith",
)
BOYS = (
    "Tom", "Ben", "Max", "Leo", "Sam", "Otto", "Finn", "Hugo", "Theo",
    "Eli", "Noah", "Jack", "Oscar", "Milo", "Felix", "Jonas", "Kai", "Rolf",
    "Pip", "Toby", "Emil", "Arlo", "Walter", "Ravi", "Bruno",
)

TRAITS = (
    "curious", "shy", "brave", "gentle", "cheerful", "quiet", "clever", "stubborn", "patient",
    "kind", "dreamy", "careful", "honest", "lively",
)
# fmt: on


class Kind(NamedTuple):
    """What the hero is, where it may live, and the obstacles which would be no obstacle for it."""

    noun: str
    homes: tuple[str, ...]
    immune: tuple[str, ...] = ()


CHILD_HOMES = (
    "in a small house at the edge of the village",
    "in a white house by the mill",
    "in a little house with a red door",
    "on a farm at the foot of the hills",
    "in a quiet street near the harbour",
    "above the bakery in the old town",
)
FOREST_HOMES = (
    "in a warm burrow under an old oak",
    "in a cosy den at the edge of the forest",
    "in a tiny house between two roots",
    "under a hedge at the end of the lane",
    "in a round house made of moss and clay",
    "in a hollow log beside the meadow",
)
FARM_HOMES = (
    "in a barn full of sweet hay",
    "on a farm at the foot of the hills",
    "behind the old mill",
    "in a little stable with a green door",
)
CHILDREN = {"she": Kind("girl", CHILD_HOMES), "he": Kind("boy", CHILD_HOMES)}
ANIMALS = (
    Kind("fox", FOREST_HOMES),
    Kind("rabbit", FOREST_HOMES, ("hole",)),
    Kind("mouse", FOREST_HOMES, ("gate", "hole")),
    Kind("hedgehog", FOREST_HOMES),
    Kind("squirrel", FOREST_HOMES, ("tree", "gate")),
    Kind("badger", FOREST_HOMES, ("hole", "gate")),
    Kind("piglet", FARM_HOMES),
    Kind("bear cub", FOREST_HOMES, ("tree",)),
    Kind("kitten", FARM_HOMES, ("tree", "gate")),
    Kind("puppy", FARM_HOMES),
    Kind("lamb", FARM_HOMES),
    Kind("pony", FARM_HOMES, ("hole",)),
    Kind("goat", FARM_HOMES, ("stone",)),
)

OPENINGS = (
    "Once upon a time, there was {a_hero} named {name}. {He} lived {home}.",
    "Once upon a time, there was {a_hero} named {name} who lived {home}.",
    "Once upon a time, {a_hero} named {name} lived {home}.",
    "Once upon a time, {a_hero} lived {home}. {His} name was {name}.",
    "Long ago, {a_hero} named {name} lived {home}.",
    "There once was {a_hero} named {name} who lived {home}.",
    "{name} was {a_hero} who lived {home}.",
    "This is the story of {name}, {a_hero} who lived {home}.",
    "There was once {a_hero}. {His} name was {name}, and {he} lived {home}.",
)
HABITS = (
    "Every morning, {he} watered the flowers by the door.",
    "{He} liked to sing while {he} worked.",
    "{He} knew every stone and every puddle on the way to the well.",
    "{He} was small, but {he} had big dreams.",
    "{He} liked warm bread, long walks, and good stories.",
    "Everyone who met {him} liked {him}.",
    "{He} always carried a little bag over {his} shoulder.",
    "In the evening, {he} liked to count the stars.",
    "{He} liked to ask questions about everything.",
    "{He} hummed the same little tune all day long.",
)

DAYS = (
    "One sunny morning",
    "One fine spring day",
    "One warm summer morning",
    "One cool autumn morning",
    "One bright day",
    "One quiet morning, after the rain",
    "One day, when the birds were singing",
    "One day, when the sky was clear and blue",
)
DAYS_BY_OBSTACLE = {
    "snow": ("One cold winter morning", "One white winter day", "One frosty morning"),
    "fog": ("One grey morning", "One still autumn morning", "One cool morning"),
    "wind": ("One windy morning", "One stormy autumn day", "One wild spring day"),
    "mud": ("One wet morning", "One day, after a week of rain", "One rainy spring morning"),
}


class Thing(NamedTuple):
    """A thing to look for: its noun, its adjectives, and whether the noun is plural."""

    noun: str
    adjectives: tuple[str, ...]
    plural: bool = False


TREASURES = (
    Thing("bell", ("silver", "golden", "tiny", "old")),
    Thing("shell", ("pink", "white", "shiny", "striped")),
    Thing("feather", ("blue", "golden", "long white", "soft grey")),
    Thing("stone", ("green", "round blue", "shiny", "smooth white")),
    Thing("button", ("silver", "golden", "bright red")),
    Thing("mirror", ("little", "round", "silver")),
    Thing("music box", ("little", "old wooden", "blue")),
    Thing("star-shaped leaf", ("golden", "red", "silver")),
    Thing("crystal", ("purple", "clear", "yellow")),
    Thing("acorn", ("golden", "giant", "shiny")),
)
PLANTS = (
    Thing("blackberries", ("ripe", "sweet", "fat"), True),
    Thing("strawberries", ("wild", "sweet", "red"), True),
    Thing("apples", ("red", "yellow", "juicy"), True),
    Thing("plums", ("purple", "sweet", "ripe"), True),
    Thing("mushrooms", ("white", "brown", "fresh"), True),
    Thing("roses", ("yellow", "white", "wild"), True),
    Thing("bluebells", ("fresh", "pretty"), True),
    Thing("rose", ("white", "red", "wild")),
    Thing("pear", ("golden", "juicy", "sweet")),
    Thing("pumpkin", ("big", "round", "orange")),
    Thing("sunflower", ("tall", "golden", "bright")),
)
LIGHT_TOYS = (
    Thing("kite", ("red", "blue", "yellow", "paper")),
    Thing("hat", ("green", "straw", "red", "new")),
    Thing("scarf", ("striped", "blue", "long", "woollen")),
    Thing("balloon", ("red", "purple", "big", "yellow")),
    Thing("umbrella", ("blue", "little", "spotted")),
    Thing("flag", ("white", "orange", "little")),
)
ROUND_TOYS = (
    Thing("ball", ("red", "blue", "striped", "rubber")),
    Thing("marble", ("green", "glass", "shiny")),
    Thing("drum", ("little", "tin", "red")),
    Thing("hoop", ("wooden", "yellow", "big")),
    Thing("spinning top", ("wooden", "orange", "little")),
    Thing("coin", ("lucky", "silver", "old")),
)


class Person(NamedTuple):
    """Somebody the hero cares for: how the narrator names the person, and the pronoun."""

    who: str
    pronoun: str


FAMILY = (
    Person("{his} grandmother", "she"),
    Person("{his} mother", "she"),
    Person("{his} little sister", "she"),
    Person("{his} aunt", "she"),
    Person("{his} grandfather", "he"),
    Person("{his} father", "he"),
    Person("{his} little brother", "he"),
    Person("{his} uncle", "he"),
)
FAR_PEOPLE = (
    Person("the old teacher", "she"),
    Person("the lighthouse keeper", "he"),
    Person("{his} cousin", "she"),
    Person("{his} aunt", "she"),
    Person("{his} uncle", "he"),
    Person("the old shoemaker", "he"),
    Person("the kind miller", "he"),
    Person("{his} grandmother", "she"),
    Person("{his} grandfather", "he"),
    Person("the old piano teacher", "she"),
)
GIFT_REASONS = (
    "because it was {who_his} birthday",
    "because {who_he} was ill in bed",
    "because {who_he} had not smiled all week",
    "because {who_he} was feeling lonely",
    "to thank {who_him} for {who_his} help",
    "as a surprise",
)
OWN_REASONS = (
    "{He} had dreamed of {it_obj} three nights in a row.",
    "{He} had wanted {it_obj} for as long as {he} could remember.",
    "{He} had seen {it_obj} once in a picture book.",
    "{His} grandmother had often told {him} about {it_obj}.",
)


class Parcel(NamedTuple):
    """Something to deliver, and why the person at the other end needs it."""

    noun: str
    reason: str


PARCELS = (
    Parcel("pot of soup", "who was ill and could not cook"),
    Parcel("jar of honey", "who had a sore throat"),
    Parcel("warm blanket", "who was always cold at night"),
    Parcel("basket of bread", "who had nothing left to eat"),
    Parcel("letter", "who had waited for news all month"),
    Parcel("bunch of flowers", "who was feeling lonely"),
    Parcel("box of candles", "who had to sit in the dark every night"),
    Parcel("birthday cake", "who was having a birthday all alone"),
    Parcel("pair of woollen socks", "who had cold feet"),
    Parcel("bag of apples", "who loved apple pie"),
    Parcel("new pair of glasses", "who could not read without them"),
    Parcel("bottle of medicine", "who had a bad cough"),
)


class Journey(NamedTuple):
    """A place or an event to reach: the goal, why it is wanted, how it looks on arrival."""

    goal: str
    reason: str
    arrival: str


JOURNEYS = (
    Journey(
        "see the sea",
        "An old sailor had told {him} about the waves.",
        "There lay the sea, blue and wide, and the waves ran up to {his} feet.",
    ),
    Journey(
        "hear the music at the fair",
        "{His} friends had talked about it all year.",
        "The fiddles were playing, and {name} danced until {his} feet were tired.",
    ),
    Journey(
        "see the lantern feast",
        "People said that it was brighter than the stars.",
        "A thousand lanterns hung in the trees, and they shone in every colour.",
    ),
    Journey(
        "visit the big library",
        "{He} had read all {his} own books twice.",
        "There were books up to the ceiling, and {name} could choose any of them.",
    ),
    Journey(
        "watch the puppet show",
        "It came only once a year.",
        "The puppets bowed and sang, and {name} laughed until {his} sides hurt.",
    ),
    Journey(
        "find the hidden waterfall",
        "Nobody in {his} family had ever seen it.",
        "The water fell like silver, and there was a small rainbow above it.",
    ),
    Journey(
        "meet the old storyteller",
        "People said that she knew a thousand tales.",
        "The storyteller gave {name} a cup of tea and told {him} the best tale of all.",
    ),
    Journey(
        "see the great ship",
        "It would sail away the next morning.",
        "There stood the ship, with white sails as high as houses.",
    ),
    Journey(
        "join the village choir",
        "{He} had practised the songs all winter.",
        "The singers made room for {name}, and soon {his} voice rang through the hall.",
    ),
    Journey(
        "visit {his} best friend",
        "They had not met for a whole month.",
        "{His} best friend ran out of the house, and they hugged each other for a long time.",
    ),
    Journey(
        "see the white swans",
        "They had come from far away and would soon fly on.",
        "Twelve white swans swam in a row, and they were as white as clouds.",
    ),
    Journey(
        "look through the big telescope",
        "{He} wanted to know what the moon looked like.",
        "{name} looked through the glass and saw the mountains of the moon.",
    ),
)
