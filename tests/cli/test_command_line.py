"""The `daydreamer` command as its users meet it: in a process of its own."""

import json
import os
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from daydreamer.cli.main import app
from daydreamer.errors import UserError
from daydreamer.session.directory import Session
from daydreamer.session.progress import minutes_to_go


def daydreamer(*arguments, directory):
    return subprocess.run(
        [sys.executable, "-m", "daydreamer.cli.main", *map(str, arguments)],
        cwd=directory,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        timeout=200,
    )


def assert_refused(result, *words):
    """One sentence on stderr with the cause and the cure, no traceback, and an exit status that says so."""
    assert result.returncode == 2
    assert result.stderr.startswith("daydreamer: ") and len(result.stderr.splitlines()) == 1
    for word in words:
        assert word in result.stderr


@pytest.fixture
def session(tmp_path):
    from daydreamer.session.new import configure, new_session

    return new_session(tmp_path / "session", configure(robot="a1", minutes=1.0, seed=0))


@pytest.mark.parametrize(
    "arguments, words",
    [
        (("--robot", "cat"), ("no robot 'cat'", "twin, a1")),
        (("--preset", "huge"), ("no preset 'huge'", "default")),
        (("--set", "learner.batchsize=3"), ("batchsize", "did you mean learner.batch_size?")),
        (("--set", "learner.batch_size"), ("not an assignment", "section.key=value")),
        (("--set", "learner.batch_size=many"), ("learner.batch_size",)),
        (("--minutes", "0"), ("would do nothing", "--minutes")),
    ],
)
def test_mistakes_are_named_before_anything_is_written(tmp_path, arguments, words):
    assert_refused(daydreamer("walk", *arguments, directory=tmp_path), *words)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "walk", "follow", "--steps", "9"], "takes no task; write 'train a1 follow'"),
        (["train", "so101", "pick_place", "--robot", "go2", "--steps", "9"], "--robot go2 is of 'train walk'"),
        (["train", "a1", "--set", "learner=3", "--set", "learner.batch_size=8", "--steps", "9"], "set as a whole"),
        (["train", "a1", "--set", "body=hardware", "--steps", "9"], "'body' cannot be set"),
        (["fit", "session", "--out", "missing/twin.yaml"], "cannot be written"),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path, monkeypatch, session, arguments, words):
    monkeypatch.chdir(tmp_path)
    out = ["--out", "trained"] if arguments[0] == "train" else []
    result = CliRunner().invoke(app, [*arguments, *out])
    assert isinstance(result.exception, UserError) and words in str(result.exception)
    assert not (tmp_path / "trained").exists()


@pytest.mark.parametrize(
    "arguments", [["rank", "session", "--seed", "-1"], ["fit", "session", "--seed", "-1"], ["watch", "--port", "99999"]]
)
def test_a_number_out_of_range_is_a_mistake_of_usage(arguments):
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2 and "Invalid value" in result.output


def test_names_are_whole_in_a_narrow_terminal():
    narrow = {"COLUMNS": "80"}
    listed = CliRunner().invoke(app, ["robots"], env=narrow).output
    assert "reach_from_above" in listed and "ros2_control" in listed and "…" not in listed
    helped = CliRunner().invoke(app, ["learn", "--help"], env=narrow).output
    assert "--demonstration-share SHARE" in helped and "learner.inherited_fade_s" in helped and "…" not in helped
    commands = CliRunner().invoke(app, ["--help"], env=narrow).output
    assert "payload," in commands and "..." not in commands.partition("Commands:")[2]


def test_a_directory_with_other_things_in_it_is_left_alone(tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("1")
    assert_refused(daydreamer("walk", "--session", "thesis", directory=tmp_path), "not empty", "another directory")
    assert [path.name for path in (tmp_path / "thesis").iterdir()] == ["chapter.txt"]


def test_an_existing_session_is_not_overwritten(session, tmp_path):
    record = (session.path / "session.yaml").read_bytes()
    assert_refused(daydreamer("walk", "--session", session.path, directory=tmp_path), "daydreamer resume")
    assert (session.path / "session.yaml").read_bytes() == record


def test_a_session_in_use_is_refused(session, tmp_path):
    pytest.importorskip("rclpy")
    with session.lock():
        assert_refused(daydreamer("resume", session.path, directory=tmp_path), "already in use", str(os.getpid()))


def test_what_is_left_of_a_session_is_gone_on_with_and_no_more_unless_it_is_asked_for(record_session, tmp_path):
    recorder = record_session(minutes=1.0)
    recorder.log(30.0)
    assert minutes_to_go(recorder.session, None) == 1.0
    assert minutes_to_go(recorder.session, 0.2) == pytest.approx(0.7)
    recorder.log(30.0)
    assert_refused(daydreamer("resume", recorder.session.path, directory=tmp_path), "is complete with 1.0", "--minutes")


@pytest.mark.parametrize("command", ["resume", "status", "report"])
def test_what_is_not_a_session_is_refused(command, tmp_path):
    assert_refused(daydreamer(command, "nowhere", directory=tmp_path), "does not exist", "daydreamer walk --session")
    assert_refused(daydreamer(command, tmp_path, directory=tmp_path), "no session.yaml")


def test_a_domain_that_is_none_is_refused(tmp_path, monkeypatch):
    pytest.importorskip("rclpy")
    monkeypatch.setenv("ROS_DOMAIN_ID", "home")
    assert_refused(daydreamer("walk", directory=tmp_path), "ROS_DOMAIN_ID is 'home'", "0 to 101")
    assert list(tmp_path.iterdir()) == []


def test_the_status_is_there_for_programs_and_for_people(session, tmp_path):
    result = daydreamer("status", session.path, "--json", directory=tmp_path)
    assert result.returncode == 0
    status = json.loads(result.stdout)
    assert status["state"] == "stopped" and status["reward_recent"] is None
    assert "robot minutes" in daydreamer("status", session.path, directory=tmp_path).stdout


def test_the_whole_configuration_is_written_down(tmp_path):
    from daydreamer.session.new import configure, new_session

    config = configure(robot="a1", minutes=5.0, seed=3, preset="tiny", overrides=["twin.state_rate_hz=50"])
    new_session(tmp_path / "session", config)
    saved = Session.open(tmp_path / "session").config
    assert saved == config
    assert (saved.minutes, saved.seed, saved.twin.state_rate_hz, saved.learner.batch_size) == (5.0, 3, 50.0, 4)


@pytest.mark.parametrize(
    "wanted", ["import daydreamer.cli.main", "from daydreamer.robots import registry; registry.robots()"]
)
def test_neither_help_nor_a_robot_waits_for_what_only_learners_and_twins_need(wanted, tmp_path):
    """JAX alone takes a second, which every command, twin and dashboard would wait for."""
    code = f"import sys; {wanted}; print(sorted({{'jax', 'mujoco', 'rclpy', 'scipy'}} & set(sys.modules)))"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, cwd=tmp_path)
    assert result.stdout.strip() == "[]"
