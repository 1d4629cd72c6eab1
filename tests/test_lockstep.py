"""`daydreamer train` for real, with networks small enough for a test."""

import dataclasses
import signal
import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import load_file
from typer.testing import CliRunner

from daydreamer.cli.main import app
from daydreamer.errors import UserError
from daydreamer.experience.tail import ExperienceTail
from daydreamer.lockstep import REPORT_STEPS, LockstepSession
from daydreamer.policy.snapshot import latest_snapshot
from daydreamer.robots.a1.constants import A1
from daydreamer.robots.a1.twin import TWIN
from daydreamer.robots.quadruped.presentation import HOLD_S, MEAN_S, UPRIGHT, UPRIGHT_HOLD_S, WALKING
from daydreamer.robots.quadruped.task import QuadrupedWalkTask
from daydreamer.session.directory import Session
from daydreamer.session.events import read_events
from daydreamer.session.known_motions import read_known_motions
from daydreamer.session.new import configure, new_session
from daydreamer.session.seal import checkpoint_paths
from daydreamer.session.status import read_process_status, read_status
from daydreamer.telemetry.measured_policies import measure_policies
from sim.twin import Twin

STEPS = 400
"""Of both sessions; see `lockstep_arguments` in conftest.py."""


def train(out, arguments):
    command = [sys.executable, "-m", "daydreamer.cli.main", *arguments, "--out", str(out)]
    return subprocess.run(command, capture_output=True, text=True, timeout=400)


@pytest.fixture(scope="module")
def sessions(tmp_path_factory, learner_compiled, lockstep_arguments):
    """Two runs with the same seed: the one that has compiled the learner for all, and another that keeps more of it."""
    path = tmp_path_factory.mktemp("lockstep") / "again"
    result = train(path, [*lockstep_arguments, "--set", "learner.keep_policy_s=5"])
    assert result.returncode == 0, result.stderr
    assert f"of {STEPS} steps" in result.stdout
    return [Session.open(learner_compiled), Session.open(path)]


def test_trains_exactly_as_often_as_the_ratio_says(sessions):
    status = read_status(sessions[0])
    assert status["state"] == "stopped"
    assert status["env_steps"] == status["replay_steps"] == STEPS
    assert status["gradient_steps"] == STEPS * 8 // 32
    assert status["imagined_steps"] == status["gradient_steps"] * 16 * sessions[0].config.learner.imagination_horizon


def test_is_repeatable_for_a_seed(sessions):
    logs = [ExperienceTail(session.experience, session.spec).read() for session in sessions]
    assert [step.sequence for step in logs[0]] == list(range(STEPS))
    assert any(step.policy_version > 0 for step in logs[0])
    for one, other in zip(*logs, strict=True):
        np.testing.assert_array_equal(one.action_requested, other.action_requested)
        assert one.reward == other.reward
    known = [read_known_motions(session) for session in sessions]
    assert known[0] == known[1] != ()
    one, other = (load_file(latest_snapshot(session.policy)) for session in sessions)
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])


def test_policies_are_kept_under_the_number_that_their_steps_have(sessions):
    kept = measure_policies(sessions[1])
    assert [policy.metadata.env_steps for policy in kept] == [100, 200, 300, 400]
    assert (
        [policy.version for policy in kept] == [policy.metadata.gradient_step for policy in kept] == [25, 50, 75, 100]
    )
    logged = {step.policy_version for step in ExperienceTail(sessions[1].experience, sessions[1].spec).read()}
    assert logged & {policy.version for policy in kept}
    assert [policy.version for policy in measure_policies(sessions[0])] == [100]


class StandStillTask(QuadrupedWalkTask):
    """Whatever the action, the stand pose is commanded."""

    def joint_targets(self, action):
        return np.broadcast_to(A1.stand_pose_rad, action.shape)


class ConveyedTwin(Twin):
    """Carried along faster than it must walk, which its legs do not notice."""

    def truth(self):
        return dataclasses.replace(super().truth(), velocity_m_s=np.array([0.4, 0.0, 0.0]))


