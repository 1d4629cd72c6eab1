"""What a learner survives: stops, damaged checkpoints, poisoned batches, a disk that takes nothing."""

import contextlib
import resource
import shutil

import jax
import jax.numpy as jnp
import msgspec
import numpy as np
import pytest

from daydreamer.behavior.state import BehaviorState
from daydreamer.config import merge, resolve
from daydreamer.learner.agent import NORM_WARMUP_UPDATES, Agent
from daydreamer.learner.checkpoint import KEPT, SET_ASIDE_SUFFIX, Checkpointer
from daydreamer.learner.learner import Learner
from daydreamer.policy.snapshot import latest_snapshot, read_snapshot
from daydreamer.replay import Replay
from daydreamer.robots.registry import find_robot
from daydreamer.safety.flags import SAFETY_FLAGS
from daydreamer.session.directory import Session
from daydreamer.session.seal import Progress, checkpoint_paths
from daydreamer.spec import RobotSpec, Space
from daydreamer.telemetry.dreams import list_dreams

SPEC = RobotSpec("toy", "toy", 20.0, 10, ("a", "b"), (), {"x": Space((3,))}, Space((2,), low=-1.0, high=1.0), ("r",))
PATIENCE = 3
SETTINGS = merge(
    find_robot("a1").preset("walk", "tiny", "twin"),
    # As in test_learner.py, so that both have the same program.
    {
        "learner": {
            "replay_capacity": 4096,
            "imagination_horizon": 1,  # every imagined step is compiled
            "dream_context_s": 0.2,
            "dream_horizon_s": 0.2,
            "warmup_updates": 1,
            "actor_delay_updates": 0,
            "fall_back_updates": PATIENCE,
        }
    },
)


@pytest.fixture
def session(tmp_path, write_steps):
    session = Session.create(tmp_path / "session", resolve(SETTINGS), SPEC)
    write_steps(session, 100)
    return session


class Watched:
    """A learner, and the events it has reported."""

    def __init__(self, session):
        self.events = []
        self.learner = Learner(session, lambda kind, **fields: self.events.append((kind, fields)))

    @property
    def kinds(self):
        return [kind for kind, _ in self.events]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.learner.close()

    def update(self, count):
        for _ in range(count):
            self.learner.update()
        return self

    def state(self):
        return jax.tree.map(np.array, self.learner._state)

    def set_replay(self, field, value):
        """A really poisoned batch: there is nothing else to draw."""
        rows = self.learner.replay.state.rows
        kept = np.array(rows[field])
        rows = rows | {field: jnp.full_like(rows[field], value)}
        self.learner.replay.state = self.learner.replay.state._replace(rows=rows)
        return kept

    def restore_replay(self, field, values):
        rows = self.learner.replay.state.rows | {field: jnp.array(values)}
        self.learner.replay.state = self.learner.replay.state._replace(rows=rows)


def assert_equal(left, right):
    jax.tree.map(np.testing.assert_array_equal, left, right)


def assert_finite(tree):
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(tree))


