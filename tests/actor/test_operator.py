import numpy as np
import pytest

from daydreamer.actor.control_loop import ControlLoop
from daydreamer.actor.gamepad import LAYOUTS
from daydreamer.actor.operator import GAMEPAD_TIMEOUT_S, STEER, OperatorRequest, Operators
from daydreamer.config import SessionConfig
from daydreamer.experience.log import ExperienceWriter, list_logs
from daydreamer.experience.tail import LogTail
from daydreamer.replay import Replay
from daydreamer.robots.quadruped.task import OPERATOR_REACH
from daydreamer.robots.registry import find_robot, make_task
from daydreamer.safety.states import SafetyState
from daydreamer.session.new import configure

STOP, RESET, PAUSE, RESUME, INTERVENE = OperatorRequest


class Rig:
    """The real twin, task, log and supervisor, on the twin's clock."""

    def __init__(self, directory, config):
        self.task = make_task(config)
        self.twin = find_robot(config.robot).make_twin(config.twin, 0)
        self.directory = directory
        self.writer = ExperienceWriter(directory, self.task.spec, 1, fsync_period_s=1.0)
        self.events = []
        self.loop = ControlLoop(
            self.task,
            config.actor,
            self.writer,
            actor_life=1,
            seed=0,
            safety=config.safety,
            clock=lambda: self.twin.time_s,
        )
        self.operators = Operators(
            self.loop,
            self.task,
            lambda kind, **fields: self.events.append({"kind": kind} | fields),
            lambda: self.twin.time_s,
        )

    def step(self, count=1):
        for _ in range(count):
            self.operators.tick()
            command = self.loop.step(self.twin.measure(), self.twin.time_s)
            if command is not None:
                self.twin.command(None if command.relaxes else command.setpoint)
            self.twin.advance(self.loop.tick_period_s)

    def ask(self, request):
        return self.operators.request(request, "test").accepted

    def steps(self):
        return LogTail(list_logs(self.directory)[1], self.task.spec).read()

    def step_until(self, condition):
        while not condition():
            self.step()

    def act(self, count):
        """So many steps of experience from now on."""
        before = len(self.steps())
        self.step_until(lambda: len(self.steps()) >= before + count)
        return self.steps()[before:]


def set_out(directory, config):
    rig = Rig(directory, config)
    rig.loop.supervisor.activate()
    rig.step_until(lambda: rig.loop.supervisor.state is SafetyState.RUNNING)
    return rig


@pytest.fixture
def rig(tmp_path):
    rig = set_out(tmp_path, SessionConfig())
    yield rig
    rig.twin.close()


@pytest.fixture
def arm(tmp_path):
    """Its stick moves it, and it begins each episode by itself."""
    rig = set_out(tmp_path, configure(robot="so101", task="pick_place_fine", minutes=1.0, seed=0))
    yield rig
    rig.twin.close()


def test_only_running_is_experience_and_each_run_is_an_episode_of_its_own(rig):
    assert len(rig.steps()) == 1  # nothing of the ramp
    rig.step(4)
    assert rig.ask(PAUSE)
    rig.step(10)
    assert len(rig.steps()) == 5
    assert rig.ask(RESUME)
    rig.step(5)
    steps = rig.steps()
    assert len(steps) == 10 and [step.sequence for step in steps if step.is_first] == [0, 5]
    assert [step.sequence for step in steps] == list(range(10))


def test_an_intervention_is_logged_flagged_and_learned_from(rig):
    assert rig.ask(INTERVENE)
    rig.step(5)
    assert rig.ask(INTERVENE)
    rig.step(5)
    steps = rig.steps()[1:]
    assert [step.intervention for step in steps] == [True] * 5 + [False] * 5
    np.testing.assert_array_equal(steps[0].action_requested, np.zeros(12))
    assert rig.loop.statistics.interventions == 5
    replay = Replay(rig.task.spec, 5000)
    replay.append(steps)
    np.testing.assert_array_equal(np.asarray(replay.state.rows["action"])[:5], np.zeros((5, 12)))
    assert [event["begins"] for event in rig.events if event["kind"] == "intervention"] == [True, False]