def test_milestones_are_judged_by_the_truth(tmp_path):
    config = configure(robot="a1", minutes=1.0, seed=0, preset="tiny", overrides=["learner.minimum_s=5000"])
    session = new_session(tmp_path / "session", config)
    twin = ConveyedTwin(TWIN, config.twin, seed=0)
    twin.reset("standing")
    reports = []
    LockstepSession(session, twin, StandStillTask(A1)).run(4 * REPORT_STEPS, reports.append)
    twin.close()
    expected = {UPRIGHT: UPRIGHT_HOLD_S, WALKING: MEAN_S + HOLD_S - session.spec.control_period_s}
    events = [event for event in read_events(session.events) if event["kind"] == "milestone"]
    assert {event["name"]: event["robot_seconds"] for event in events} == pytest.approx(expected)
    assert {event["source"] for event in events} == {"twin"}
    assert read_status(session)["milestones_s"] == pytest.approx(expected)
    milestones = [{name for name in report if name.startswith("milestone/")} for report in reports]
    assert milestones == [{"milestone/upright_s"}] * 3 + [{"milestone/upright_s", "milestone/walking_s"}]
    assert abs(reports[-1]["actor/info/forward_velocity_m_s"]) < 0.1


def test_begins_with_what_another_session_has_learned_and_keeps_what_it_learns_when_interrupted(
    sessions, tmp_path, lockstep_arguments
):
    """Another robot of the kind, which acts by the policy from the first step on where nothing else is tried.

    SIGINT to the real process, while it learns, ends it between two steps. It has none of the other's experience, which
    would be a program of its own to compile; see learner/test_inheritance.py.
    """
    parent, out = sessions[0], tmp_path / "child"
    drawn = ["--seed", "5", "--steps", "1000000", "--set", "twin.randomisation.enabled=true"]
    policy_alone = ["--set", "actor.fallen_reward=null", "--set", "actor.rhythm_hz=null"]
    settings = ["--set", "learner.checkpoint_period_s=2", "--from-experience", "0"]
    command = [sys.executable, "-m", "daydreamer.cli.main", *lockstep_arguments, *drawn, *policy_alone, *settings]
    process = subprocess.Popen(
        [*command, "--from", str(parent.path), "--out", str(out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    said = []
    for line in process.stdout:
        said.append(line)
        if "gradient steps" in line and " 0 gradient steps" not in line:
            break
    child = Session.open(out)
    assert len(checkpoint_paths(child.checkpoints)) > 1, "before the end, too"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130 and "once more ends at once" in errors and "Traceback" not in errors
    assert f"Begins with what {parent.path} (a1, twin) had learned" in "".join(said)
    assert child.record.parent.digest == parent.digest and child.config.actor.random_s == 0.0
    steps = ExperienceTail(child.experience, child.spec).read()
    assert [step.policy_version for step in steps][:10] == [1] * 10, "version 1 was there before anything was learned"
    status = read_process_status(child, "learner")
    learned, allowed = status.gradient_steps, len(steps) * 8 // 32
    assert status.state == "stopped" and 0 < allowed - 1 <= learned <= allowed
    checkpoints = [path.name for path in checkpoint_paths(child.checkpoints)]
    assert (checkpoints[0], checkpoints[-1]) == ("0", str(learned))
    assert latest_snapshot(child.policy) is not None


def refusal(out, arguments):
    """What the command says of a mistake; that it then ends with status 2 and one line, a process shows below."""
    result = CliRunner().invoke(app, [*arguments, "--out", str(out)])
    assert isinstance(result.exception, UserError)
    return str(result.exception)


def test_refuses_what_another_session_has_learned_where_it_does_not_fit(sessions, tmp_path):
    out = tmp_path / "child"
    said = refusal(out, ["train", "go2", "--steps", "100", "--from", str(sessions[0].path)])
    assert "robot is 'go2' here and 'a1' there" in said and not out.exists()


def test_refuses_to_write_over_a_session(sessions, lockstep_arguments):
    result = train(sessions[1].path, lockstep_arguments)
    assert result.returncode == 2
    assert "is a session already" in result.stderr and len(result.stderr.splitlines()) == 1


def test_refuses_an_unknown_task(tmp_path):
    assert "no task 'fly'" in refusal(tmp_path / "x", ["train", "a1", "fly", "--steps", "10"])
    assert not (tmp_path / "x").exists()
