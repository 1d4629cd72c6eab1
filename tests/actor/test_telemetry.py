"""What an actor reports about a robot that stands, in lock-step."""

import os
import subprocess
import sys
import time

import numpy as np
import pytest

from daydreamer.actor.control_loop import ControlLoop
from daydreamer.actor.stuck import StuckWatch
from daydreamer.actor.telemetry import ActorTelemetry, LearnerPulse
from daydreamer.config import STARTING_PATIENCE
from daydreamer.contract.motions import KnownMotion
from daydreamer.experience.log import ExperienceWriter
from daydreamer.pacer import Pacer
from daydreamer.periodic import periodically
from daydreamer.robots.a1.constants import A1
from daydreamer.robots.a1.twin import make_twin
from daydreamer.robots.quadruped.presentation import UPRIGHT, UPRIGHT_HOLD_S
from daydreamer.robots.quadruped.task import QuadrupedWalkTask
from daydreamer.session.events import read_events
from daydreamer.session.known_motions import KnownMotions, read_known_motions
from daydreamer.session.new import configure, new_session
from daydreamer.session.status import LearnerStatus, StatusWriter, read_status
from daydreamer.telemetry.milestones import Milestones


class StandStillTask(QuadrupedWalkTask):
    """Whatever the action, the stand pose is commanded."""

    def joint_targets(self, action):
        return np.broadcast_to(A1.stand_pose_rad, action.shape)


class UnpaidTask(StandStillTask):
    """Whatever the robot does, nothing is paid."""

    def observe(self, measurement, sent):
        state = super().observe(measurement, sent)
        state.reward = 0.0
        return state


class Policy:
    """Asks for nothing."""

    version, created_wall_s = 1, 0.0

    def initial_state(self):
        return None

    def __call__(self, observation, state, is_first):
        return np.zeros(12, np.float32), None


@pytest.fixture
def session(tmp_path):
    return new_session(tmp_path / "session", configure(robot="a1", minutes=1.0, seed=0))


def live(session, life, steps, earlier_steps=0, until=lambda loop: True, task=StandStillTask, patience_s=None):
    """One life of an actor, which ends when it is so."""
    period_s = session.spec.control_period_s
    twin = make_twin(session.config.twin, seed=0)
    twin.reset("standing")
    wanted = session.presentation.milestones
    milestones = Milestones(wanted, period_s, earlier_steps * period_s, read_status(session)["milestones_s"])
    with ExperienceWriter(session.experience, session.spec, life, fsync_period_s=10.0) as writer:
        telemetry = ActorTelemetry(session, life, writer, milestones)
        if patience_s is not None:
            telemetry.stuck_watch = StuckWatch(session.spec, patience_s)
        loop = ControlLoop(
            task(A1),
            session.config.actor,
            writer,
            actor_life=life,
            seed=0,
            clock=lambda: twin.time_s,
            on_event=telemetry.event,
            on_step=telemetry.on_step,
        )
        loop.recall(telemetry.known_motions.motions)
        loop.set_policy(Policy())
        with telemetry.running(loop, Pacer(period_s, 0.0)):
            for _ in range(steps):
                command = loop.step(twin.measure(), twin.time_s)
                twin.command(command.setpoint)
                twin.advance(period_s)
            while not until(loop):
                time.sleep(0.01)
    twin.close()


def milestone_events(session):
    return [event for event in read_events(session.events) if event["kind"] == "milestone"]


def test_milestones_become_events_and_status_and_outlive_the_actor(session):
    hold_steps = round(UPRIGHT_HOLD_S * session.spec.control_rate_hz)
    live(session, 1, hold_steps - 1)
    assert milestone_events(session) == [] and read_status(session)["milestones_s"] == {}
    live(session, 2, hold_steps, earlier_steps=hold_steps - 1)
    (event,) = milestone_events(session)
    robot_seconds = pytest.approx(2 * UPRIGHT_HOLD_S - session.spec.control_period_s)
    assert (event["source"], event["name"], event["robot_seconds"]) == ("actor", UPRIGHT, robot_seconds)
    live(session, 3, hold_steps, earlier_steps=2 * hold_steps - 1)
    assert len(milestone_events(session)) == 1
    assert read_status(session)["milestones_s"] == {UPRIGHT: robot_seconds}


