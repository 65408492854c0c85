"""The kinds of tale: find, get back, travel, deliver, make, learn. Each tells its story into a plot."""

import re

import story_crafts as crafts
import story_obstacles as obstacles
import story_words as words
from story_plot import (
    Plot,
    add_helper,
    add_person,
    add_thing,
    choose_obstacle,
    set_goal,
    with_article,
)


def tell_meeting(plot: Plot, problem: str, offer: str) -> bool:
    """Feeling, meeting, question, answer and offer. Returns whether the hero did the helper a favour."""
    feeling, sentence = plot.rng.choice(crafts.FEELINGS)
    plot.slots["feeling"] = feeling
    plot.slots["problem"] = plot.slots.fill(problem)
    plot.say(sentence)
    plot.paragraph()
    plot.say(*crafts.MEETINGS)
    favour = plot.rng.random() < 0.25
    if not plot.brief:
        plot.say(*crafts.QUESTIONS)
    plot.say(*crafts.ANSWERS)
    plot.slots["offer"] = plot.slots.fill(offer)
    if favour:
        plot.say(*crafts.FAVOURS)
        plot.say(*crafts.FAVOUR_THANKS)
    else:
        plot.say(*crafts.OFFERS)
    return favour


def tell_end(plot: Plot, favour: bool) -> None:
    """A closing, and perhaps what the hero has learned."""
    plot.say(*crafts.CLOSINGS)
    if favour:
        plot.say(crafts.KINDNESS_MORAL, chance=0.6)
        return
    trait_moral = crafts.TRAIT_MORALS.get(plot.slots["trait"])
    if trait_moral and plot.slots["trait"] in plot.slots["a_hero"] and plot.rng.random() < 0.6:
        plot.say(trait_moral)
        return
    plot.say(*crafts.MORALS, chance=0.4)


def tell_obstacle(plot: Plot, obstacle: obstacles.Obstacle, day: str) -> bool:
    """The way there, the obstacle, and how a helper removes it. Returns whether there was a favour."""
    plot.paragraph()
    plot.slots["day"] = day
    if day:
        plot.say(
            "{day}, {name} set out.",
            "{day}, {name} packed some bread and water and set out.",
            "{day}, {he} went on {his} way.",
            "{day}, {name} put on {his} cap and set off.",
        )
    plot.say(*obstacle.block)
    plot.say(*obstacle.attempt, chance=0.7)
    solution = plot.rng.choice(obstacle.solutions)
    add_helper(plot, solution.helpers)
    favour = tell_meeting(plot, plot.rng.choice(obstacle.problem), solution.offer)
    plot.say(solution.action)
    plot.say(*crafts.THANKS, chance=0.4)
    plot.paragraph()
    return favour


def day_for(plot: Plot) -> str:
    """A day and weather that fit the obstacle."""
    return plot.rng.choice(words.DAYS_BY_OBSTACLE.get(plot.obstacle, words.DAYS))


def tell_fetch(plot: Plot, kind: words.Kind) -> None:
    """The hero looks for a treasure or a plant, for somebody or for the joy of it."""
    goal_kind = plot.rng.choice(("treasure", "plant"))
    add_thing(plot, plot.rng.choice(words.TREASURES if goal_kind == "treasure" else words.PLANTS))
    obstacle = choose_obstacle(plot, (goal_kind,), kind)
    gift = goal_kind == "plant" or plot.rng.random() < 0.5
    if gift:
        add_person(plot, plot.rng.choice(words.FAMILY))
        set_goal(plot, "find {a_thing} for {who}")
        plot.slots["reason"] = plot.slots.fill(plot.rng.choice(words.GIFT_REASONS))
        plot.say("{name} wanted to {goal}, {reason}.", "More than anything, {name} wanted to {goal}, {reason}.")
    else:
        set_goal(plot, "find {a_thing}")
        plot.say(
            "{name} wanted to {goal}.",
            "More than anything, {name} wanted to {goal}.",
            "{name} had one wish: {he} wanted to {goal}.",
        )
        plot.say(*words.OWN_REASONS, chance=0.6)
    plot.slots["lay"] = "grew" if goal_kind == "plant" else "lay hidden"
    plot.say(
        "People said that {a_thing} {lay} {where}.",
        "A crow had told {him} that {a_thing} {lay} {where}.",
        "There was only one place to look: {where}.",
    )
    favour = tell_obstacle(plot, obstacle, day_for(plot))
    plot.say(
        "At last, {name} held {full_thing} close to {his} heart.",
        "And there {it} {was}! {name} took {full_thing} and held {it_obj} tight.",
        "Now {name} had {full_thing}, and {his} heart jumped for joy.",
    )
    tell_gift(plot, gift)
    tell_end(plot, favour)


