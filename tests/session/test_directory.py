"""Session directories: what is refused, what is recorded, and who may use one."""

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from daydreamer.config import SessionConfig, load_yaml, resolve
from daydreamer.errors import SpecMismatch, UserError
from daydreamer.session.directory import Session
from daydreamer.session.events import EventLog
from daydreamer.session.status import StatusWriter, read_status
from daydreamer.spec import RobotSpec, Space, spec_difference

SPEC = RobotSpec(
    robot="test_car",
    task="drive",
    control_rate_hz=10.0,
    episode_steps=100,
    joint_names=("wheel",),
    foot_names=(),
    observation={"vector": Space((4,))},
    action=Space((2,), low=-1.0, high=1.0),
    reward_terms=("distance",),
)


@pytest.fixture
def session(tmp_path):
    return Session.create(tmp_path / "session", SessionConfig(seed=7), SPEC)


def test_what_is_created_can_be_opened(tmp_path):
    config = resolve({"seed": 3, "learner": {"learning_rate": 1e-5, "discount": 0.997}, "twin": {"camera": True}})
    created = Session.create(tmp_path / "a" / "session", config, SPEC)
    opened = Session.open(tmp_path / "a" / "session")
    assert opened.record == created.record
    assert (opened.config, opened.spec) == (config, SPEC)
    for path in (opened.experience, opened.policy, opened.checkpoints, opened.metrics, opened.status, opened.report):
        assert path.is_dir()


def test_the_record_says_what_was_run(session):
    values = load_yaml(session.path / "session.yaml")
    assert values["seed"] == 7 and values["spec_hash"] == SPEC.hash and values["started"].endswith("+00:00")
    assert msgspec.convert(values["config"], SessionConfig) == SessionConfig(seed=7)
    assert {"python", "jax", "flax", "mujoco", "numpy"} <= values["versions"].keys()


def test_an_empty_directory_becomes_a_session(tmp_path):
    assert Session.create(tmp_path, SessionConfig(), SPEC).path == tmp_path


def test_a_file_is_refused(tmp_path):
    path = tmp_path / "file"
    path.write_text("x")
    with pytest.raises(UserError, match="is a file.*another directory"):
        Session.create(path, SessionConfig(), SPEC)


def test_a_directory_with_something_else_is_refused_and_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(UserError, match="not empty and not a session"):
        Session.create(tmp_path, SessionConfig(), SPEC)
    assert [entry.name for entry in tmp_path.iterdir()] == ["thesis.tex"]


def test_an_existing_session_is_refused_and_left_alone(session):
    before = (session.path / "session.yaml").read_bytes()
    with pytest.raises(UserError, match="daydreamer resume"):
        Session.create(session.path, SessionConfig(), SPEC)
    assert (session.path / "session.yaml").read_bytes() == before


@pytest.mark.parametrize("below", ["/proc/session", "/dev/null/session"])
def test_a_place_that_cannot_be_written_is_refused(below):
    with pytest.raises(UserError, match="cannot be written"):
        Session.create(below, SessionConfig(), SPEC)


@pytest.mark.parametrize(("name", "message"), [("", "not a session"), ("missing", "does not exist")])
def test_opening_what_is_no_session_is_refused(tmp_path, name, message):
    with pytest.raises(UserError, match=f"{message}.*daydreamer walk"):
        Session.open(tmp_path / name)


def test_of_a_mistyped_session_it_is_said_which_may_be_meant(session):
    with pytest.raises(UserError, match=f"did you mean {session.path}"):
        Session.open(session.path.with_name(f"{session.path.name}s"))
    with pytest.raises(UserError, match=f"newest session in {session.path.parent} is {session.path}"):
        Session.open(session.path.with_name("quite-another"))
    with pytest.raises(
        UserError, match=f"no session.yaml; the newest session in {session.path.parent} is {session.path}"
    ):
        Session.open(session.path.parent)


def test_of_another_robot_that_alone_is_said():
    other = msgspec.structs.replace(SPEC, robot="other", control_rate_hz=7.0)
    assert spec_difference(SPEC, other) == f"robot is '{SPEC.robot}' here and 'other' there"
    assert "control_rate_hz" in spec_difference(SPEC, msgspec.structs.replace(SPEC, control_rate_hz=7.0))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("  seed: 7", "  seed: lucky", r"config\.seed"),
        ("format_version: 2", "format_version: 99", "version 99"),
        ("config:", "config: [", "not valid YAML"),
    ],
)
def test_a_wrong_record_is_refused_and_the_key_named(session, old, new, message):
    path = session.path / "session.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(UserError, match=message):
        Session.open(session.path)


