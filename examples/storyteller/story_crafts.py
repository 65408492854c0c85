"""Things a hero wants to make or to learn, favours, feelings and endings of the story grammar."""

from typing import NamedTuple


class Craft(NamedTuple):
    """Something to make: the verb phrase, the missing part, who has it and why, and how the work ends."""

    key: str
    verb: str
    noun: str
    missing: str
    source: str
    helpers: tuple[str, ...]
    finish: str


CRAFTS = (
    Craft(
        "cake",
        "bake",
        "honey cake",
        "honey",
        "My jar is full",
        ("bear", "badger", "baker"),
        "{name} stirred the dough, and soon the whole house smelled of warm honey.",
    ),
    Craft(
        "bread",
        "bake",
        "loaf of bread",
        "flour",
        "I have a whole sack of it",
        ("miller", "farmer", "hamster"),
        "{name} kneaded the dough, and the bread came out of the oven round and brown.",
    ),
    Craft(
        "pancakes",
        "bake",
        "tall stack of pancakes",
        "milk",
        "There is plenty for everyone",
        ("cow", "goat", "farmer"),
        "{name} turned every pancake in the air, and only one of them fell on the floor.",
    ),
    Craft(
        "kite",
        "build",
        "paper kite",
        "string",
        "I always have some in my pocket",
        ("spider", "weaver", "fisherman"),
        "{name} tied the last knot, and the kite climbed into the sky and danced there.",
    ),
    Craft(
        "flute",
        "carve",
        "flute",
        "a dry reed",
        "I live among the reeds",
        ("duck", "heron", "frog"),
        "{name} cut six holes into the reed and blew, and a clear, sweet tone came out.",
    ),
    Craft(
        "scarf",
        "knit",
        "warm scarf",
        "wool",
        "My coat is thicker than I need",
        ("sheep", "goat", "shepherd"),
        "{name} knitted all afternoon, and the scarf grew longer and longer.",
    ),
    Craft(
        "raft",
        "build",
        "raft",
        "rope",
        "There is some in my shed",
        ("sailor", "fisherman", "farmer"),
        "{name} tied the logs together, and the raft floated on the pond like a leaf.",
    ),
    Craft(
        "soup",
        "cook",
        "pot of soup",
        "carrots",
        "My garden is full of them",
        ("rabbit", "gardener", "hare"),
        "{name} cut the carrots and stirred the pot until the soup was ready.",
    ),
    Craft(
        "picture",
        "paint",
        "picture of the sunset",
        "red paint",
        "I make it from berries",
        ("robin", "blackbird", "weaver"),
        "{name} painted until the whole sky on the paper glowed.",
    ),
    Craft(
        "lantern",
        "make",
        "paper lantern",
        "a candle",
        "I keep a few for dark nights",
        ("miner", "owl", "mouse"),
        "{name} put the candle inside, and the lantern shone like a little moon.",
    ),
    Craft(
        "boat",
        "build",
        "toy boat",
        "cloth for the sail",
        "I have just the right piece",
        ("weaver", "sailor", "mouse"),
        "{name} fixed the sail, and the boat crossed the pond without getting wet inside.",
    ),
    Craft(
        "basket",
        "weave",
        "round basket",
        "soft twigs",
        "They grow right beside my home",
        ("beaver", "gardener", "woodcutter"),
        "{name} bent one twig over the other, and by noon the basket was done.",
    ),
    Craft(
        "birdhouse",
        "build",
        "birdhouse",
        "nails",
        "I have a box of them",
        ("woodcutter", "miner", "magpie"),
        "{name} hammered in the last nail, and a bird moved in the very same day.",
    ),
    Craft(
        "pillow",
        "sew",
        "soft pillow",
        "feathers",
        "I lose some every day",
        ("duck", "swan", "hen"),
        "{name} filled the pillow and closed it with tiny stitches.",
    ),
)
CRAFT_BLOCKS = (
    "But there was one problem: {he} had no {missing_bare}.",
    "{He} had everything that {he} needed, except {missing}.",
    "But when {he} wanted to begin, {he} could not find any {missing_bare}.",
)
CRAFT_ATTEMPTS = (
    "{name} looked in every cupboard and under the bed, but {he} found only dust.",
    "{name} asked at the market, but everything was sold out.",
    "{name} tried to do without, but it did not work at all.",
)


