"""A session that learns from logs alone: what it takes of them, what it keeps aside, and what is refused."""

import contextlib

import jax
import msgspec
import numpy as np
import pytest
from typer.testing import CliRunner

from daydreamer.cli.begin import Chosen
from daydreamer.cli.main import app
from daydreamer.cli.offline import train_offline
from daydreamer.config import merge, resolve
from daydreamer.doctor import examine
from daydreamer.errors import SpecMismatch, UserError
from daydreamer.experience.tail import ExperienceTail
from daydreamer.learner.inherited import read_held_out_experience
from daydreamer.learner.learner import Learner
from daydreamer.learner.logs import read_logs
from daydreamer.replay import sample
from daydreamer.robots.registry import find_robot
from daydreamer.session.directory import Session
from daydreamer.session.events import read_events
from daydreamer.session.new import resumable_session
from daydreamer.session.status import read_status
from daydreamer.spec import RobotSpec, Space

SPEC = RobotSpec("toy", "toy", 20.0, 10, ("a", "b"), (), {"x": Space((3,))}, Space((2,), low=-1.0, high=1.0), ("r",))
WINDOW = 6
SETTINGS = merge(
    find_robot("a1").preset("walk", "tiny", "twin"),
    {"learner": {"replay_capacity": 8192, "dream_context_s": 0.1, "dream_horizon_s": 0.2}},
)


@pytest.fixture
def record(tmp_path, write_steps):
    """`record(name, count, change)`: a session of its own."""

    def make(name, count, change=lambda step: None):
        session = Session.create(tmp_path / name, resolve(SETTINGS), SPEC)
        write_steps(session, count, change)
        return session

    return make


def begin(path, *sessions, settings=SETTINGS, spec=SPEC):
    config = resolve(settings)
    logs = read_logs([session.path for session in sessions])
    logs.require_fit(spec, config)
    return Session.create(path, config, spec, endow=logs.endow, logs=logs.recorded(config))


def test_the_end_of_each_log_is_kept_aside_and_never_drawn(record, tmp_path):
    def elsewhere(step):
        step.observation["x"] += 9.0  # chance is the same in each session

    sessions = [record("long", 100), record("short", 20, elsewhere)]
    child = begin(tmp_path / "child", *sessions)
    assert [(each.steps, each.held_out_steps) for each in child.record.logs] == [(90, 10), (20 - WINDOW, WINDOW)]
    logs = [ExperienceTail(session.experience, SPEC).read() for session in sessions]
    cuts = [each.steps for each in child.record.logs]
    learned, held_out = (
        np.concatenate([[step.observation["x"] for step in log[part]] for log, part in zip(logs, parts, strict=True)])
        for parts in ([slice(cut) for cut in cuts], [slice(cut, None) for cut in cuts])
    )
    rows = read_held_out_experience(child, pytest.fail)
    np.testing.assert_array_equal(rows["observation/x"], held_out)
    assert rows["is_first"][[0, 10]].all()
    with contextlib.closing(Learner(child)) as learner:
        assert learner.inherited_share == 1.0 and learner.env_steps == learner.updates == 0
        state = learner.replay.state
        np.testing.assert_array_equal(state.inherited.rows["observation/x"], learned)
        assert state.inherited.rows["is_first"][90], "nothing leads from one log into the next"
        batch = sample(state, SPEC, 64, 8, jax.random.key(0), recent_share=0.5)
    drawn = {tuple(each) for each in np.asarray(batch.observation["x"]).reshape(-1, 3)}
    assert drawn <= set(map(tuple, learned)) and not drawn & set(map(tuple, held_out))
    assert len(drawn) > 90, "the whole of them"


def test_record_status_doctor_and_events_say_what_it_learns_from(record, tmp_path):
    session = record("log", 100)
    child = Session.open(begin(tmp_path / "child", session).path)
    (log,) = child.record.logs
    assert (log.path, log.digest, log.robot, log.steps) == (str(session.path), session.digest, "a1", 90)
    assert "90 steps that were recorded" in log.sentence and "10 more are held out" in log.sentence
    assert read_status(child)["logs"] == [msgspec.to_builtins(log)]
    (event,) = read_events(child.events)
    assert (event["kind"], event["taken_steps"], event["held_out_steps"]) == ("logs", 90, 10)
    texts = [finding.text for finding in examine(child) if finding.part == "inherited"]
    assert texts == [
        f"It learns offline from {log.sentence}.",
        "90 steps of others' experience; checksums fit.",
        "10 steps that are held out; checksums fit.",
    ]
    with pytest.raises(UserError, match="has no robot to go on with.*learn a1 walk --from"):
        resumable_session(child.path)