def tell_gift(plot: Plot, gift: bool) -> None:
    """What the wanted thing is good for in the end."""
    if gift:
        plot.say(
            "{name} ran home and gave {it_obj} to {who}, who smiled and kissed {him} on the nose.",
            '"{It} {are} for you," {name} said to {who}, and {who_he} hugged {him} for a long time.',
            "When {who} saw {full_thing}, {who_his} eyes began to shine.",
        )
        return
    plot.say(
        "{It} {was} even more beautiful than {he} had thought.",
        "{He} put {it_obj} beside {his} bed, where the moon could shine on {it_obj}.",
        "{He} showed {it_obj} to everyone in the village.",
    )


def tell_lost(plot: Plot, kind: words.Kind) -> None:
    """The hero loses a toy and wants it back."""
    goal_kind = plot.rng.choice(("light toy", "round toy"))
    add_thing(plot, plot.rng.choice(words.LIGHT_TOYS if goal_kind == "light toy" else words.ROUND_TOYS))
    obstacle = choose_obstacle(plot, (goal_kind,), kind)
    plot.slots["toy"], plot.slots["toy_full"] = plot.slots["the_thing"][4:], plot.slots["full_thing"][4:]
    set_goal(plot, "get {his} {toy} back")
    plot.want = "lost " + plot.want
    plot.say(
        "{name} had {a_thing} and took {it_obj} everywhere.",
        "What {name} liked best in the whole world was {his} {toy_full}.",
        "{name} loved {his} {toy_full} more than anything else.",
    )
    plot.slots["accident"] = plot.slots.fill(obstacles.TOY_ACCIDENTS[obstacle.key])
    plot.slots["day"] = day_for(plot)
    plot.say("{day}, {name} was playing outside when {accident}.", "{day}, {accident}.")
    plot.say("{name} wanted to {goal} right away.", "{name} ran after {it_obj} to {goal}.")
    favour = tell_obstacle(plot, obstacle, "")
    plot.say(
        "At last, {name} held {full_thing} close to {his} heart again.",
        "{name} had {his} {toy} back!",
        "The {toy} was a little dirty, but nothing was broken.",
    )
    plot.say(
        "{He} promised to take better care of {it_obj}.",
        "All afternoon they played with {it_obj} together.",
        "After that, {he} never let {it_obj} out of {his} sight.",
        chance=0.7,
    )
    tell_end(plot, favour)


def tell_journey(plot: Plot, kind: words.Kind) -> None:
    """The hero wants to reach a place or an event."""
    journey = plot.rng.choice(words.JOURNEYS)
    plot.want = journey.goal
    set_goal(plot, journey.goal)
    obstacle = choose_obstacle(plot, ("journey",), kind)
    plot.say(
        "More than anything, {name} wanted to {goal}.",
        "{name} wanted to {goal}.",
        "{name} had one wish: {he} wanted to {goal}.",
    )
    plot.say(journey.reason, chance=0.6)
    plot.say("It was a long way, and the place was {where}.", "But the place was far away, {where}.")
    favour = tell_obstacle(plot, obstacle, day_for(plot))
    plot.say(
        "At last they were there.",
        "Then {name} ran the rest of the way.",
        "And then {name} was there at last.",
        chance=0.7,
    )
    plot.say(journey.arrival)
    tell_end(plot, favour)


def tell_delivery(plot: Plot, kind: words.Kind) -> None:
    """The hero has to bring something to somebody in need."""
    parcel = plot.rng.choice(words.PARCELS)
    add_person(plot, plot.rng.choice(words.FAR_PEOPLE))
    plot.slots["parcel"] = parcel.noun
    plot.slots["a_parcel"] = with_article(parcel.noun)
    plot.slots["parcel_reason"] = parcel.reason
    plot.want = f"deliver {parcel.noun}"
    set_goal(plot, "bring {a_parcel} to {who}")
    obstacle = choose_obstacle(plot, ("delivery",), kind)
    plot.say("{name} wanted to {goal}, {parcel_reason}.", "{name} had promised to {goal}, {parcel_reason}.")
    plot.say("{Who} lived {where}.", "The house was {where}.")
    favour = tell_obstacle(plot, obstacle, day_for(plot))
    plot.say(
        "Soon {name} knocked at the door.",
        "At last {he} saw a light in the window.",
        "Before the day was over, {name} stood at the right door.",
    )
    plot.say(
        '"Is this for me?" cried {who}, and {who_he} hugged {name} for a long time.',
        "When {who} saw the {parcel}, {who_he} laughed and cried at the same time.",
        '"You came all this way for me!" said {who}, and {who_his} eyes were shining.',
    )
    tell_end(plot, favour)