class Skill(NamedTuple):
    """Something to learn: the verb phrase, how it fails, the teacher's tip, and how it succeeds."""

    verb: str
    fail: str
    helpers: tuple[str, ...]
    tip: str
    success: str


SKILLS = (
    Skill(
        "whistle",
        "only air came out of {his} mouth",
        ("blackbird", "robin", "shepherd"),
        "Do not blow so hard. Make your lips round and think of a happy song.",
        "A clear whistle rang through the air.",
    ),
    Skill(
        "swim",
        "{he} swallowed water and had to stand up again",
        ("duck", "otter", "frog"),
        "Lie on the water as if it were a bed. Then kick your legs.",
        "{He} floated, kicked, and swam all the way to the reeds.",
    ),
    Skill(
        "skate",
        "{he} landed on {his} bottom",
        ("hare", "dancer", "miller"),
        "Bend your knees and look ahead, not at your feet.",
        "{He} glided over the ice in a long, smooth curve.",
    ),
    Skill(
        "dance",
        "{he} tripped over {his} own feet",
        ("dancer", "crane", "hare"),
        "Close your eyes and listen to the drum. Your feet will know what to do.",
        "{He} turned and hopped and did not trip even once.",
    ),
    Skill(
        "juggle",
        "all three balls fell on the ground",
        ("squirrel", "traveller", "magpie"),
        "Begin with one ball. Then take two. The third one can wait.",
        "One ball, two balls, three balls flew through the air.",
    ),
    Skill(
        "ride a bicycle",
        "{he} tipped over into the grass",
        ("traveller", "miller", "goat"),
        "Do not look at the wheel. Look at the place where you want to go.",
        "{He} rode down the whole lane and rang the bell.",
    ),
    Skill(
        "read",
        "the letters seemed to jump around on the page",
        ("owl", "tortoise", "traveller"),
        "Take one letter at a time. They are all old friends of mine.",
        "{He} read a whole page out loud, from the first word to the last.",
    ),
    Skill(
        "play the drum",
        "it sounded like falling pots",
        ("woodpecker", "sailor", "bear"),
        "Count to four, and let your foot tap along.",
        "A steady beat filled the room, and the windows hummed along.",
    ),
    Skill(
        "make a fire",
        "there was only a little smoke",
        ("miner", "hunter", "traveller"),
        "Your wood is too wet. Take dry twigs and blow very gently.",
        "A small flame began to dance, and soon it was warm and bright.",
    ),
    Skill(
        "sing",
        "{his} voice squeaked like an old door",
        ("robin", "blackbird", "sailor"),
        "Take a deep breath and sing as if nobody could hear you.",
        "{He} sang so well that even the birds fell silent.",
    ),
    Skill(
        "catch a fish",
        "the fish was faster",
        ("heron", "otter", "fisherman"),
        "Stand as still as a stone and wait. The fish will come to you.",
        "{He} waited and waited, and then {he} caught a big silver fish.",
    ),
    Skill(
        "tie a knot",
        "the rope fell apart again",
        ("sailor", "weaver", "spider"),
        "Around the tree, under the root, and back into the hole.",
        "{He} pulled the rope, and the knot held fast.",
    ),
)
SKILL_REASONS = (
    "All {his} friends could do it already.",
    "{He} wanted to show it to {his} mother on her birthday.",
    "The village feast was only a week away.",
    "{His} grandfather had been the best in the whole valley.",
    "{He} had watched the others for a long time.",
)
SKILL_PROBLEMS = ("I always fail", "I am not good at it", "it never works")