def test_what_cannot_be_learned_from_is_refused_by_name_and_nothing_is_made(record, tmp_path):
    session, few = record("log", 100), record("few", 8)
    path = tmp_path / "child"
    with pytest.raises(SpecMismatch, match=r"logs in .*log are of robot.*observation 'x' is float32\[4\] here"):
        begin(path, session, spec=msgspec.structs.replace(SPEC, observation={"x": Space((4,))}))
    with pytest.raises(
        UserError, match="In .*few there are 8 steps .* fewer than 14: a sequence of 8, and 6 .*for 0 s"
    ):
        begin(path, session, few)
    with pytest.raises(UserError, match="90 steps that are not held out, fewer than a batch of 96. Record 0 s more"):
        begin(path, session, settings=merge(SETTINGS, {"learner": {"batch_size": 12}}))
    with pytest.raises(UserError, match="have 90 steps, and the replay holds 4; raise learner.replay_capacity"):
        begin(path, session, settings=merge(SETTINGS, {"learner": {"replay_capacity": 4100}}))
    with pytest.raises(UserError, match="leave out learner.inherited_share"):
        begin(path, session, settings=merge(SETTINGS, {"learner": {"inherited_share": 0.5}}))
    with pytest.raises(UserError, match="logs in .*log are named twice"):
        begin(path, session, session)
    with pytest.raises(UserError, match="nowhere does not exist"):
        read_logs([tmp_path / "nowhere"])
    with pytest.raises(
        UserError, match="no stretch of 0.8 s without a gap or the start of an episode.*dream_horizon_s"
    ):
        begin(path, session, settings=merge(SETTINGS, {"learner": {"dream_horizon_s": 0.7}}))
    assert not list(path.iterdir())
    path.rmdir()
    log = next(session.experience.iterdir())
    content = bytearray(log.read_bytes())
    content[len(content) // 2] ^= 1
    log.write_bytes(content)
    with pytest.raises(UserError, match="logs in .*log are damaged: .*daydreamer doctor"):
        begin(path, session)
    assert not path.exists()


@pytest.mark.parametrize(
    ("field", "complaint"),
    [
        ("action_requested", "the action is always the same.*random actions"),
        ("observation", "the robot never moved.*in which it moves"),
        ("reward", "each step earned the same.*Name another"),
    ],
)
def test_logs_of_one_behaviour_are_refused_unless_there_is_another(record, tmp_path, field, complaint):
    constant = {"action_requested": np.full(2, 0.5, np.float32), "observation": {"x": np.ones(3, np.float32)}}
    same = record("same", 60, lambda step: setattr(step, field, constant.get(field, 2.0)))
    with pytest.raises(UserError, match=complaint):
        begin(tmp_path / "child", same)
    begin(tmp_path / "child", same, record("other", 60))


def test_options_that_mean_nothing_together_are_refused(tmp_path):
    def refusal(*arguments):
        result = CliRunner().invoke(app, ["train", "a1", "walk", "--out", str(tmp_path / "x"), *arguments])
        assert isinstance(result.exception, UserError), result.output
        return str(result.exception)

    log = ("--from-logs", str(tmp_path / "log"))
    assert "Say with --steps" in refusal()
    assert "name them with --from-logs" in refusal("--steps", "9", "--gradient-steps", "9")
    assert "leave out --steps, --train-ratio and --teacher-after" in refusal(*log, "--teacher-after", "9")
    assert "leave out --from and" in refusal(*log, "--from", "y")
    assert "with --from-logs as well" in refusal(*log, "--demonstrations", "y")
    assert "choose --gradient-steps above 0" in refusal(*log, "--gradient-steps", "0")
    assert "log does not exist" in refusal(*log)
    assert not list(tmp_path.iterdir())


def test_a_session_that_recorded_nothing_says_how_much_is_needed(record_session, tmp_path):
    empty = record_session("empty")
    with pytest.raises(
        UserError, match="empty there are 0 steps .* fewer than 102: a sequence of 32, and 70 .*for 5 s"
    ):
        train_offline(Chosen("a1", None, 0), logs=[empty.session.path], gradient_steps=None, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