def tell_craft(plot: Plot, kind: words.Kind) -> None:
    """The hero wants to make something, but a part is missing."""
    craft = plot.rng.choice(crafts.CRAFTS)
    missing_bare = re.sub(r"^an? ", "", craft.missing)
    plot.want, plot.obstacle = f"{craft.verb} {craft.noun}", "no " + missing_bare
    add_person(plot, plot.rng.choice(words.FAMILY))
    plot.slots["craft"] = craft.noun
    plot.slots["a_craft"] = with_article(craft.noun)
    plot.slots["missing"] = craft.missing
    plot.slots["missing_bare"] = missing_bare
    set_goal(plot, f"{craft.verb} {{a_craft}} for {{who}}")
    plot.slots["reason"] = plot.slots.fill(plot.rng.choice(words.GIFT_REASONS))
    plot.slots["day"] = plot.rng.choice(words.DAYS)
    plot.say("{day}, {name} wanted to {goal}, {reason}.", "{day}, {he} decided to {goal}, {reason}.")
    plot.paragraph()
    plot.say(*crafts.CRAFT_BLOCKS)
    plot.say(*crafts.CRAFT_ATTEMPTS, chance=0.7)
    add_helper(plot, craft.helpers)
    favour = tell_meeting(plot, "I have no {missing_bare}", f"{craft.source}. Take as much as you need.")
    plot.say(*crafts.THANKS)
    plot.say("Then {name} ran home as fast as {he} could.", "Then they went to {name}'s house together.")
    plot.paragraph()
    plot.say(craft.finish)
    plot.say(
        '"For me?" asked {who}, and {who_his} eyes began to shine.',
        "{Who} had never had such a lovely present, and {who_he} hugged {name} for a long time.",
        "{Who} was so happy that {who_he} danced around the table with {name}.",
    )
    tell_end(plot, favour)


def tell_skill(plot: Plot, kind: words.Kind) -> None:
    """The hero wants to learn something, fails, and gets a good tip."""
    skill = plot.rng.choice(crafts.SKILLS)
    plot.want, plot.obstacle = f"learn to {skill.verb}", "practice"
    set_goal(plot, f"learn to {skill.verb}")
    plot.slots["fail"] = plot.slots.fill(skill.fail)
    plot.slots["skill"] = skill.verb
    plot.say(
        "More than anything, {name} wanted to {goal}.",
        "{name} had one wish: {he} wanted to {goal}.",
        "{name} wanted to {goal}.",
    )
    plot.say(*crafts.SKILL_REASONS, chance=0.6)
    plot.paragraph()
    plot.slots["day"] = plot.rng.choice(words.DAYS_BY_OBSTACLE["snow"] if skill.verb == "skate" else words.DAYS)
    plot.say("{day}, {he} tried for the first time, but {fail}.", "{day}, {he} began, but {fail}.")
    plot.say(
        "{He} tried again, and again {fail}.",
        "{He} tried it ten times, and ten times {fail}.",
        "The second time was no better.",
        chance=0.7,
    )
    add_helper(plot, skill.helpers)
    favour = tell_meeting(plot, plot.rng.choice(crafts.SKILL_PROBLEMS), skill.tip)
    plot.paragraph()
    plot.say(
        "{name} took a deep breath and tried once more.",
        "So {name} did what {the_helper} had said.",
        "{name} practised all day, just as {the_helper} had said.",
    )
    plot.say(skill.success)
    plot.say('"I can {skill}!" {name} shouted.', '"Look, now I can {skill}!" {he} cried.')
    plot.say(*crafts.THANKS, chance=0.5)
    tell_end(plot, favour)


# Each kind of tale as often as it is named here.
TALES = (tell_fetch, tell_fetch, tell_lost, tell_lost, tell_journey, tell_delivery, tell_craft, tell_skill)
