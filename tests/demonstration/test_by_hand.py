"""An operator's episodes in the SO-101's twin: what is kept, what is forgotten, and when the twin stands still."""

import contextlib

import numpy as np
import pytest

from daydreamer.demonstration.by_hand import Hand, HandRequest, OperatedSession
from daydreamer.experience.tail import ExperienceTail
from daydreamer.learner.demonstrations import read_demonstrations
from daydreamer.robots.registry import find_robot, make_task
from daydreamer.session.events import read_events
from daydreamer.session.new import configure, new_session
from daydreamer.session.status import read_status

KEEP, DISCARD, PAUSE = HandRequest


class PractisedHand(Hand):
    """Does what the scripted teacher does; when it asks for what is up to the test."""

    def __init__(self, teacher):
        self.teacher = teacher
        self.asks = iter(())
        self.idle = self.waits = 0

    def wait(self, seconds):
        self.waits += 1

    def requests(self):
        request = next(self.asks, None)
        return [] if request is None else [request]

    def action(self):
        if self.idle:
            self.idle -= 1
            return None
        return self.teacher.action()

    def has_let_go(self):
        return self.idle > 0


class Witness:
    """Sees all there is to see, and lets go once an episode has ended."""

    def __init__(self, hand):
        self.hand = hand
        self.scenes, self.ends, self.verdicts = [], [], []
        self.after = iter(())

    def look(self, scene):
        self.scenes.append(scene)

    def on_end(self, number, shown, how):
        self.ends.append((number, shown.steps, how))
        self.hand.idle = 3
        self.hand.asks = next(self.after, iter(()))

    def on_verdict(self, number, shown, kept):
        self.verdicts.append((number, shown.steps, kept))
        if not kept:
            self.hand.idle = 3


@pytest.fixture
def shown(tmp_path):
    config = configure(robot="so101", task="pick_place_fine", minutes=1.0, seed=0, preset="tiny")
    entry, task = find_robot("so101"), make_task(config)
    session = new_session(tmp_path / "shown", config, teacher="keyboard")
    with contextlib.closing(entry.make_twin(config.twin, 0)) as twin:
        hand = PractisedHand(entry.teacher("pick_place_fine")(task, twin, 0))
        hand.idle = 1
        witness = Witness(hand)
        yield session, hand, witness, OperatedSession(session, twin, task, hand, witness)


def after(steps, *requests):
    """These, when a hand has been asked so often."""
    yield from (None,) * steps
    yield from requests


def test_what_is_kept_is_logged_as_shown_and_what_is_forgotten_is_not(shown):
    session, hand, witness, operated = shown
    hand.asks = after(3, PAUSE, None, None, PAUSE, None, DISCARD)  # in the middle of the first attempt
    # An attempt that has succeeded is forgotten; one is ended by hand; one succeeds.
    witness.after = iter((after(1, DISCARD, *(None,) * 8, KEEP), after(1, KEEP), iter(())))
    operated.run(2)

    (first, forgotten, how), (second, cut, by_hand), (third, placed, again) = witness.ends
    assert (first, second, third) == (1, 1, 2)
    assert (how, by_hand, again) == ("success", "ended by you", "success") and cut < 10 < placed
    assert witness.verdicts[1:] == [(1, forgotten, False), (1, cut, True), (2, placed, True)]
    assert not witness.verdicts[0][2] and operated.discarded == 2

    steps = ExperienceTail(session.experience, session.spec).read()
    assert [step.sequence for step in steps] == list(range(cut + placed))
    assert [step.sequence for step in steps if step.is_first] == [0, cut]
    assert [(step.sequence, step.is_terminal) for step in steps if step.is_last] == [
        (cut - 1, False),
        (cut + placed - 1, True),
    ]
    assert all(step.intervention for step in steps) and sum(step.reward for step in steps) == 1.0
    ends = [event["sequence"] for event in read_events(session.events) if event["kind"] == "episode_end"]
    assert ends == [steps[-1].sequence]
    assert read_demonstrations([session.path]).demonstrated[0].steps == len(steps)
    status = read_status(session)
    assert (status["state"], status["episodes"], status["intervention_steps"]) == ("stopped", 2, len(steps))


def test_the_twin_stands_still_while_nobody_drives_and_the_operator_is_told_why(shown):
    session, hand, witness, operated = shown
    hand.idle = 0  # keys are held still
    looks = iter(range(60))

    def stop():
        look = next(looks, None)
        if look == 10:
            hand.idle = 1
        if look == 14:
            hand.asks, hand.idle = iter((PAUSE,)), 5
        if look == 40:
            hand.asks = iter((PAUSE,))
        return look is None

    operated.run(1, stop)
    waits = [scene.waits for scene in witness.scenes]
    assert list(dict.fromkeys(waits)) == ["let go first", "drive to begin", "", "PAUSED"]
    assert not witness.scenes[10].shown.steps and witness.scenes[-1].note == "holds nothing"
    paused = [scene for scene in witness.scenes if scene.waits == "PAUSED"]
    assert all(scene.state is paused[0].state for scene in paused) and len(paused) > 20
    # What has not ended is forgotten.
    assert not operated.kept and not ExperienceTail(session.experience, session.spec).read()
    assert read_status(session)["env_steps"] in (0, None)


def test_an_episode_whose_end_was_not_judged_is_kept_when_the_operator_leaves(shown):
    session, hand, witness, operated = shown
    hand.asks = after(4, KEEP)
    operated.run(5, lambda: bool(witness.ends))
    assert [each.steps for each in operated.kept] == [witness.ends[0][1]]
    steps = ExperienceTail(session.experience, session.spec).read()
    assert steps[-1].is_last and np.all(steps[-1].action_requested == 0.0)