def test_training_that_was_stopped_goes_on_exactly_as_if_it_had_not_been(session, tmp_path):
    """Also when the directory was copied elsewhere in between."""
    elsewhere = tmp_path / "elsewhere"
    with Watched(session) as stopped:
        stopped.update(4)
        assert stopped.learner.checkpoint()
    shutil.copytree(session.path, elsewhere)
    shutil.rmtree(session.checkpoints)
    with Watched(session) as whole:
        whole.update(9)
    with Watched(Session.open(elsewhere)) as resumed:
        assert resumed.events == [("restored", {"gradient_step": 4, "env_steps": 100})]
        resumed.update(5)
        assert_equal(resumed.state(), whole.state())
        resumed.update(1)
        differences = jax.tree.map(lambda x, y: bool((x != y).any()), resumed.state(), whole.state())
        assert any(jax.tree.leaves(differences))


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def largest_file(checkpoint):
    return max((path for path in checkpoint.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)


DAMAGE = {
    "a flipped bit in the arrays": lambda checkpoint: flip(largest_file(checkpoint)),
    "arrays cut short": lambda checkpoint: largest_file(checkpoint).write_bytes(b""),
    "a flipped bit in the record": lambda checkpoint: flip(checkpoint / "progress" / "metadata"),
    "a record that says something else": lambda checkpoint: (checkpoint / "progress" / "metadata").write_text(
        (checkpoint / "progress" / "metadata").read_text().replace("100", "101")
    ),
    "no record": lambda checkpoint: (checkpoint / "progress" / "metadata").unlink(),
    "no arrays": lambda checkpoint: shutil.rmtree(checkpoint / "state"),
}


def test_a_damaged_checkpoint_is_set_aside_and_the_one_before_it_is_used(session, tmp_path):
    with Watched(session) as watched:
        watched.update(2).learner.checkpoint()
        good = watched.state()
        watched.update(1).learner.checkpoint()
    assert [path.name for path in checkpoint_paths(session.checkpoints)] == ["2", "3"]
    for number, (name, damage) in enumerate(DAMAGE.items()):
        copy = tmp_path / f"copy{number}"
        shutil.copytree(session.checkpoints, copy)
        damage(copy / "3")
        events = []
        checkpointer = Checkpointer(copy, lambda kind, events=events, **fields: events.append((kind, fields["error"])))
        state, progress = checkpointer.restore(good, SPEC.hash)
        assert [kind for kind, _ in events] == ["checkpoint_damaged"], name
        assert "/3 is damaged" in events[0][1]
        assert_equal(jax.tree.map(np.array, state), good)
        # The number is free again, and the damaged one is still there to look at.
        checkpointer.save(state._replace(updates=jnp.int32(3)), progress)
        checkpointer.close()
        assert [path.name for path in checkpoint_paths(copy)] == ["2", "3"]
        assert (copy / f"3{SET_ASIDE_SUFFIX}").is_dir()


def test_a_checkpoint_is_the_same_whether_dreams_go_on_or_not(tmp_path):
    config = resolve(SETTINGS)

    def begun(share):
        learner = msgspec.structs.replace(config.learner, continued_share=share, updates_per_dispatch=2)
        agent = Agent(SPEC, config.model, learner)
        shapes = jax.eval_shape(lambda: agent.initialize(0))
        return agent, jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)  # nothing is compiled

    (agent, fresh), (_, without) = begun(0.5), begun(0.0)
    shapes = jax.eval_shape(lambda: fresh)
    replay = Replay(SPEC, config.learner.replay_capacity).state
    assert jax.tree.map(str, jax.eval_shape(agent.update, shapes, replay)[0]) == jax.tree.map(str, shapes)

    dreaming = fresh.behavior._replace(
        log_entropy_scale=jnp.float32(3.0), goes_on=jnp.ones_like(fresh.behavior.goes_on)
    )
    progress = Progress(spec_hash=SPEC.hash, env_steps=0, cursors={}, policy_version=1)
    with contextlib.closing(Checkpointer(tmp_path)) as checkpointer:
        checkpointer.save(fresh._replace(behavior=dreaming), progress)
        restored, _ = checkpointer.restore(fresh, SPEC.hash)
        elsewhere, _ = checkpointer.restore(without, SPEC.hash)
    assert restored.behavior.log_entropy_scale == elsewhere.behavior.log_entropy_scale == 3.0
    assert not restored.behavior.goes_on.any() and type(elsewhere.behavior) is BehaviorState


def test_without_any_good_checkpoint_learning_begins_anew_from_all_experience(session):
    with Watched(session) as watched:
        watched.learner.checkpoint()
    flip(session.checkpoints / "0" / "progress" / "metadata")
    with Watched(session) as watched:
        assert watched.kinds == ["checkpoint_damaged"]
        assert watched.learner.updates == 0 and watched.learner.env_steps == 100


def test_a_poisoned_batch_is_skipped_then_the_learner_falls_back_and_goes_on(session):
    with Watched(session) as watched:
        learner = watched.learner
        watched.update(2).learner.checkpoint()
        good = watched.state()
        watched.update(1)
        trained = watched.state()
        kept = watched.set_replay("observation/x", np.inf)
        watched.update(2)
        learner.metric_values()
        assert watched.events == [("update_skipped", {"count": 2, "gradient_step": 5})]
        assert_equal(watched.state().parameters, trained.parameters)
        assert learner.checkpoint() is False  # not in the midst of it
        watched.update(2 * PATIENCE - 2)
        kind, fields = watched.events[-1]
        assert kind == "fell_back" and fields["to_gradient_step"] == 2
        attempted = learner.updates
        assert_equal(watched.state().parameters, good.parameters)
        assert_equal(watched.state().optimizer, good.optimizer)
        assert not np.array_equal(watched.state().key, good.key), "the same batches would be drawn again"
        assert learner.publish() == 1
        assert_finite(read_snapshot(latest_snapshot(session.policy), SPEC)[0])
        watched.restore_replay("observation/x", kept)
        watched.update(2)
        assert learner.checkpoint()
        assert int(learner._state.updates) == 4 and learner.updates == attempted + 2
        assert_finite(learner.metric_values())
    with Watched(session) as resumed:
        assert resumed.learner.updates == attempted + 2  # the train ratio grants nothing twice
        resumed.learner.metric_values()
        assert resumed.kinds == ["restored"], "what was skipped before was told before"


def test_a_second_fall_back_goes_further_back_and_the_last_one_to_the_beginning(session):
    with Watched(session) as watched:
        for _ in range(2):
            watched.update(1).learner.checkpoint()
        watched.set_replay("reward", np.nan)
        watched.update(100)
    steps = [fields["to_gradient_step"] for kind, fields in watched.events if kind == "fell_back"]
    assert steps[:3] == [2, 1, 0]
    assert len(steps) < 8, "it must wait longer each time"


