"""The learner on a real log: what it reads, when it trains, what it hands over, and how it goes on."""

import contextlib

import jax
import msgspec
import numpy as np
import pytest

from daydreamer.config import merge, resolve
from daydreamer.errors import UserError
from daydreamer.learner.learner import Learner
from daydreamer.policy.policy import Policy
from daydreamer.policy.snapshot import latest_snapshot
from daydreamer.robots.registry import find_robot
from daydreamer.session.directory import Session
from daydreamer.spec import RobotSpec, Space

SPEC = RobotSpec("toy", "toy", 20.0, 10, ("a", "b"), (), {"x": Space((3,))}, Space((2,), low=-1.0, high=1.0), ("r",))
SETTINGS = merge(
    find_robot("a1").preset("walk", "tiny", "twin"),
    # As in test_survival.py, whose program this so is.
    {
        "learner": {
            "replay_capacity": 4096,
            "imagination_horizon": 1,  # every imagined step is compiled
            "dream_context_s": 0.2,
            "dream_horizon_s": 0.2,
            "warmup_updates": 1,
            "actor_delay_updates": 0,
            "fall_back_updates": 3,
        }
    },
)


def make_session(path, settings=SETTINGS):
    return Session.create(path, resolve(settings), SPEC)


def parameters_of(learner):
    return jax.tree.map(np.array, learner.agent.policy_parameters(learner._state))


def assert_equal(left, right):
    jax.tree.map(np.testing.assert_array_equal, left, right)


def test_life_of_a_learner(tmp_path, write_steps):
    """Reads every step, trains up to the ratio, publishes a policy that acts, and goes on after a restart."""
    session = make_session(tmp_path / "session")
    write_steps(session, 59)
    with contextlib.closing(Learner(session)) as learner:
        assert learner.env_steps == len(learner.replay) == 59
        # As a checkpoint gives them back. If types differed, whoever goes on would have to compile another program.
        assert not [name for name, leaf in jax.tree.leaves_with_path(learner._state) if leaf.weak_type]
        assert learner.updates_allowed(59) == 0  # tiny: training starts at 60
        write_steps(session, 41)
        assert learner.ingest() == 41 and learner.ingest() == 0
        allowed = learner.updates_allowed(100)
        assert allowed == int(100 * learner.config.train_ratio / 32)
        before = parameters_of(learner)
        for _ in range(5):
            learner.update()
        assert learner.updates_allowed(100) == allowed - 5
        metrics = learner.metric_values()
        assert all(np.isfinite(value) for value in metrics.values())
        changed = jax.tree.leaves(jax.tree.map(lambda x, y: not np.array_equal(x, y), before, parameters_of(learner)))
        assert np.mean(changed) > 0.9
        assert learner.publish() == 1
        trained = parameters_of(learner)
        learner.checkpoint()

    policy = Policy.load(latest_snapshot(session.policy), SPEC)
    assert policy.version == 1
    assert_equal(jax.tree.map(np.asarray, policy._parameters), trained)
    action, _ = policy({"x": np.zeros(3, np.float32)}, policy.initial_state(), True)
    assert action.shape == (2,) and np.abs(action).max() <= 1.0

    write_steps(session, 7)
    events = []
    with contextlib.closing(Learner(session, lambda kind, **fields: events.append((kind, fields)))) as resumed:
        assert events == [("restored", {"gradient_step": 5, "env_steps": 107})]
        assert resumed.env_steps == len(resumed.replay) == 107
        assert resumed.updates == 5 and resumed.policy_version == 1
        assert resumed.status("running").append_to_replay_ms.p50 is None  # of what is logged from now on
        assert_equal(parameters_of(resumed), trained)
        resumed.update()
        assert resumed.publish() == 2


def test_several_gradient_steps_in_one_dispatch_are_the_same_ones(tmp_path, write_steps):
    learners = []
    for per_dispatch in (1, 3):
        settings = merge(SETTINGS, {"learner": {"updates_per_dispatch": per_dispatch}})
        session = make_session(tmp_path / str(per_dispatch), settings)
        write_steps(session, 100)
        with contextlib.closing(Learner(session)) as learner:
            allowed = learner.updates_allowed(100)
            assert allowed % per_dispatch == 0
            for _ in range(6 // per_dispatch):
                learner.update()
            assert learner.updates == int(learner._state.updates) == 6
            assert learner.updates_allowed(100) == allowed - 6
            learners.append((parameters_of(learner), learner.metric_values()["learner/loss/total"]))
    (one, one_loss), (other, other_loss) = learners
    assert one_loss == pytest.approx(other_loss, rel=1e-3)
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, atol=1e-3), one, other)


def test_a_checkpoint_of_other_sizes_is_refused(tmp_path, write_steps):
    session = make_session(tmp_path / "session")
    write_steps(session, 80)
    with contextlib.closing(Learner(session)) as learner:
        learner.update()
        learner.checkpoint()
    other = msgspec.structs.replace(session.record, config=resolve(merge(SETTINGS, {"model": {"units": 16}})))
    with pytest.raises(UserError, match="does not fit this session's networks"):
        Learner(Session(session.path, other, session.digest))


@pytest.mark.parametrize("recent", [{"recent_share": 1.5}, {"recent_share": -0.1}, {"recent_s": 0}])
def test_a_share_of_recent_steps_that_makes_no_sense_is_a_clear_error(recent):
    with pytest.raises(UserError, match=r"learner\.recent_(share|s)"):
        resolve(merge(SETTINGS, {"learner": recent}))
