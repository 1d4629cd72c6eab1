"""A session that begins with another one: what it takes over, what it counts anew, and what is refused."""

import contextlib
import shutil

import jax
import msgspec
import numpy as np
import pytest

from daydreamer.cli.begin import Beginning, FromOthers
from daydreamer.config import merge, resolve
from daydreamer.errors import SpecMismatch, UserError
from daydreamer.experience.tail import ExperienceTail
from daydreamer.learner.checkpoint import INHERITED_STEP, KEPT, Checkpointer, read_checkpoint
from daydreamer.learner.inheritance import read_inheritance
from daydreamer.learner.inherited import read_inherited_experience
from daydreamer.learner.learner import Learner
from daydreamer.policy.policy import Policy
from daydreamer.policy.snapshot import latest_snapshot
from daydreamer.robots.quadruped.presentation import WALK
from daydreamer.robots.registry import find_robot
from daydreamer.session.directory import Session
from daydreamer.session.events import EventLog, read_events
from daydreamer.session.new import configure
from daydreamer.session.parentage import CARRIED_EXPERIENCE, EARLIEST_LEARNING_S, LEAST_CAPACITY
from daydreamer.session.seal import Progress, checkpoint_paths
from daydreamer.session.status import read_status
from daydreamer.spec import RobotSpec, Space

