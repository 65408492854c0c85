"""Obstacles of the story grammar, each with the helpers who can remove it and how they do it.

An obstacle that stands in the way says where the goal is (`where`), what blocks the hero (`block`), what the hero
tries in vain (`attempt`), how the hero explains it in speech (`problem`) and its `solutions`.
"""

from typing import NamedTuple

HELPER_ADJECTIVES = ("kind", "friendly", "wise", "funny", "old", "young", "little", "cheerful")
BIG_HELPERS = ("bear", "horse", "ox", "moose", "stag")
BIG_ADJECTIVES = ("big", "gentle", "strong", "old")
PERSON_PRONOUNS = {
    "fisherman": "he",
    "ferryman": "he",
    "woodcutter": "he",
    "gardener": "she",
    "miner": "he",
    "shepherd": "she",
    "hunter": "he",
    "farmer": "she",
    "sailor": "he",
    "baker": "he",
    "weaver": "she",
    "miller": "he",
    "dancer": "she",
    "traveller": "she",
}


class Solution(NamedTuple):
    """Who can help, what the helper says, and what happens then."""

    helpers: tuple[str, ...]
    offer: str
    action: str


class Obstacle(NamedTuple):
    """One thing that stands in the way of a goal at a place."""

    key: str
    goals: tuple[str, ...]
    where: str
    block: tuple[str, ...]
    attempt: tuple[str, ...]
    problem: tuple[str, ...]
    solutions: tuple[Solution, ...]


ANYWHERE = ("treasure", "plant", "light toy", "journey", "delivery")
GUARDS = (("goose", "she"), ("rooster", "he"), ("ram", "he"), ("troll", "he"), ("old cow", "she"))