@pytest.mark.parametrize("task, stuck_s", [(UnpaidTask, 0.2), (StandStillTask, None)])
def test_a_policy_that_is_stuck_is_told_of(tmp_path, task, stuck_s):
    overrides = ["actor.random_s=0", "actor.fallen_reward=null"]
    session = new_session(tmp_path / "session", configure(robot="a1", minutes=1.0, seed=0, overrides=overrides))
    live(session, 1, 4, task=task, patience_s=0.1)
    assert read_status(session)["stuck_s"] == stuck_s


def test_what_is_known_of_getting_up_outlives_the_actor(session):
    known = (KnownMotion(actions=((1.0,) * 12, (-1.0,) * 12), successes=2.0, failures=1.0),)
    KnownMotions(session).keep(known)
    live(session, 1, 1)
    untried = KnownMotion(actions=None, successes=1.0, failures=10.0)
    assert read_known_motions(session) == (untried, *known)
    session.known_motions.write_text("{")
    live(session, 2, 1)
    (event,) = [event for event in read_events(session.events) if event["kind"] == "known_motions_refused"]
    assert "damaged" in event["error"]


DAMAGE = [b"", b"\xff\xfe\x00", b'{"state":"\xff"}', b"[" * 100_000, b'{"state":"running","pid":1e999}', b"\x00" * 100]


@pytest.mark.parametrize("content", DAMAGE)
def test_a_learners_status_that_nobody_can_read_is_no_sign_of_life_and_ends_nothing(session, content):
    StatusWriter(session, "learner").write(LearnerStatus(state="running"))
    pulse = LearnerPulse(session)
    seen_s = pulse.last_s()
    (session.status / "learner.json").write_bytes(content)
    assert pulse.last_s() == pulse.last_s() == seen_s
    StatusWriter(session, "learner").write(LearnerStatus(state="running"))
    assert pulse.last_s() > seen_s


def test_a_learner_is_starting_until_it_has_been_at_work_and_again_when_it_has_ended(session):
    status = StatusWriter(session, "learner")
    status.write(LearnerStatus(state="running"))  # of whoever learned before the machine was last started
    pulse = LearnerPulse(session)
    begin_s = pulse.last_s()
    assert pulse.starting and pulse.last_s() == begin_s
    status.write(LearnerStatus(state="starting"))
    assert pulse.last_s() == begin_s and pulse.starting, "one that never gets any further has to be told"
    status.write(LearnerStatus(state="running"))
    at_work_s = pulse.last_s()
    assert at_work_s > begin_s and not pulse.starting
    assert pulse.last_s() == at_work_s and not pulse.starting
    write_as_one_that_was_killed(session)
    assert pulse.last_s() == at_work_s and pulse.starting
    status.write(LearnerStatus(state="starting"))
    assert pulse.last_s() == at_work_s and pulse.starting
    status.write(LearnerStatus(state="running"))
    assert pulse.last_s() > at_work_s and not pulse.starting


def write_as_one_that_was_killed(session):
    """A learner's status, by a process that has ended without a word."""
    write = (
        "import sys; from daydreamer.session.directory import Session; from daydreamer.session.status import *; "
        "StatusWriter(Session.open(sys.argv[1]), 'learner').write(LearnerStatus(state='running'))"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    subprocess.run([sys.executable, "-c", write, session.path], env=environment, check=True)


def test_a_learner_that_starts_is_given_as_long_as_whoever_keeps_it_gives_it(session):
    allowed_s = STARTING_PATIENCE * session.config.learner.silence_timeout_s
    live(session, 1, 1, until=lambda loop: loop.supervisor.watchdogs.heartbeats.learner_starting_s == allowed_s)
    assert read_status(session)["learner_starting"] is True


def test_what_is_done_again_and_again_goes_on_after_a_failure_that_is_complained_about_once(caplog):
    done = []

    def work():
        done.append(True)
        if len(done) < 4:
            raise ValueError("a damaged file")

    with periodically(work, 0.001, "the watch"):
        while len(done) < 6:
            time.sleep(0.001)
    assert [record.message for record in caplog.records] == ["the watch failed and is tried again"]