FAVOURS = (
    "{name} saw a thorn in {the_helper_s} foot and pulled it out very gently.",
    "{The_helper} looked hungry, so {name} gave {helper_him} half of {his} bread.",
    "{The_helper} had dropped {helper_his} bag, and {name} helped {helper_him} to pick everything up.",
    "{The_helper} was shivering, so {name} put {his} own scarf around {helper_his} neck.",
    "{The_helper} was thirsty, so {name} gave {helper_him} the rest of {his} water.",
    "{The_helper} looked tired, so {name} made room for {helper_him} in the shade.",
)
FAVOUR_THANKS = (
    '"You were kind to me, so now I will help you," said {the_helper}. "{offer}"',
    '"Thank you, my friend. Now it is my turn to help," said {the_helper}. "{offer}"',
    '"You have a good heart," said {the_helper}. "{offer}"',
)
OFFERS = (
    '"I can help you," said {the_helper}. "{offer}"',
    '{The_helper} thought for a moment. "{offer}"',
    '"Do not worry," said {the_helper}. "{offer}"',
    '{The_helper} smiled. "{offer}"',
    '"That is not so bad," said {the_helper} with a smile. "{offer}"',
)
FEELINGS = (
    ("sad", "{name} sat down and began to cry."),
    ("sad", "A tear rolled down {his} cheek."),
    ("worried", "{name} did not know what to do."),
    ("worried", "{name} bit {his} lip and thought and thought."),
    ("tired", "{name} sat down and sighed."),
    ("tired", "At last {he} was so tired that {he} had to rest."),
    ("angry", "{name} stamped {his} foot."),
    ("unhappy", "{name} wanted to give up, but only for a moment."),
    ("unhappy", "{name} hung {his} head."),
)
MEETINGS = (
    "Just then, {a_helper} came by.",
    "After a while, {a_helper} came along.",
    "{A_helper} heard {him} and came closer.",
    "Then {he} saw {a_helper}, who was watching {him}.",
    "Soon {a_helper} stopped beside {him}.",
)
QUESTIONS = (
    '"Why are you so {feeling}?" asked {the_helper}.',
    '"You look {feeling}. What is wrong?" asked {the_helper}.',
    '"What is the matter, little one?" {the_helper} asked.',
    '"Can I help you?" asked {the_helper}.',
)
ANSWERS = (
    '"I want to {my_goal}, but {problem}," said {name}.',
    '"{Problem}," said {name}, "and I want so much to {my_goal}."',
    '"I wanted to {my_goal}," said {name}, "but {problem}."',
)
THANKS = (
    '"Thank you!" {name} called. "I could not have done it without you."',
    '"Thank you, dear {helper_noun}!" said {name}.',
    "{name} hugged {the_helper} and thanked {helper_him} again and again.",
    '"You are a true friend," said {name}.',
    "{name} laughed with joy, and {the_helper} laughed too.",
)
CLOSINGS = (
    "From that day on, {name} and {the_helper} were the best of friends.",
    "That night, {name} fell asleep with a smile on {his} face.",
    "{name} never forgot what {the_helper} had done for {him}.",
    "And whenever {name} met {the_helper}, they talked about that day.",
    "In the evening, {name} invited {the_helper} to supper, and they told each other stories until the moon came up.",
    "When the stars came out, {name} was the happiest {hero_noun} in the whole land.",
)
MORALS = (
    "Now {name} knew that it is good to ask for help.",
    "{name} had learned that two can do what one cannot do alone.",
    "{name} had learned never to give up too soon.",
    "Now {name} knew that a friend can be found anywhere.",
    "{name} had learned that even a big problem has a small way out.",
)
KINDNESS_MORAL = "{name} had learned that kindness always comes back."
TRAIT_MORALS = {
    "shy": "And {he} was not so shy any more.",
    "curious": "And {he} was still as curious as ever.",
    "stubborn": "Sometimes it is good to be a little stubborn.",
    "brave": "And everyone said that {he} was the bravest {hero_noun} they knew.",
    "dreamy": "Some dreams do come true.",
    "patient": "It is good to be patient.",
    "kind": "{name} was kind to everyone, and everyone was kind to {him}.",
}