def test_a_gamepad_steers_while_its_button_is_held_and_not_a_moment_longer(rig):
    up = np.array([0.0, 1.0, 0.0, 0.0])
    rig.operators.gamepad(up, deadman=True)
    rig.step(2)
    lowered = rig.steps()[-1]
    assert lowered.intervention
    np.testing.assert_allclose(lowered.action_requested.reshape(4, 3)[:, 1], OPERATOR_REACH)
    rig.operators.gamepad(up, deadman=False)
    rig.step()
    assert not rig.steps()[-1].intervention
    rig.operators.gamepad(up, deadman=True)
    rig.step(round(GAMEPAD_TIMEOUT_S / 0.05) + 2)
    assert not rig.steps()[-1].intervention  # out of reach


def test_keys_steer_a_step_each_and_only_for_who_intervenes_in_a_robot_that_acts(arm):
    steer = arm.operators.steer
    assert not arm.loop.acting and arm.ask(INTERVENE)
    steer("w", "test")  # while it begins an episode by itself
    assert not any(step.action_requested.any() for step in arm.act(2))
    steer("w", "somebody else")
    steer("nonsense", "test")
    assert not any(step.action_requested.any() for step in arm.act(2))
    steer("w", "test")
    pushed, after = arm.act(2)
    assert pushed.action_requested.tolist() == [1.0, 0.0, 0.0, 0.0, 0.0] and not after.action_requested.any()
    # What was typed just before a pause, or during it, moves nothing when it has ended, however short it was.
    for ticks in (0, 3):
        steer("w", "test")
        assert arm.ask(PAUSE)
        arm.step(ticks)
        steer("a", "test")
        assert arm.ask(RESUME)
        steps = arm.act(2)
        assert all(step.intervention for step in steps) and not any(step.action_requested.any() for step in steps)
    steer("a", "test")
    assert arm.act(1)[0].action_requested.tolist() == [0.0, 1.0, 0.0, 0.0, 0.0]


def test_no_key_makes_a_robot_leap_into_a_pose_and_back(rig):
    assert rig.operators.steer("w", "test") is None  # of nobody who intervenes
    for _ in range(2):
        assert rig.ask(INTERVENE)
        replies = [rig.operators.steer("w", "test") for _ in range(3)]
        assert [reply is None for reply in replies] == [False, True, True]
        assert not replies[0].accepted and "gamepad" in replies[0].message
        rig.step(2)
        assert rig.steps()[-1].intervention and not rig.steps()[-1].action_requested.any()
        assert rig.ask(INTERVENE)
    assert sum(event.get("request") == STEER and not event["accepted"] for event in rig.events) == 2


def test_one_operator_does_not_take_over_from_another(rig):
    rig.operators.gamepad(np.zeros(4), deadman=True)
    assert not rig.ask(INTERVENE)
    rig.operators.gamepad(np.zeros(4), deadman=False)
    assert rig.ask(INTERVENE)
    rig.operators.gamepad(np.ones(4), deadman=True)
    rig.step()
    np.testing.assert_array_equal(rig.steps()[-1].action_requested, np.zeros(12))
    rig.operators.gamepad(np.ones(4), deadman=False)
    assert rig.loop.intervening


def test_an_emergency_stop_ends_an_intervention_and_is_reset_only_when_released(rig):
    rig.ask(INTERVENE)
    assert rig.operators.stop_held("button A", True) and not rig.loop.intervening
    assert not rig.ask(RESUME) and not rig.ask(PAUSE) and not rig.ask(RESET)
    assert rig.operators.stop_held("button A", False)
    assert rig.ask(RESET) and rig.loop.supervisor.state is SafetyState.STOPPED
    assert rig.ask(RESUME) and rig.loop.supervisor.state is SafetyState.RAMPING
    accepted = [event["accepted"] for event in rig.events if event["kind"] == "operator"]
    assert accepted == [True, True, False, False, False, True, True]