SPEC = RobotSpec("toy", "toy", 20.0, 10, ("a", "b"), (), {"x": Space((3,))}, Space((2,), low=-1.0, high=1.0), ("r",))
PATIENCE = 3
# As in test_survival.py, so that both compile the same program.
SETTINGS = merge(
    find_robot("a1").preset("walk", "tiny", "twin"),
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
WITH_EXPERIENCE = merge(
    SETTINGS,
    {
        "learner": {
            "replay_capacity": 8192,
            "inherited_share": 0.5,
            "inherited_fade_s": 10.0,
            "minimum_s": 1.0,
        }
    },
)


@pytest.fixture(scope="module")
def taught(tmp_path_factory, write_steps):
    """A session that has learned a little; nobody changes it. With the state that it came to."""
    session = Session.create(tmp_path_factory.mktemp("taught") / "session", resolve(SETTINGS), SPEC, WALK)
    write_steps(session, 100)
    with contextlib.closing(Learner(session)) as learner:
        for _ in range(4):
            learner.update()
        learner.publish()
        learner.checkpoint()
        state = jax.tree.map(np.array, learner._state)
    return session, state


@pytest.fixture
def parent(taught, tmp_path):
    """A copy of it, to be damaged."""
    session, _ = taught
    shutil.copytree(session.path, tmp_path / "parent")
    return Session.open(tmp_path / "parent")


def begin(path, parent, settings=SETTINGS, spec=SPEC):
    inheritance = read_inheritance(parent.path)
    inheritance.parent.require_same_robot(spec)
    inheritance.parent.require_same_networks(resolve(settings))
    return Session.create(path, resolve(settings), spec, parent=inheritance.parent.parentage, endow=inheritance.endow)


def state_of(learner):
    return jax.tree.map(np.array, learner._state)


def assert_equal(left, right):
    jax.tree.map(np.testing.assert_array_equal, left, right)


def test_all_that_was_learned_is_taken_over_and_what_counts_a_session_begins_anew(taught, parent, tmp_path):
    _, state = taught
    child = begin(tmp_path / "child", parent, merge(SETTINGS, {"seed": 3}))
    shutil.rmtree(parent.path)
    with contextlib.closing(Learner(child)) as learner:
        begun = state_of(learner)
        for name in ("parameters", "slow_critic", "optimizer", "behavior"):
            assert_equal(getattr(begun, name), getattr(state, name))
        assert learner.updates == learner.env_steps == int(begun.updates) == 0 and begun.usual_log_norm == 0.0
        assert not np.array_equal(begun.key, state.key)
        assert learner.policy_version == 1
    policies = [Policy.load(latest_snapshot(session.policy), SPEC) for session in (taught[0], child)]
    observation = {"x": np.ones(3, np.float32)}
    actions = [policy(observation, policy.initial_state(), True)[0] for policy in policies]
    np.testing.assert_array_equal(*actions)


def test_the_record_the_status_and_the_events_say_where_it_comes_from(taught, tmp_path):
    session, _ = taught
    child = begin(tmp_path / "child", session)
    parentage = Session.open(child.path).record.parent
    assert (parentage.path, parentage.digest) == (str(session.path), session.digest)
    assert (parentage.gradient_step, parentage.env_steps, parentage.lived_s) == (4, 100, 5.0)
    assert read_status(child)["parent"] == msgspec.to_builtins(parentage)
    (event,) = read_events(child.events)
    assert event["kind"] == "inherited" and event["path"] == str(session.path) and event["experience_steps"] == 0
    grandchild = begin(tmp_path / "grandchild", child)  # before it has learned anything
    assert grandchild.record.parent.lived_s == 5.0 and grandchild.record.parent.gradient_step == 0


def test_it_goes_on_from_what_it_began_with_and_keeps_that(taught, tmp_path, write_steps):
    session, state = taught
    child = begin(tmp_path / "child", session)
    write_steps(child, 100)
    with contextlib.closing(Learner(child)) as learner:
        for _ in range(KEPT + 2):
            learner.update()
            learner.checkpoint()
    steps = [int(path.name) for path in checkpoint_paths(child.checkpoints)]
    assert steps == [INHERITED_STEP, *range(3, 3 + KEPT)]
    with contextlib.closing(Learner(Session.open(child.path))) as learner:
        assert learner.updates == KEPT + 2
    for step in steps[1:]:
        shutil.rmtree(child.checkpoints / str(step))
    with contextlib.closing(Learner(child)) as learner:
        assert_equal(state_of(learner).parameters, state.parameters)
    shutil.rmtree(child.checkpoints)
    events = []
    with contextlib.closing(Learner(child, lambda kind, **fields: events.append(kind))) as learner:
        assert events == ["inheritance_missing"] and learner.updates == 0


def test_before_the_first_checkpoint_it_falls_back_to_what_it_began_with(taught, tmp_path, write_steps):
    session, state = taught
    child = begin(tmp_path / "child", session)
    write_steps(child, 100)
    with contextlib.closing(Learner(child)) as learner:
        rows = learner.replay.state.rows
        poisoned = rows | {"observation/x": jax.numpy.full_like(rows["observation/x"], np.inf)}
        learner.replay.state = learner.replay.state._replace(rows=poisoned)
        for _ in range(PATIENCE):
            learner.update()
        assert_equal(state_of(learner).parameters, state.parameters)


def test_experience_is_a_share_of_each_batch_that_fades(taught, tmp_path, write_steps):
    session, _ = taught
    child = begin(tmp_path / "child", session, WITH_EXPERIENCE)
    (event,) = read_events(child.events)
    assert event["experience_steps"] == 100
    write_steps(child, 50)
    with contextlib.closing(Learner(child)) as learner:
        inherited = learner.replay.state.inherited
        original = ExperienceTail(session.experience, SPEC).read()
        np.testing.assert_array_equal(inherited.rows["observation/x"], [step.observation["x"] for step in original])
        np.testing.assert_array_equal(inherited.rows["is_first"], [step.is_first for step in original])
        assert learner.replay.capacity == 8192 - 100 and len(learner.replay) == 50
        # 2.5 of 10 s are over.
        assert learner.inherited_share == float(inherited.share) == 0.5 * 0.75
        learner.update()
        metrics = learner.metric_values()
        assert metrics["learner/inherited_share"] == 0.375 and np.isfinite(list(metrics.values())).all()
        assert learner.updates_allowed(50) == int(50 * learner.config.train_ratio / 32) - 1, "of its own steps alone"
        write_steps(child, 150)
        learner.ingest()
        assert learner.inherited_share == float(learner.replay.state.inherited.share) == 0.0
        learner.update()
        learner.checkpoint()
        trained = state_of(learner)
    with contextlib.closing(Learner(child)) as learner:  # goes on as it was
        assert_equal(state_of(learner), trained)

    # Who begins with it has what it has experienced itself last, and before that what it had of others.
    rows = read_inherited_experience(begin(tmp_path / "grandchild", child, WITH_EXPERIENCE), print)
    both = [*original, *ExperienceTail(child.experience, SPEC).read()]
    np.testing.assert_array_equal(rows["observation/x"], [step.observation["x"] for step in both])
    assert rows["is_first"][0] and rows["is_first"][len(original)]


def test_who_falls_back_again_and_again_keeps_what_the_session_began_with(taught, tmp_path):
    child = begin(tmp_path / "child", taught[0])
    with contextlib.closing(Learner(child)) as learner:
        begun = state_of(learner)
        for _ in range(3):
            learner._fall_back("tried")
            assert_equal(state_of(learner).parameters, begun.parameters)
    assert [path.name for path in child.checkpoints.iterdir()] == ["0"]


def test_damaged_experience_is_named_and_left_out(taught, tmp_path):
    child = begin(tmp_path / "child", taught[0], WITH_EXPERIENCE)
    (block,) = child.inherited.iterdir()
    content = bytearray(block.read_bytes())
    content[-1] ^= 1
    block.write_bytes(content)
    events = []
    assert read_inherited_experience(child, lambda kind, **fields: events.append((kind, fields))) is None
    kinds = [kind for kind, _ in events]
    assert kinds == ["inherited_experience_damaged", "inherited_experience_missing"]
    assert "checksum" in events[0][1]["error"]
    with contextlib.closing(Learner(child)) as learner:
        assert learner.replay.state.inherited is None


def damage(path):
    metadata = path / "progress" / "metadata"
    metadata.write_bytes(metadata.read_bytes().replace(b"100", b"101"))


def test_a_damaged_checkpoint_is_passed_over_for_the_one_before_it(taught, parent, tmp_path):
    _, state = taught
    with contextlib.closing(Checkpointer(parent.checkpoints)) as checkpointer:
        progress = Progress(spec_hash=SPEC.hash, env_steps=100, cursors={}, policy_version=1)
        checkpointer.save(state._replace(updates=np.int32(7)), progress)
    damage(parent.checkpoints / "7")
    assert read_inheritance(parent.path).parent.parentage.gradient_step == 4
    damage(parent.checkpoints / "4")
    with pytest.raises(UserError, match="no checkpoint that is whole.*7: .*checksum.*4: .*checksum"):
        read_inheritance(parent.path)
    shutil.rmtree(parent.checkpoints)
    with pytest.raises(UserError, match="has no checkpoint: there is nothing yet.*daydreamer resume"):
        read_inheritance(parent.path)


def test_numbers_that_are_none_are_not_begun_with(taught, parent):
    _, state = taught
    shutil.rmtree(parent.checkpoints / "4")
    broken = state._replace(slow_critic=jax.tree.map(lambda leaf: leaf * np.float32(np.nan), state.slow_critic))
    with contextlib.closing(Checkpointer(parent.checkpoints)) as checkpointer:
        progress = Progress(spec_hash=SPEC.hash, env_steps=100, cursors={}, policy_version=1)
        checkpointer.save(broken, progress)
    with pytest.raises(UserError, match="not finite"):
        read_inheritance(parent.path)


def test_what_does_not_fit_is_refused_by_name_and_nothing_is_left(taught, tmp_path):
    session, _ = taught
    other = msgspec.structs.replace(SPEC, observation={"x": Space((4,))}, action=Space((2,), low=-2.0, high=2.0))
    with pytest.raises(SpecMismatch, match=r"observation 'x' is float32\[4\] here .*action is .*\[-2.0, 2.0\] here"):
        begin(tmp_path / "child", session, spec=other)
    with pytest.raises(UserError, match=r"model.units is 16 here and 32 there.*Leave these settings out"):
        begin(tmp_path / "child", session, merge(SETTINGS, {"model": {"units": 16, "acting_noise": 0.5}}))
    assert not (tmp_path / "child").exists()
    long = {"learner": {"inherited_share": 0.5, "replay_capacity": 8192, "batch_length": 200}}
    with pytest.raises(UserError, match="100 steps of experience.*fewer than a sequence of 200"):
        begin(tmp_path / "child", session, merge(SETTINGS, long))
    assert list((tmp_path / "child").iterdir()) == []
    begin(tmp_path / "child", session)  # which can be tried again


def test_the_settings_are_those_of_learned_networks_unless_the_operator_says_otherwise(taught):
    parent = read_inheritance(taught[0].path).parent
    young = configure(robot="a1", minutes=1.0, seed=0)
    config = configure(robot="a1", minutes=1.0, seed=0, parent=parent)
    assert config.model == msgspec.structs.replace(parent.config.model, acting_noise=0.3) != young.model
    assert config.learner.minimum_s == EARLIEST_LEARNING_S < young.learner.minimum_s
    assert config.learner.inherited_share == CARRIED_EXPERIENCE > young.learner.inherited_share == 0.0
    assert config.actor.random_s == young.actor.random_s - 5.0
    assert config.actor.rhythm_s == young.actor.rhythm_s and config.actor.rhythm_until_reward is None
    kept = msgspec.structs.replace(config, model=young.model, learner=young.learner, actor=young.actor)
    assert kept == young
    said = ["actor.random_s=7", "model.acting_noise=0.5"]
    config = configure(robot="a1", minutes=1.0, seed=0, overrides=said, parent=parent)
    assert config.actor.random_s == 7.0 and config.model.acting_noise == 0.5
    with pytest.raises(UserError, match="model.deterministic is 64 here and 32 there"):
        configure(robot="a1", minutes=1.0, seed=0, overrides=["model.deterministic=64"], parent=parent)


@pytest.mark.parametrize(
    ("overrides", "is_shown"),
    [
        (["learner.inherited_share=0"], False),
        (["learner.demonstration_share=0.5"], True),
        (["learner.batch_length=101"], False),
        ([f"learner.replay_capacity={LEAST_CAPACITY - 1}"], False),
    ],
)
def test_experience_is_taken_along_unless_there_is_none_no_room_or_something_else(taught, overrides, is_shown):
    parent = read_inheritance(taught[0].path).parent
    config = configure(robot="a1", minutes=1.0, seed=0, overrides=overrides, parent=parent, is_shown=is_shown)
    assert config.learner.inherited_share == 0.0


def test_what_the_policy_earned_there_is_what_it_is_measured_by_here(taught, parent, write_steps):
    """By the median of its own steps: of what it had for a while, not of one fall or of random actions."""
    assert read_inheritance(parent.path).parent.parentage.reward is None, "nothing was chosen by a policy"

    def chosen(step):
        step.policy_version = int(step.sequence >= 50)
        step.reward = -5.0 if step.sequence < 60 else 12.5

    write_steps(parent, 100, chosen)
    learned = read_inheritance(parent.path).parent
    assert learned.parentage.reward == 12.5
    # It never did what the task is for, and rhythms are what it would learn that from.
    assert configure(robot="a1", minutes=1.0, seed=0, parent=learned).actor.rhythm_until_reward is None

    EventLog(parent.events).record("milestone", "actor", name=WALK.goal.name, robot_seconds=4.0)
    learned = read_inheritance(parent.path).parent
    assert configure(robot="a1", minutes=1.0, seed=0, parent=learned).actor.rhythm_until_reward == 11.0


def test_experience_of_no_session_is_refused():
    with pytest.raises(UserError, match="A share of 0.5 of whose experience.*--from"):
        Beginning(FromOthers(experience_share=0.5))
    with pytest.raises(UserError, match="learner.inherited_share.*--from"):
        configure(robot="a1", minutes=1.0, seed=0, overrides=["learner.inherited_share=0.5"])


def test_what_a_child_began_with_is_what_its_own_checkpoint_says(taught, tmp_path):
    """So that `doctor` finds it sound, and whoever looks at it knows the robot."""
    child = begin(tmp_path / "child", taught[0])
    state, progress = read_checkpoint(child.checkpoints / "0", taught[1], SPEC.hash)
    assert progress.env_steps == 0 and progress.policy_version == 1
    assert_equal(state.parameters, taught[1].parameters)
