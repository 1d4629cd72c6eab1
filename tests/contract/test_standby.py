"""A teacher that stands by: when it intervenes, for how long, and what the record and the task hear of it; and when an
operator is asked to.
"""

import pathlib
import sys

import msgspec
import numpy as np
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from contract_toys import ArmTask, Body

from daydreamer.actor.control_loop import ControlLoop
from daydreamer.actor.standby import TEACHER, StandbyTeacher, require_use
from daydreamer.actor.stuck import StuckWatch, patience_s
from daydreamer.config import ActorConfig
from daydreamer.errors import UserError
from daydreamer.telemetry.interventions import Interventions

STAYS, FORWARD = 1, 2
EPISODE_S = 25.0
PATIENCE_STEPS = 120


class Stays:
    version, created_wall_s = 1, 0.0

    def initial_state(self):
        return None

    def __call__(self, observation, state, is_first):
        return np.asarray(STAYS), None


class Pushes:
    def action(self):
        return np.asarray(FORWARD)


class Nudges(ArmTask):
    """Pays `paid` at each step, and hears how often it is taken over."""

    paid, heard = 0.0, 0

    def observe(self, measurement, sent):
        state = super().observe(measurement, sent)
        state.reward = self.paid
        return state

    def taken_over(self):
        self.heard += 1


class Learner:
    """An arm in lock-step whose policy stays where it is; `steps` is its log."""

    def __init__(self, demonstrates=False, **actor):
        self.task, self.steps, self.events, self.seeds = Nudges(goes_home=True), [], [], []
        self.body, self.counted = Body(self.task), Interventions()
        config = ActorConfig(random_s=0.0, low_pass_cutoff_hz=0.0, **actor)
        record = {"on_event": lambda kind, **fields: self.events.append((kind, fields))}
        self.loop = ControlLoop(
            self.task,
            config,
            self,
            actor_life=1,
            seed=0,
            demonstrates=demonstrates,
            clock=lambda: self.body.now_s,
            on_step=self.add,
            **record,
        )
        self.loop.set_policy(Stays())
        self.teacher = StandbyTeacher(self.loop, config, self.task.spec, self.make, 0, **record)
        self.watch = StuckWatch(self.task.spec, patience_s=60.0)

    def make(self, seed):
        self.seeds.append(seed)
        return Pushes()

    def append(self, step):
        self.steps.append(step)

    def add(self, step):
        self.teacher.add(step)
        self.watch.add(step)
        self.counted.add(step.is_first, step.is_last, step.intervention)

    def live(self, steps):
        while len(self.steps) < steps:
            command = self.loop.step(self.body.measure(), self.body.now_s)
            self.body.obey(command)
            self.body.now_s += self.loop.tick_period_s
        return self

    @property
    def interventions(self):
        return [fields["begins"] for kind, fields in self.events if kind == "intervention" and fields["by"] == TEACHER]


def test_it_intervenes_once_the_episode_is_stuck_until_that_ends_as_an_operator():
    learner = Learner(teacher_after_s=5.0).live(30)
    assert len(set(learner.seeds)) == len(learner.seeds) >= 2, "one that knows nothing of the time before"
    ends = [step.sequence for step in learner.steps if step.is_last]
    first = [step for step in learner.steps if step.sequence <= ends[0]]
    assert [step.intervention for step in first] == [False] * 10 + [True] * (len(first) - 10)
    assert all((step.policy_version == 0) == step.intervention for step in learner.steps)
    assert first[-1].is_terminal and not learner.steps[len(first)].intervention
    assert learner.interventions[:2] == [True, False]
    endings = [fields for kind, fields in learner.events if kind == "episode_end"]
    assert [(fields["ending"], fields["taken_over"]) for fields in endings] == [("success", True)] * len(ends)
    assert learner.task.heard == sum(step.intervention for step in learner.steps) == learner.counted.chosen_steps
    counted = (learner.counted.count, learner.counted.episodes, learner.counted.taken_over)
    assert counted == (len(learner.seeds), len(ends), len(ends))
    assert learner.counted.anew().count == 0


def test_it_gives_back_after_its_time_and_comes_again_when_the_policy_is_stuck_again():
    learner = Learner(teacher_after_s=5.0, teacher_s=1.0).live(24)
    assert [step.intervention for step in learner.steps] == ([False] * 10 + [True] * 2) * 2
    assert learner.interventions == [True, False] * 2


def test_it_leaves_alone_whoever_is_paid_and_what_a_policy_ends_by_itself():
    learner = Learner(teacher_after_s=5.0)
    learner.task.paid = 0.1
    learner.live(12)
    assert learner.seeds == [] and learner.task.heard == 0
    assert not any("taken_over" in fields for _, fields in learner.events)


def test_where_a_task_is_shown_nobody_is_taken_over_from():
    learner = Learner(demonstrates=True, teacher_after_s=5.0).live(12)
    assert learner.steps[-1].intervention and learner.task.heard == 0


@pytest.mark.parametrize(
    "settings, words",
    [({"teacher_after_s": EPISODE_S}, "never does in episodes of 25 s"), ({"teacher_s": 3.0}, "with actor.teacher_af")],
)
def test_a_teacher_who_would_never_intervene_is_refused(settings, words):
    require_use(ActorConfig(teacher_after_s=EPISODE_S - 0.5), ArmTask().spec)
    with pytest.raises(UserError, match=words):
        require_use(ActorConfig(**settings), ArmTask().spec)


def left_alone(steps=0):
    """A policy that nobody stands by, after so many steps without a reward."""
    return Learner(teacher_after_s=EPISODE_S).live(steps)


def test_an_operator_is_asked_for_once_nothing_was_paid_for_long_whatever_the_episodes():
    learner = left_alone(PATIENCE_STEPS - 1)
    assert learner.watch.stuck_s is None and sum(step.is_last for step in learner.steps) == 2
    assert learner.live(PATIENCE_STEPS).watch.stuck_s == 60.0
    assert learner.live(PATIENCE_STEPS + 20).watch.stuck_s == 70.0


@pytest.mark.parametrize("cure", ["a reward", "an operator"])
def test_who_is_helped_is_given_as_long_again(cure):
    learner = left_alone(PATIENCE_STEPS)
    if cure == "a reward":
        learner.task.paid = 0.1
    else:
        learner.loop.intervene(lambda state: np.asarray(STAYS))
    assert learner.live(PATIENCE_STEPS + 1).watch.stuck_s is None
    learner.task.paid = 0.0
    learner.loop.intervene(None)
    assert learner.live(2 * PATIENCE_STEPS).watch.stuck_s is None
    assert learner.live(2 * PATIENCE_STEPS + 1).watch.stuck_s == 60.0


@pytest.mark.parametrize("paid", [0.1, -0.1])
def test_who_is_paid_or_costs_something_at_each_step_is_not_stuck(paid):
    learner = left_alone()
    learner.task.paid = paid
    assert learner.live(2 * PATIENCE_STEPS).watch.stuck_s is None


def test_random_actions_are_not_stuck():
    learner = left_alone()
    learner.loop.set_policy(None)
    assert learner.live(2 * PATIENCE_STEPS).watch.stuck_s is None
    learner.loop.set_policy(Stays())
    assert learner.live(3 * PATIENCE_STEPS).watch.stuck_s == 60.0


def test_patience_follows_from_the_episodes_and_has_bounds():
    spec = ArmTask().spec
    told = {steps: patience_s(msgspec.structs.replace(spec, episode_steps=steps)) for steps in (1, 200, 10**6)}
    assert told == {1: 180.0, 200: 300.0, 10**6: 600.0}