def test_an_explosion_is_skipped_and_gradients_that_have_become_larger_for_good_are_not(session):
    with Watched(session) as watched:
        watched.learner._state = watched.learner._state._replace(
            updates=jnp.int32(NORM_WARMUP_UPDATES), usual_log_norm=jnp.log(jnp.float32(1e-6))
        )
        watched.update(1)
        assert int(watched.learner._state.skipped) == 1  # a million times the usual
        exploded = float(watched.learner._state.usual_log_norm)
        assert np.log(1e-6) < exploded < np.log(1e-6) + 0.1
        watched.learner._state = watched.learner._state._replace(usual_log_norm=jnp.float32(0.0))
        watched.update(1)
        assert int(watched.learner._state.skipped) == 1 and int(watched.learner._state.updates) == 101


def test_a_policy_that_is_not_finite_is_not_published(session):
    with Watched(session) as watched:
        watched.learner.checkpoint()
        parameters = jax.tree.map(lambda leaf: leaf * jnp.nan, watched.learner._state.parameters)
        watched.learner._state = watched.learner._state._replace(parameters=parameters)
        assert watched.learner.publish() is None and latest_snapshot(session.policy) is None
        assert watched.kinds == ["fell_back"] and "not finite" in watched.events[0][1]["reason"]
        assert watched.learner.publish() == 1


def test_steps_that_are_not_finite_are_refused_and_reported(session, write_steps):
    def poison(step):
        if step.sequence == 5:
            step.reward = np.nan
        elif step.sequence == 6:
            step.observation["x"][1] = np.inf
        elif step.sequence == 7:
            step.action_requested[0] = np.nan

    write_steps(session, 10, poison)
    with Watched(session) as watched:
        learner = watched.learner
        assert watched.events == [("steps_not_finite", {"refused": 3, "actor_life": 2, "sequence": 5})]
        assert learner.env_steps == 110 and len(learner.replay) == 107
        sequence = np.asarray(learner.replay.state.rows["sequence"])[100:107]
        assert sequence.tolist() == [0, 1, 2, 3, 4, 8, 9]
        # Nothing is learned from a transition over the gap.
        assert np.asarray(learner.replay.state.rows["is_first"])[100:107].tolist() == [1, 0, 0, 0, 0, 1, 0]


def test_steps_whose_joints_did_not_follow_are_not_learned_from(session, write_steps):
    def doubt(step):
        if 4 <= step.sequence < 7:
            step.safety_flags = SAFETY_FLAGS["not_following"] | SAFETY_FLAGS["rate_clipped"]

    write_steps(session, 10, doubt)
    with Watched(session) as watched:
        assert watched.events == [] and watched.learner.env_steps == 110 and len(watched.learner.replay) == 107
        rows = watched.learner.replay.state.rows
        assert np.asarray(rows["sequence"])[100:107].tolist() == [0, 1, 2, 3, 7, 8, 9]
        assert np.asarray(rows["is_first"])[100:107].tolist() == [1, 0, 0, 0, 1, 0, 0]


@contextlib.contextmanager
def full_disk():
    """No file can grow beyond a few bytes; what was there stays."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_costs_a_checkpoint_and_a_policy_and_nothing_else(session):
    with Watched(session) as watched:
        learner = watched.learner
        watched.update(1)
        assert learner.publish() == 1 and learner.checkpoint()
        learner.checkpoint()  # waits until it is on disk
        watched.update(1)
        with full_disk():
            for _ in range(2):
                assert learner.publish() is None
                learner.checkpoint()
                learner.checkpoint()  # what fails in the background is known at the next call
        assert watched.kinds == ["publish_failed", "checkpoint_failed"], watched.events
        assert "free some space" in watched.events[0][1]["error"]
        assert [path.name for path in checkpoint_paths(session.checkpoints)] == ["1"]
        watched.update(1)
        assert learner.publish() == 2 and learner.checkpoint()
        learner.checkpoint()  # now the one before is known to be on disk
        assert watched.kinds[2:] == ["publish_works_again", "checkpoint_works_again"]
    assert [path.name for path in checkpoint_paths(session.checkpoints)] == ["1", "3"]
    with Watched(session) as resumed:
        assert resumed.events == [("restored", {"gradient_step": 3, "env_steps": 100})]


def test_a_full_disk_costs_a_dream_and_nothing_else(session):
    with Watched(session) as watched:
        learner = watched.learner
        assert learner.dream() is None and not list_dreams(session.dreams)  # nothing has been learned
        watched.update(1)
        with full_disk():
            for _ in range(2):
                assert learner.dream() is not None
        assert watched.kinds == ["dream_failed"] and "free some space" in watched.events[0][1]["error"]
        assert learner.dream() is not None
        assert watched.kinds[1:] == ["dream_works_again"] and len(list_dreams(session.dreams)) == 1


def test_old_checkpoints_go_only_when_newer_ones_are_safe(session):
    with Watched(session) as watched:
        state = watched.learner._state
        for step in range(1, 6):
            watched.learner._state = state._replace(updates=jnp.int32(step))
            watched.learner.checkpoint()
            there = {int(path.name) for path in checkpoint_paths(session.checkpoints)}
            # The one being written does not count yet.
            assert there >= set(range(max(1, step - KEPT), step))
    assert [path.name for path in checkpoint_paths(session.checkpoints)] == ["3", "4", "5"]