OBSTACLES = (
    Obstacle(
        "river",
        ANYWHERE,
        "on the other side of the river",
        (
            "But the river was wide and fast, and the old bridge had been washed away.",
            "But the rain had filled the river, and the water was deep and brown.",
        ),
        (
            "{name} put one foot into the water, but it was too cold and too strong.",
            "{name} walked up and down the bank, but there was no way across.",
        ),
        ("the river is too wide for me", "the water is too deep for me"),
        (
            Solution(
                ("otter", "beaver", "fisherman", "ferryman"),
                "I have a little boat. Sit still, and I will row you across.",
                "{The_helper} rowed with all {helper_his} strength, and {name} held on tight "
                "until the boat touched the other bank.",
            ),
            Solution(
                ("horse", "stag", "swan"),
                "Climb on my back, and I will carry you.",
                "{name} climbed up, and {the_helper} carried {him} safely through the water.",
            ),
            Solution(
                ("turtle", "frog", "heron"),
                "There are flat stones under the water. Step where I step.",
                "{name} followed {the_helper} from stone to stone, and soon they stood on the other side.",
            ),
            Solution(
                ("beaver", "woodcutter", "bear"),
                "That dead tree is long enough to be a bridge.",
                "{The_helper} pushed the dead tree until it fell across the river, and {name} walked over it.",
            ),
        ),
    ),
    Obstacle(
        "tree",
        ("treasure", "light toy"),
        "at the top of the tallest pine in the forest",
        (
            "But the pine was very tall, and its branches began high above the ground.",
            "But the trunk was smooth, and the top was almost in the clouds.",
        ),
        (
            "{name} tried to climb, but {he} slid down again and again.",
            "{name} jumped as high as {he} could, but it was not high enough.",
        ),
        ("the tree is too tall for me", "I cannot climb so high"),
        (
            Solution(
                ("owl", "crow", "sparrow", "robin"),
                "I have wings. Wait here, and I will fly up.",
                "{The_helper} flew to the top of the pine and came back with {the_thing} a moment later.",
            ),
            Solution(
                ("squirrel", "marten"),
                "Climbing is what I do best. Wait here.",
                "{The_helper} ran up the trunk and came down with {the_thing} before {name} could count to ten.",
            ),
            Solution(
                ("woodcutter", "gardener"),
                "I have a long ladder. I will hold it while you climb.",
                "{The_helper} held the ladder, and {name} climbed up step by step until {he} could reach {the_thing}.",
            ),
        ),
    ),
    Obstacle(
        "cave",
        ("treasure", "round toy"),
        "at the back of the dark cave",
        (
            "But the cave was as black as night, and strange sounds came out of it.",
            "But inside the cave it was so dark that {name} could not see {his} own nose.",
        ),
        (
            "{name} took three steps inside and ran out again.",
            "{name} felt along the wall, but {he} bumped {his} head and had to turn back.",
        ),
        ("the cave is too dark", "I am afraid of the dark"),
        (
            Solution(
                ("miner", "shepherd", "badger"),
                "I have a lantern. We can go in together.",
                "{The_helper} held up the lantern, and in its warm light they walked to the end of the cave.",
            ),
            Solution(
                ("firefly", "glow-worm"),
                "I am small, but I can shine. Follow my light.",
                "{The_helper} glowed like a tiny star, and {name} followed the light to the end of the cave.",
            ),
            Solution(
                ("bat", "mole"),
                "I know the cave by heart. Stay close behind me, and do not be afraid.",
                "{name} stayed close behind {the_helper}, and they went deeper and deeper, to the end of the cave.",
            ),
        ),
    ),
    Obstacle(
        "gate",
        ("plant", "light toy", "treasure"),
        "in the garden behind the high wall",
        (
            "But the garden gate was locked, and the wall was too high to climb.",
            "But there was a big iron lock on the garden gate.",
        ),
        (
            "{name} pushed the gate with both shoulders, but it did not move.",
            "{name} knocked and called, but nobody answered.",
        ),
        ("the gate is locked", "I have no key for the gate"),
        (
            Solution(
                ("mouse", "lizard", "wren"),
                "I am small enough to slip through. I will open the gate from the inside.",
                "{The_helper} slipped under the gate and pulled the bolt, and the gate swung open.",
            ),
            Solution(
                ("magpie", "crow", "gardener"),
                "I found this old key last week. Maybe it fits.",
                "{name} put the key into the lock and turned it. Click! The gate opened.",
            ),
            Solution(
                ("mole", "badger", "rabbit"),
                "If we cannot go over the wall, we can go under it.",
                "{The_helper} dug and dug until there was a tunnel, and {name} crawled through it.",
            ),
        ),
    ),
    Obstacle(
        "stone",
        ("treasure", "plant", "journey", "delivery"),
        "at the end of the mountain path",
        (
            "But a great rock had rolled onto the path, and there was no way around it.",
            "But half way up, a fallen tree blocked the path.",
        ),
        (
            "{name} pushed and pulled, but nothing moved.",
            "{name} tried to squeeze past, but the gap was too narrow.",
        ),
        ("the path is blocked", "I am not strong enough to clear the path"),
        (
            Solution(
                ("bear", "ox", "moose"),
                "Stand back. I am strong enough for two.",
                "{The_helper} leaned against it and pushed, and slowly it rolled down the hill. The path was free.",
            ),
            Solution(
                ("farmer", "woodcutter", "horse"),
                "I have a long rope. If we pull together, it will move.",
                "They tied the rope and pulled together, once, twice, three times, until the path was free.",
            ),
            Solution(
                ("badger", "mole", "rabbit"),
                "We do not have to move it. We can dig under it.",
                "They dug side by side until there was a hole under it, and {name} crawled through.",
            ),
        ),
    ),
    Obstacle(
        "guard",
        ("treasure", "plant", "journey", "delivery"),
        "on the far side of the old bridge",
        (
            "But a grumpy {guard} stood on the bridge and let nobody pass.",
            'But in the middle of the bridge stood {a_guard}. "Go away!" {guard_he} shouted.',
        ),
        (
            "{name} asked to cross, but the {guard} only stamped {guard_his} feet.",
            "{name} tried to sneak past, but the {guard} saw {him} and chased {him} away.",
        ),
        ("the {guard} will not let me cross the bridge", "I am afraid of the {guard} on the bridge"),
        (
            Solution(
                ("tortoise", "shepherd", "owl"),
                "I know that {guard}. {Guard_he} is not bad, only hungry. Here, take this bread.",
                "{name} offered the bread to the {guard}. The {guard} ate every crumb, smiled, and stepped aside.",
            ),
            Solution(
                ("squirrel", "hare", "sailor"),
                "I know that {guard}. Nobody ever makes {guard_him} laugh. Tell {guard_him} a joke.",
                "{name} told {his} funniest joke. The {guard} laughed so hard that {guard_he} had to sit down, "
                "and {name} walked across the bridge.",
            ),
            Solution(
                ("hedgehog", "heron", "traveller"),
                "I know that {guard}. {Guard_he} is lonely. Ask {guard_him} how {guard_he} is.",
                '"How are you today?" {name} asked the {guard}. Nobody had ever asked that before. '
                "The {guard} blushed and let {name} pass.",
            ),
        ),
    ),
    Obstacle(
        "forest",
        ("treasure", "plant", "journey", "delivery"),
        "beyond the deep forest",
        (
            "But in the forest all the paths looked the same, and soon {name} was lost.",
            "But the trees stood close together, and after an hour {name} did not know the way any more.",
        ),
        (
            "{name} walked in a circle and came back to the same crooked tree.",
            "{name} called for help, but only the echo answered.",
        ),
        ("I have lost my way", "all the paths look the same to me"),
        (
            Solution(
                ("crow", "robin", "owl"),
                "From above I can see every path. Follow me.",
                "{The_helper} flew from tree to tree, and {name} followed until they came out of the forest.",
            ),
            Solution(
                ("hunter", "traveller", "hedgehog"),
                "I have an old map. We can read it together.",
                "They bent over the map and found the right path, and soon the trees grew thin and the sun came back.",
            ),
            Solution(
                ("frog", "heron", "otter"),
                "The stream knows the way out. We only have to follow the water.",
                "They followed the stream around every bend, and at last it led them out of the forest.",
            ),
        ),
    ),
    Obstacle(
        "fog",
        ("treasure", "journey", "delivery"),
        "on the far side of the moor",
        (
            "But a thick fog came down over the moor, and everything turned white.",
            "But on the moor the fog was so thick that {name} could not see {his} own feet.",
        ),
        (
            "{name} went left and then right, and stepped into a cold puddle.",
            "{name} stood still and listened, but there was no sound at all.",
        ),
        ("I cannot see anything in this fog", "the fog has hidden the path"),
        (
            Solution(
                ("sheep", "goat", "cow"),
                "I wear a bell around my neck. Follow the sound.",
                "Ding, ding, went the bell, and {name} followed the sound until the fog was behind them.",
            ),
            Solution(
                ("shepherd", "farmer", "traveller"),
                "I have crossed this moor a hundred times. Take my hand.",
                "{The_helper} led {name} from one white post to the next until the fog was behind them.",
            ),
            Solution(
                ("dog", "fox", "hare"),
                "I do not need my eyes. I can smell the way.",
                "{The_helper} kept {helper_his} nose to the ground, and {name} stayed close until the fog was behind them.",
            ),
        ),
    ),
    Obstacle(
        "snow",
        ("treasure", "journey", "delivery"),
        "on the other side of the snowy hill",
        (
            "But the snow on the hill was deep and soft.",
            "But it had snowed all night, and the path over the hill was gone.",
        ),
        (
            "With every step, {name} sank in up to {his} belly.",
            "{name} took ten steps, and then {he} was stuck.",
        ),
        ("the snow is too deep for me", "I am stuck in the snow"),
        (
            Solution(
                ("dog", "hunter", "farmer"),
                "I have a sledge. Sit down and hold on.",
                "{The_helper} pulled the sledge over the hill, and the snow flew up on both sides.",
            ),
            Solution(
                ("moose", "horse", "stag"),
                "My legs are long. Walk behind me, and I will make a path.",
                "{The_helper} walked ahead through the snow, and {name} followed in {helper_his} deep tracks.",
            ),
            Solution(
                ("weaver", "beaver", "hare"),
                "You need snowshoes. I can make them out of twigs.",
                "{The_helper} tied the twigs together, and with the snowshoes {name} walked lightly over the snow.",
            ),
        ),
    ),
    Obstacle(
        "mud",
        ("plant", "journey", "delivery"),
        "on the other side of the marsh",
        (
            "But the marsh was full of black mud.",
            "But after the rain, the path through the marsh was under water.",
        ),
        (
            "{name} lost a boot in the mud and fell on {his} nose.",
            "{name} took one step and sank in up to {his} knees.",
        ),
        ("the mud is too deep for me", "I sink into the mud"),
        (
            Solution(
                ("frog", "duck", "heron"),
                "Step only where the grass is tall. It will hold you.",
                "{The_helper} hopped ahead, and {name} followed from one patch of tall grass to the next.",
            ),
            Solution(
                ("woodcutter", "beaver", "farmer"),
                "I have some planks. We can lay them on the mud.",
                "They laid down one plank after the other, and {name} walked across with dry feet.",
            ),
            Solution(
                ("horse", "ox", "stag"),
                "A little mud does not stop me. Climb on my back.",
                "{name} sat on {the_helper_s} broad back and was carried slowly through the mud.",
            ),
        ),
    ),
    Obstacle(
        "wind",
        ("treasure", "journey", "delivery"),
        "at the top of the windy hill",
        (
            "But near the top, the wind was so strong that nobody could stand.",
            "But a wild wind was blowing down the hill.",
        ),
        (
            "{name} took two steps up, and the wind blew {him} three steps back.",
            "The wind threw {name} over and rolled {him} down the slope.",
        ),
        ("the wind is too strong for me", "the wind blows me back"),
        (
            Solution(
                ("ox", "bear", "horse"),
                "I am big and heavy. Walk behind me, out of the wind.",
                "{name} walked close behind {the_helper}, and not even the wildest gust could reach {him}.",
            ),
            Solution(
                ("sailor", "shepherd", "goat"),
                "I have a rope. We will tie ourselves together.",
                "With the rope around them both, they climbed step by step and did not let go of each other.",
            ),
            Solution(
                ("rabbit", "badger", "mole"),
                "There is an old tunnel that leads to the top. No wind blows in there.",
                "They crawled through the tunnel and listened to the wind, which could only howl outside.",
            ),
        ),
    ),
    Obstacle(
        "hole",
        ("round toy",),
        "at the bottom of a deep hole",
        (
            "But the hole was deep, and its sides were steep.",
            "But the hole was far too narrow and deep.",
        ),
        (
            "{name} lay on {his} belly and stretched out {his} arm, but {he} could not reach the bottom.",
            "{name} poked around with a stick, but the stick was too short.",
        ),
        ("the hole is too deep for me", "I cannot reach so far down"),
        (
            Solution(
                ("spider", "weaver"),
                "My thread is thin, but it is strong. I will let it down.",
                "{The_helper} let down the thread, looped it around {the_thing}, and pulled {it_obj} up.",
            ),
            Solution(
                ("mole", "mouse", "rabbit"),
                "Holes are my home. I will go down for you.",
                "{The_helper} slipped into the hole and pushed {the_thing} up into the light.",
            ),
            Solution(
                ("heron", "stork"),
                "My beak is long. Let me try.",
                "{The_helper} put {helper_his} long beak into the hole and lifted {the_thing} out.",
            ),
        ),
    ),
)

TOY_ACCIDENTS = {
    "river": "a gust of wind carried {the_thing} across the river",
    "tree": "a gust of wind carried {the_thing} to the top of the tallest pine",
    "gate": "a gust of wind carried {the_thing} over the high garden wall",
    "cave": "{the_thing} rolled down the slope and into a dark cave",
    "hole": "{the_thing} rolled away and fell into a deep hole",
}