def test_a_stop_is_held_for_as_long_as_anybody_holds_it(rig):
    operators = rig.operators
    assert operators.stop_held("button A", True) and rig.loop.supervisor.state is SafetyState.EMERGENCY_STOPPED
    for _ in range(50):  # what B says, and says again, is nothing that A has said
        assert not operators.stop_held("button B", False) and not operators.stop_held("button A", True)
        assert not rig.ask(RESET) and not rig.ask(RESUME)
    assert "button A" in operators.request(RESET, "test").message
    assert operators.stop_held("button B", True) and operators.stop_held("button A", False)
    assert not rig.ask(RESET) and operators.holders == {"button B"}
    assert operators.stop_held("button B", False)
    rig.step(5)
    assert rig.loop.supervisor.state is SafetyState.EMERGENCY_STOPPED  # that all let go resets nothing
    assert rig.ask(RESET)
    rig.step(5)
    assert rig.loop.supervisor.state is SafetyState.STOPPED  # nor does a reset set out


def test_a_stop_of_somebody_is_carried_out_at_once_and_each_time(rig):
    damped = []
    operators = Operators(rig.loop, rig.task, lambda kind, **fields: None, lambda: 0.0, lambda: damped.append(True))
    operators.stop_held("button A", True)
    operators.stop_held("button B", True)
    operators.request(STOP, "test")
    assert len(damped) == 3


def test_of_two_gamepads_one_steers_and_the_other_is_named(rig):
    one, other = np.array([0.0, 1.0, 0.0, 0.0]), np.array([0.0, -1.0, 0.0, 0.0])
    for _ in range(20):
        rig.operators.gamepad(one, True, "gamepad 1")
        rig.operators.gamepad(other, True, "gamepad 2")
        rig.step()
        np.testing.assert_allclose(rig.steps()[-1].action_requested.reshape(4, 3)[:, 1], OPERATOR_REACH)
        rig.operators.gamepad(other, False, "gamepad 3")
    begun = [event["by"] for event in rig.events if event["kind"] == "intervention"]
    refused = [event["by"] for event in rig.events if event["kind"] == "operator" and not event["accepted"]]
    assert begun == ["gamepad 1"] and refused == ["gamepad 2"]
    rig.operators.gamepad(one, False, "gamepad 1")
    rig.operators.gamepad(other, True, "gamepad 2")
    rig.step()
    np.testing.assert_allclose(rig.steps()[-1].action_requested.reshape(4, 3)[:, 1], -OPERATOR_REACH)


def test_a_stick_that_says_no_number_asks_for_the_middle(rig):
    rig.operators.gamepad(LAYOUTS["xbox"].stick([np.nan, np.inf, 0.0, 0.0, -np.inf], []), True)
    rig.step(2)
    np.testing.assert_array_equal(rig.steps()[-1].action_requested, np.zeros(12))


@pytest.mark.parametrize("ticks", [0, 3])
def test_what_an_operator_chose_is_forgotten_when_the_robot_is_stopped(rig, ticks):
    assert rig.ask(INTERVENE)
    rig.step(3)
    rig.loop.supervisor.deactivate()
    rig.step(ticks)
    assert rig.loop.supervisor.activate()
    rig.step()
    while rig.loop.supervisor.state is not SafetyState.RUNNING:
        assert not rig.loop.intervening
        rig.step()
    assert not rig.steps()[-1].intervention


def test_nobody_intervenes_in_what_is_stopped(rig):
    rig.loop.supervisor.deactivate()
    assert not rig.ask(INTERVENE)
    rig.operators.gamepad(np.zeros(4), True)
    assert not rig.loop.intervening