@pytest.mark.parametrize(
    ("old", "new", "name"),
    [
        ("    train_ratio:", "    train_ration: 3\n    train_ratio:", "learner.train_ration"),
        ("seed: 7\nspec_hash", "seed: 7\nseeds: 8\nspec_hash", "seeds"),
        ("  twin:\n", "  wings:\n    flap: true\n  twin:\n", "wings"),
    ],
)
def test_a_setting_of_another_version_is_named_and_keeps_nobody_from_looking(session, old, new, name):
    path = session.path / "session.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    opened = Session.open(session.path)
    assert opened.config == session.config and opened.unknown == (name,)
    assert any(name in problem for problem in read_status(opened)["problems"])
    with pytest.raises(UserError, match=f"{name}.*delete them from .*session.yaml"), opened.lock():
        pass


def test_another_robot_cannot_go_on_with_a_session(session):
    session.require_spec(SPEC)
    with pytest.raises(SpecMismatch, match="episode_steps is 50 here and 100 there"):
        session.require_spec(msgspec.structs.replace(SPEC, episode_steps=50))


HOLD_LOCK = """
import sys
from daydreamer.session.directory import Session
with Session.open(sys.argv[1]).lock(sys.argv[2]):
    print("locked", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(session):
    root = str(Path(__file__).parents[2])
    child = subprocess.Popen(
        [sys.executable, "-c", HOLD_LOCK, str(session.path), "actor"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": root},
    )
    assert child.stdout.readline() == b"locked\n"
    yield child
    child.kill()
    child.communicate()


def test_a_second_process_is_refused_and_told_who_holds_the_session(session, holder):
    with pytest.raises(UserError, match=f"in use by pid {holder.pid} "), session.lock("actor"):
        pass
    with session.lock("learner"), session.lock():
        pass


def test_a_killed_process_holds_nothing(session, holder):
    holder.kill()
    holder.wait()
    with session.lock("actor"):
        with pytest.raises(UserError, match=f"pid {os.getpid()} "), session.lock("actor"):
            pass
    with session.lock("actor"):
        pass


@pytest.mark.parametrize("content", [b"\xff\xfe\x00\x1b[6n" * 10, b"", b"-1", b"9" * 400])
def test_whatever_stands_in_a_lock_file_the_holder_is_refused_with_a_sentence(session, holder, content):
    (session.path / "locks" / "actor.lock").write_bytes(content)
    with pytest.raises(UserError, match="in use by pid ") as caught, session.lock("actor"):
        pass
    assert "\x1b" not in str(caught.value)


def test_a_lock_whose_file_was_deleted_is_still_held(session, holder):
    for _ in range(2):  # the first attempt makes another lock file
        (session.path / "locks" / "actor.lock").unlink(missing_ok=True)
        with pytest.raises(UserError, match="in use .*whose lock file has been deleted"), session.lock("actor"):
            pass
    holder.kill()
    holder.wait()
    with session.lock("actor"):
        pass


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("control_rate_hz: 10.0", "control_rate_hz: 0.0"),
        ("control_rate_hz: 10.0", "control_rate_hz: .nan"),
        ("episode_steps: 100", "episode_steps: -1"),
        ("    shape:\n      - 4", "    shape:\n      - 4000000000000"),
        ("    shape:\n      - 4", "    shape:\n      - -4"),
    ],
)
def test_a_robot_that_cannot_be_is_refused(session, old, new):
    path = session.path / "session.yaml"
    text = path.read_text()
    assert old in text, text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(UserError, match="session.yaml is wrong"):
        Session.open(session.path)


def test_a_session_of_another_user_is_told_with_the_cure(session):
    """As after sudo: by a real process of somebody else."""
    result = _as_nobody(f"Session.open({str(session.path)!r})", session.path)
    assert "cannot be read (Permission denied)" in result and "sudo chown -R $USER" in result


def test_parts_of_another_user_are_passed_over_and_named(session):
    for path in (session.path, *session.path.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    EventLog(session.events).record("start", "actor")
    StatusWriter(session, "actor").write({"state": "stopped"})
    session.experience.chmod(0o700)
    look = f"[print(problem) for problem in TelemetryReader(Session.open({str(session.path)!r})).read().problems]"
    result = _as_nobody(look, session.path)
    for name in ("experience", "events.jsonl", "actor.json"):
        assert any(name in line and "Permission denied" in line for line in result.splitlines()), result


def _as_nobody(statement, path):
    """What another user gets to see."""
    if os.geteuid():
        pytest.skip("only root can become somebody else")
    for parent in path.parents[: len(path.parents) - 1]:
        parent.chmod(parent.stat().st_mode | 0o011)
    script = (
        "import os, sys\n"
        "from daydreamer.errors import UserError\n"
        "from daydreamer.session.directory import Session\n"
        "from daydreamer.telemetry.session_telemetry import TelemetryReader\n"
        "os.setgroups([]), os.setgid(65534), os.setuid(65534)\n"
        f"try:\n    {statement}\n"
        "except UserError as error:\n    print(error)\n"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment)
    assert result.returncode == 0, result.stderr
    return result.stdout
