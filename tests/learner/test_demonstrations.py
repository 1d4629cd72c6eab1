"""A session that learns from what others have shown: what it takes of them, how much, and what is refused."""

import contextlib

import msgspec
import numpy as np
import pytest

from daydreamer.cli.begin import Beginning, FromOthers
from daydreamer.config import merge, resolve
from daydreamer.doctor import examine
from daydreamer.errors import SpecMismatch, UserError
from daydreamer.experience.tail import ExperienceTail
from daydreamer.learner import inherited
from daydreamer.learner.demonstrations import read_demonstrations
from daydreamer.learner.learner import Learner
from daydreamer.robots.registry import find_robot
from daydreamer.session.directory import Session
from daydreamer.session.events import read_events
from daydreamer.session.new import configure
from daydreamer.session.status import read_status
from daydreamer.spec import RobotSpec, Space

SPEC = RobotSpec("toy", "toy", 20.0, 10, ("a", "b"), (), {"x": Space((3,))}, Space((2,), low=-1.0, high=1.0), ("r",))
SETTINGS = merge(
    find_robot("a1").preset("walk", "tiny", "twin"),
    {"learner": {"replay_capacity": 8192, "demonstration_share": 0.5, "batch_size": 4, "batch_length": 8}},
)


def shown_from(sequence):
    def change(step):
        step.intervention, step.reward = step.sequence >= sequence, 2.0

    return change


@pytest.fixture
def record(tmp_path, write_steps):
    """`record(name, count, first)`: a session in whose steps from `first` on an operator chose."""

    def make(name, count=60, first=20):
        session = Session.create(tmp_path / name, resolve(SETTINGS), SPEC)
        write_steps(session, count, shown_from(first))
        return session

    return make


def begin(path, *sessions, settings=SETTINGS, spec=SPEC):
    config = resolve(settings)
    shown = read_demonstrations([session.path for session in sessions])
    shown.require_fit(spec, config)
    return Session.create(path, config, spec, endow=shown.endow, demonstrations=shown.demonstrated)


def test_what_was_shown_is_a_constant_share_of_each_batch(record, tmp_path, write_steps):
    sessions = [record("one"), record("other", 40, 0)]
    child = begin(tmp_path / "child", *sessions)
    assert [event["taken_steps"] for event in read_events(child.events)] == [40, 40]
    events = []
    with contextlib.closing(Learner(child, lambda kind, **fields: events.append(kind))) as learner:
        assert learner.updates == learner.env_steps == 0 and not events, "no model was taken over, and none is missed"
        logs = [ExperienceTail(session.experience, SPEC).read() for session in sessions]
        expected = [step.observation["x"] for log in logs for step in log if step.intervention]
        rows = {name: np.asarray(values) for name, values in learner.replay.state.inherited.rows.items()}
        np.testing.assert_array_equal(rows["observation/x"], expected)
        assert rows["is_first"][[0, 40]].all() and not rows["by_policy"].any() and rows["shown"].all()
        for _ in range(2):
            write_steps(child, 300)
            learner.ingest()
            assert learner.inherited_share == float(learner.replay.state.inherited.share) == 0.5


def test_steps_that_were_copied_before_anybody_kept_who_had_shown_them_are_read(record, tmp_path):
    child = begin(tmp_path / "child", record("one"))
    (block,) = child.inherited.iterdir()
    rows = inherited._read_block(block, SPEC, 40)
    inherited._write_block(block, {name: values for name, values in rows.items() if name != "shown"}, SPEC)
    events = []
    again = inherited.read_inherited_experience(child, lambda kind, **fields: events.append(kind))
    assert again is not None and not events and not again["shown"].any()
    assert {name: values.tolist() for name, values in again.items() if name != "shown"} == {
        name: values.tolist() for name, values in rows.items() if name != "shown"
    }


def test_record_status_and_doctor_say_what_was_shown(record, tmp_path):
    session = record("one")
    child = Session.open(begin(tmp_path / "child", session).path)
    (shown,) = child.record.demonstrations
    assert (shown.path, shown.digest, shown.steps, shown.reward) == (str(session.path), session.digest, 40, 2.0)
    assert read_status(child)["demonstrations"] == [msgspec.to_builtins(shown)]
    texts = [finding.text for finding in examine(child) if finding.part == "inherited"]
    assert texts == [f"It learns also from {shown.sentence}.", "40 steps of others' experience; checksums fit."]


def test_what_cannot_be_learned_from_is_refused_by_name_and_nothing_is_made(record, tmp_path):
    session, few = record("one"), record("few", 60, 55)
    path = tmp_path / "child"
    with pytest.raises(SpecMismatch, match=r"in .*one are of robot.*observation 'x' is float32\[4\] here"):
        begin(path, session, spec=msgspec.structs.replace(SPEC, observation={"x": Space((4,))}))
    with pytest.raises(UserError, match="In .*few 5 steps were shown, fewer than a sequence of 8.*Show more"):
        begin(path, session, few)
    with pytest.raises(UserError, match="40 steps were shown, fewer than a batch of 48"):
        begin(path, session, settings=merge(SETTINGS, {"learner": {"batch_size": 6}}))
    with pytest.raises(UserError, match="one are named twice"):
        begin(path, session, session)
    with pytest.raises(UserError, match="not replayed side by side"):
        begin(path, session, settings=merge(SETTINGS, {"learner": {"inherited_share": 0.5}}))
    with pytest.raises(UserError, match="A replay of 4096 steps has no room for demonstrations; raise learner.replay"):
        begin(path, session, settings=merge(SETTINGS, {"learner": {"replay_capacity": 4096}}))
    assert list(path.iterdir()) == []
    path.rmdir()
    log = next(session.experience.iterdir())
    content = bytearray(log.read_bytes())
    content[len(content) // 2] ^= 1
    log.write_bytes(content)
    with pytest.raises(UserError, match="demonstrations in .*one are damaged: .*daydreamer doctor"):
        begin(path, session)
    assert not path.exists()


def test_who_is_shown_acts_at_random_for_a_tenth_of_the_time_unless_told_otherwise():
    def times_s(overrides=(), is_shown=True, task="pick_place"):
        overrides = [*overrides, f"learner.demonstration_share={0.5 * is_shown}"]
        config = configure(robot="so101", task=task, minutes=1.0, seed=0, is_shown=is_shown, overrides=overrides)
        return config.actor.random_s, config.learner.minimum_s

    alone = times_s(is_shown=False)
    assert times_s() == (alone[0] / 10, min(alone[1], alone[0] / 10))
    assert times_s(["actor.random_s=30", "learner.minimum_s=7"]) == (30.0, 7.0)
    assert times_s(task="pick_place_fine")[1] == 10.0  # at least, of its own


def test_a_share_of_no_demonstrations_is_refused():
    with pytest.raises(UserError, match="A share of 0.3 of which demonstrations.*--demonstrations"):
        Beginning(FromOthers(demonstration_share=0.3))
    with pytest.raises(UserError, match="learner.demonstration_share.*--demonstrations"):
        configure(robot="a1", minutes=1.0, seed=0, overrides=["learner.demonstration_share=0.5"])
