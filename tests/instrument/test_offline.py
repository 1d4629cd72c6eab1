"""`daydreamer train --from-logs` for real, on the log of a short session."""

import jax
import numpy as np
import pytest
from typer.testing import CliRunner

from daydreamer.cli.main import app
from daydreamer.instrument import offline
from daydreamer.instrument.logged import read_logged
from daydreamer.instrument.ranking import make_world
from daydreamer.learner.inheritance import read_inheritance
from daydreamer.learner.inherited import read_inherited_experience
from daydreamer.learner.learned import read_learned
from daydreamer.policy.policy import Policy, flatten_parameters
from daydreamer.policy.snapshot import read_snapshot
from daydreamer.report.history import read_history
from daydreamer.report.verdict import judge_session
from daydreamer.session.directory import Session
from daydreamer.session.new import configure
from daydreamer.session.seal import checkpoint_paths
from daydreamer.session.status import read_status
from daydreamer.telemetry.measured_policies import choose_policy
from daydreamer.telemetry.scalars import ScalarReader

MOST = 40


@pytest.fixture(scope="module")
def trained(learner_compiled, tmp_path_factory):
    """What the command said, and the session it made: each gradient step is measured, until the first that is worse."""
    out = tmp_path_factory.mktemp("offline") / "session"
    command = ["train", "walk", "--preset", "tiny", "--from-logs", str(learner_compiled), "--out", str(out)]
    # Every imagined step is compiled.
    settings = ["--set", "learner.imagination_horizon=1", "--set", "learner.warmup_updates=1"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(offline.OfflineTraining.__init__, "__defaults__", (1, 1))
        patch.setattr(offline, "AS_GOOD", 1.0)
        result = CliRunner().invoke(app, [*command, "--gradient-steps", str(MOST), *settings])
    assert result.exit_code == 0, (result.output, result.exception)
    return result.output, Session.open(out)


def test_it_ends_when_the_model_is_not_better_any_more_and_keeps_what_was_best(trained):
    said, session = trained
    scalars = ScalarReader(session.metrics).read()
    assert session.config.learner.members == 5 and np.isfinite(scalars["learner/guard/cost"].value).all()
    errors = scalars["held_out/error"]
    made, kept = int(errors.step[-1]), int(errors.step[np.argmin(errors.value)])
    assert made < MOST and kept == made - 1, "the last one was worse"
    assert "ended early" in said and f"by gradient step {kept}," in said and f"{made:6d} of {MOST}" in said
    assert int(checkpoint_paths(session.checkpoints)[-1].name) == kept
    learned = read_learned(session.path)
    assert int(learned.state.updates) == kept
    chosen = choose_policy(session)
    assert chosen.metadata.gradient_step == kept and chosen.version == made + 1, "published at each measurement"
    stored, _ = read_snapshot(chosen.path, session.spec)
    for name, values in flatten_parameters(learned.agent.policy_parameters(learned.state)).items():
        np.testing.assert_array_equal(stored[name], values)
    Policy.load(chosen.path, session.spec)


def test_no_robot_has_moved_and_the_status_and_the_report_know(trained, learner_compiled):
    _, session = trained
    status = read_status(session)
    assert status["state"] == "stopped" and not status["env_steps"] and status["gradient_steps"]
    assert [log["path"] for log in status["logs"]] == [str(learner_compiled)]
    verdict = judge_session(read_history(session))
    assert "It learned offline from" in verdict.learned[0] and "daydreamer evaluate" in verdict.advice[-1]


def test_others_begin_with_it_without_its_guard_and_its_model_can_be_asked(trained, tmp_path):
    _, session = trained
    (log,) = session.record.logs
    inheritance = read_inheritance(session.path)
    parentage = inheritance.parent.parentage
    assert parentage.lived_s == log.steps * session.spec.control_period_s and parentage.env_steps == 0
    config = configure(robot="a1", minutes=1.0, seed=1, preset="tiny", parent=inheritance.parent)
    child = Session.create(tmp_path / "child", config, session.spec, parent=parentage, endow=inheritance.endow)
    begun, learned = read_learned(child.path).state, read_learned(session.path)
    assert "members" not in begun.parameters and learned.parameters.keys() - begun.parameters.keys() == {"members"}
    jax.tree.map(
        np.testing.assert_array_equal,
        begun.parameters,
        {name: learned.parameters[name] for name in begun.parameters},
    )
    steps, replayed = read_logged(session), read_inherited_experience(child, pytest.fail)
    np.testing.assert_array_equal(replayed["observation/joint_position"], steps.rows["observation/joint_position"])
    assert len(steps) == log.steps + log.held_out_steps == 400 and steps.rows["is_first"][log.steps]
    world = make_world(learned, steps, 16, seed=0)
    assert world.count == 16
