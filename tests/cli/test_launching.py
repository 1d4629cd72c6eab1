"""What an operator types behind `ros2 launch`, without ROS's launch: what it comes to, and what is refused by name."""

import contextlib
import importlib.util
import os
import shutil
import signal
import sys
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import MagicMock

import jax
import msgspec
import numpy as np
import pytest

from daydreamer.cli.drives import WALKERS, find_drive, find_walker
from daydreamer.cli.launching import (
    LEARN_ARGUMENTS,
    PICK,
    PLAY_ARGUMENTS,
    REACH,
    REPLAY_ARGUMENTS,
    TWIN_ARGUMENTS,
    WALK_ARGUMENTS,
    Launch,
    SessionFailed,
    arguments_with,
    prepare_learn,
    prepare_learn_with,
    prepare_play,
    prepare_replay,
    prepare_twin,
    prepare_walk,
    refuse_bad_end,
    refuse_unknown,
    resumed_processes,
)
from daydreamer.cli.launching import split_settings as split
from daydreamer.cli.learn import resume
from daydreamer.errors import UserError
from daydreamer.learner.agent import Agent
from daydreamer.learner.checkpoint import Checkpointer
from daydreamer.policy.snapshot import SnapshotMetadata, latest_snapshot, write_snapshot
from daydreamer.processes import driver_process
from daydreamer.robots.so101.constants import ENDING_S
from daydreamer.session.directory import Session
from daydreamer.session.seal import Progress
from daydreamer.session.wiring import Wiring, keep_wiring

pytest.importorskip("rclpy")

PARAMETERS = "/**/actor: {ros__parameters: {autostart: false}}"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)


def walk(**given):
    return prepare_walk(dict.fromkeys(WALK_ARGUMENTS, "") | given)


def assert_refused(*words, **given):
    before = sorted(os.listdir())
    with pytest.raises(UserError) as refusal:
        walk(**given)
    for word in words:
        assert word in str(refusal.value), refusal.value
    assert sorted(os.listdir()) == before, "nothing may have been made"


def test_without_arguments_it_is_what_walk_does():
    launch = walk()
    config = launch.session.config
    assert (config.robot, config.task, config.body) == ("a1", "walk", "twin")
    assert (config.minutes, config.seed, config.preset) == (60.0, 0, "default")
    assert launch.session.path.parent.name == "sessions" and launch.dashboard
    assert launch.drive.driver is None and launch.parameters is None


def save_checkpoint(session, gradient_step):
    """Of parameters that nothing has been learned with."""
    config = session.config
    agent = Agent(session.spec, config.model, config.learner)
    shapes = jax.eval_shape(lambda: agent.initialize(0))
    state = jax.tree.map(lambda leaf: np.ones(leaf.shape, leaf.dtype), shapes)
    progress = Progress(spec_hash=session.spec.hash, env_steps=600, cursors={}, policy_version=0)
    with contextlib.closing(Checkpointer(session.checkpoints)) as checkpointer:
        checkpointer.save(state._replace(updates=np.int32(gradient_step)), progress)


def learn(**given):
    return prepare_learn(dict.fromkeys(LEARN_ARGUMENTS, "") | given)


def test_any_robot_learns_in_its_twin_unless_it_is_said_otherwise():
    launch = learn(robot="a1")
    assert (launch.session.config.task, launch.session.config.body) == ("walk", "twin")
    launch = learn(robot="a1", task="walk", body="hardware", interface="ros2_control", session="other")
    assert launch.session.config.body == "hardware" and launch.drive == find_walker("ros2_control")
    assert learn(resume="other").drive == launch.drive
    assert launch.session.resume_command().startswith("ros2 launch daydreamer walk.launch.py")


def play(**given):
    return prepare_play(dict.fromkeys(PLAY_ARGUMENTS, "") | given)


@pytest.fixture
def learned(record_session):
    """`~/learned`, a session with two policies, of which the older one did better."""
    recorder = record_session("learned")
    recorder.log(100.0, lambda step: setattr(step, "reward", 13.0 if step.sequence < 1000 else 9.0))
    for version, env_steps in ((3, 600), (7, 1900)):
        sizes = msgspec.to_builtins(recorder.session.config.model)
        metadata = SnapshotMetadata(
            version=version, gradient_step=1, env_steps=env_steps, robot_spec=recorder.spec, model=sizes
        )
        write_snapshot(recorder.session.policy, {"weights": np.zeros(3, np.float32)}, metadata)
    return recorder.session


def test_the_best_policy_of_a_session_is_played(learned):
    launch = play(**{"from": "~/learned"}, session="one")
    assert (launch.session.config.body, launch.minutes, launch.dashboard) == ("twin", 10.0, True)
    assert (launch.session.plays.version, launch.session.plays.chosen) == (3, "best")
    launch = play(
        **{"from": "learned"}, version="newest", body="hardware", interface="ros2_control", minutes="5", session="two"
    )
    assert launch.session.plays.version == 7 and launch.drive == find_walker("ros2_control")
    # It goes on as any other session does, over the same interface.
    assert walk(resume="two", robot="ros2_control").session.plays == launch.session.plays
    assert [process.name for process in resumed_processes(launch.session, 5.0)] == ["actor"]
    Path("twin.yaml").write_text("twin: {randomisation: {enabled: true, friction: [0.3, 0.4]}}")
    twin = play(**{"from": "learned"}, twin="twin.yaml", session="three").session.config.twin
    assert twin.randomisation.enabled and twin.randomisation.friction == (0.3, 0.4)


@pytest.mark.parametrize(
    "given, words",
    [
        ({}, ("from:=~/monday",)),
        ({"from": "nowhere"}, ("does not exist",)),
        ({"from": "learned", "version": "5"}, ("no policy '5'", "3, 7")),
        ({"from": "learned", "sample": "perhaps"}, ("sample:=perhaps",)),
        ({"from": "learned", "twin": "missing.yaml"}, ("missing.yaml cannot be read",)),
        ({"from": "learned", "interface": "unitree", "body": "twin"}, ("no interface:=unitree",)),
        ({"from": "learned", "set": "twin.camera=true"}, ("another robot", "'camera' exists only here")),
    ],
)
def test_a_mistake_about_what_to_play_is_named_before_anything_is_made(learned, given, words):
    with pytest.raises(UserError) as refusal:
        play(**given)
    assert all(word in str(refusal.value) for word in words), refusal.value
    assert os.listdir() == ["learned"]


@pytest.mark.parametrize(
    "given, words",
    [
        ({}, ("robot:=a1", "go2")),
        ({"robot": "spot"}, ("no robot 'spot'", "a1, burger, go2, so101")),
        ({"robot": "a1", "task": "fly"}, ("no task 'fly'", "walk")),
        ({"robot": "a1", "body": "ghost"}, ("no body 'ghost'", "twin or hardware")),
        ({"robot": "a1", "interface": "unitree", "body": "twin"}, ("no interface:=unitree",)),
        ({"robot": "a1", "interface": "sdk", "body": "hardware"}, ("no interface 'sdk'", "unitree, ros2_control")),
        ({"robot": "a1", "resume": "one"}, ("leave them out",)),
    ],
)
def test_a_mistake_about_a_robot_is_named_before_anything_is_made(given, words):
    with pytest.raises(UserError) as refusal:
        learn(**given)
    assert all(word in str(refusal.value) for word in words), refusal.value
    assert os.listdir() == []


@pytest.mark.parametrize(
    "defaults, parameters",
    [(REACH, "burger.yaml"), (PICK, "so101.yaml"), (PICK | {"robot": "ur5e"}, "ur5e.yaml")],
)
def test_a_launch_file_with_a_robot_and_a_task_of_its_own(defaults, parameters):
    nothing = dict.fromkeys(arguments_with(defaults), "")
    twin, robot = (
        prepare_learn_with(defaults, nothing | {"session": body, "body": body}) for body in ("twin", "hardware")
    )
    assert {"robot": twin.session.config.robot, "task": twin.session.config.task} == defaults
    assert (robot.session.config.body, robot.drive.parameters) == ("hardware", parameters)
    assert prepare_learn_with(defaults, nothing | {"resume": "twin"}).session.path == twin.session.path
    with pytest.raises(UserError, match="no task 'reach_from_above'|no robot 'arm'"):
        prepare_learn_with(defaults, nothing | {"task": "reach_from_above", "robot": "so101"})


def test_what_is_given_counts(tmp_path):
    (tmp_path / "my.yaml").write_text(PARAMETERS)
    launch = walk(
        robot="ros2_control",
        minutes="8",
        session="~/monday",
        seed="3",
        set="learner.train_ratio=100 actor.rhythm_hz='[1.4, 2.5]'",
        namespace="robot_1",
        parameters="~/my.yaml",
        dashboard="False",
    )
    config = launch.session.config
    assert launch.session.path == tmp_path / "monday" and launch.parameters == tmp_path / "my.yaml"
    assert (config.robot, config.body, config.minutes, config.seed) == ("a1", "hardware", 8.0, 3)
    assert (config.learner.train_ratio, config.actor.rhythm_hz) == (100.0, (1.4, 2.5))
    assert launch.drive.remappings and launch.namespace == "robot_1" and not launch.dashboard


def test_a_session_may_begin_with_another(record_session):
    """A robot with what its twin has learned; it waits for its operator as ever."""
    taught = record_session("taught", preset="tiny")
    taught.log(30.0)
    save_checkpoint(taught.session, gradient_step=9)
    launch = walk(robot="a1", **{"from": "taught", "from_experience": "0.25"})
    config, parent = launch.session.config, launch.session.record.parent
    assert parent.path == str(taught.session.path) and parent.body == "twin" and config.body == "hardware"
    assert config.learner.inherited_share == 0.25 and config.model.units == 32
    assert latest_snapshot(launch.session.policy) is not None


def test_a_session_may_learn_from_what_others_have_shown(record_session, tmp_path):
    for name in ("one", "the other"):
        record_session(name).log(30.0, lambda step: setattr(step, "intervention", True))
    shown = {"demonstrations": "~/one 'the other'", "preset": "tiny"}
    session = walk(**shown, set="learner.demonstration_share=0.25", session="child").session
    assert [each.path for each in session.record.demonstrations] == [str(tmp_path / "one"), str(tmp_path / "the other")]
    assert session.config.learner.demonstration_share == 0.25 and session.config.actor.random_s == pytest.approx(0.2)
    with pytest.raises(UserError, match="keeps its own settings; leave out demonstrations"):
        walk(resume="child", demonstrations="one")


@pytest.mark.parametrize(
    "given, words",
    [
        ({"demonstrations": "nowhere"}, ("nowhere does not exist",)),
        ({"demonstrations": "~/o'ne"}, ("demonstrations:=~/o'ne cannot be read",)),
        ({"set": "actor.teacher_after_s=8"}, ("in lock-step alone",)),
        ({"from": "nowhere"}, ("nowhere does not exist",)),
        ({"from_experience": "0.5"}, ("whose experience", "from:=")),
        ({"from_experience": "half"}, ("from_experience:=half",)),
        ({"robot": "spot"}, ("no robot 'spot'", "ros2_control")),
        ({"minutes": "eight"}, ("minutes:=eight",)),
        ({"minutes": "inf"}, ("minutes:=inf",)),
        ({"minutes": "-1"}, ("would do nothing",)),
        ({"seed": "1.5"}, ("seed:=1.5",)),
        ({"dashboard": "yes"}, ("dashboard:=yes", "true nor false")),
        ({"parameters": "~/missing.yaml"}, ("no file", "missing.yaml")),
        ({"set": "learner.batchsize=3"}, ("batchsize",)),
        ({"set": "a.b='1"}, ("cannot be read",)),
        ({"resume": "~/nowhere"}, ("does not exist",)),
    ],
)
def test_a_mistake_is_named_before_anything_is_made(given, words):
    assert_refused(*words, **given)


def test_a_machine_that_cannot_run_it_is_found_out_before_anything_is_made(monkeypatch):
    monkeypatch.setenv("ROS_DOMAIN_ID", "home")
    assert_refused("ROS_DOMAIN_ID is 'home'")


def test_settings_are_separated_by_blanks_or_semicolons_and_lists_stay_whole():
    assert split("") == []
    assert split("a.b=1 c.d=x") == split("a.b=1; c.d=x") == split(" a.b=1  ;c.d=x") == ["a.b=1", "c.d=x"]
    assert split("a.b='[1, 2]' c.d=3") == split("a.b=[1, 2] c.d=3") == ["a.b=[1, 2]", "c.d=3"]
    incidents = "twin.incidents=[{kind: push, start_s: 30}, {kind: leg_stops, start_s: 60, target: FL}]"
    assert split(f"{incidents} a.b=1") == [incidents, "a.b=1"]


def test_an_argument_that_nobody_knows_is_named_with_what_was_meant():
    line = ["/opt/ros/bin/ros2", "launch", "daydreamer", "walk.launch.py"]
    refuse_unknown([*line, "minutes:=8", "launch-prefix:=gdb"], "walk.launch.py", WALK_ARGUMENTS)
    with pytest.raises(UserError, match="no argument 'minuts'; did you mean minutes:="):
        refuse_unknown([*line, "minuts:=8"], "walk.launch.py", WALK_ARGUMENTS)
    with pytest.raises(UserError, match="no argument 'xyz'; there are robot, "):
        refuse_unknown([*line, "xyz:=8"], "walk.launch.py", WALK_ARGUMENTS)
    # A launch file that includes ours has arguments of its own.
    refuse_unknown(["ros2", "launch", "my_robot", "bringup.launch.py", "xyz:=8"], "walk.launch.py", WALK_ARGUMENTS)


@pytest.mark.parametrize(
    "robot, content, words",
    [
        ("a1", "/**/actr: {ros__parameters: {autostart: true}}", ("'actr'", "did you mean actor?")),
        ("a1", "controller_manager: {ros__parameters: {}}", ("for actor or unitree_a1", "only for controller_manager")),
        ("twin", "", ("for actor or twin", "none at all")),
        ("twin", "a: [", ("not valid YAML",)),
    ],
)
def test_a_parameter_file_that_ros_would_pass_over_is_refused(tmp_path, robot, content, words):
    (tmp_path / "my.yaml").write_text(content)
    assert_refused("my.yaml", *words, robot=robot, parameters="my.yaml")


@pytest.mark.parametrize(
    "content",
    [
        PARAMETERS,
        "actor: {ros__parameters: {}}",
        "/robot_1/actor: {ros__parameters: {}}\ncontroller_manager: {ros__parameters: {}}",
        "robot_1: {actor: {ros__parameters: {}}}",
        "/**: {ros__parameters: {}}",
    ],
)
def test_every_way_to_name_a_node_is_taken(tmp_path, content):
    (tmp_path / "my.yaml").write_text(content)
    assert walk(robot="a1", parameters="my.yaml").parameters == tmp_path / "my.yaml"


@pytest.mark.parametrize("robot", [name for name in WALKERS if find_walker(name).parameters])
def test_our_own_parameter_files_are_taken(pytestconfig, robot):
    path = pytestconfig.rootpath / "config" / find_walker(robot).parameters
    assert walk(robot=robot, parameters=str(path)).parameters == path


def test_an_end_that_nobody_asked_for_fails_the_session():
    refuse_bad_end("actor", 0, shutting_down=False, completes=True)
    refuse_bad_end("twin", 0, shutting_down=True)
    refuse_bad_end("twin", -signal.SIGINT, shutting_down=True)
    for status, shutting_down, completes in ((0, False, False), (2, False, True), (1, True, True), (-9, True, False)):
        with pytest.raises(SessionFailed, match=f"status {status}"):
            refuse_bad_end("driver", status, shutting_down, completes)


def log_seconds(session, seconds, record_session):
    """Steps as a recorded session has them."""
    recorder = record_session("other")
    recorder.log(seconds)
    for path in recorder.session.experience.iterdir():
        path.rename(session.experience / path.name)


def test_a_session_goes_on_over_the_same_interface_for_what_is_left(record_session):
    session = walk(robot="twin", minutes="8", session="one", namespace="left").session
    log_seconds(session, 60, record_session)
    launch = walk(resume="one")
    assert (launch.session.path, launch.minutes, launch.namespace) == (session.path, 8.0, "left")
    assert walk(resume="one", minutes="20").minutes == 21.0
    assert_refused("launched with robot:=twin", resume="one", robot="a1")
    assert walk(resume="one", namespace="/left").namespace == "left"
    assert_refused("namespace:=left", "right", resume="one", namespace="right")
    assert_refused("0 further minutes", resume="one", minutes="0")
    for fixed in ({"seed": "1"}, {"set": "a.b=1"}, {"preset": "tiny"}, {"session": "two"}):
        assert_refused("keeps its own settings", *fixed, resume="one", **fixed)
    assert_refused("is a session already", "resume:=", session="one")


def test_a_complete_session_says_how_to_go_on_for_longer(record_session):
    session = walk(minutes="1", session="one").session
    log_seconds(session, 60, record_session)
    assert_refused("is complete with 1.0", f"resume:={session.path} minutes:=10", resume="one")


def resumed(name):
    """The processes of `daydreamer resume`, by name."""
    session = Session.open(Path(name))
    return {process.name: process for process in resumed_processes(session, 60.0)}


def test_hardware_is_taken_over_the_same_interface_by_both_commands(tmp_path):
    path = tmp_path / "my.yaml"
    path.write_text(PARAMETERS)
    walk(robot="ros2_control", session="one", parameters="my.yaml", namespace="/left/")
    launch = walk(resume="one")
    assert launch.drive.remappings == (("joint_command", "forward_position_controller/commands"),)
    assert (launch.parameters, launch.namespace) == (path, "/left/")
    processes = resumed("one")
    assert list(processes) == ["actor", "learner"]
    moved = ("-r", "joint_command:=forward_position_controller/commands")
    assert processes["actor"].ros_arguments == ("-r", "__ns:=/left", "--params-file", str(path), *moved)
    # Another file under the same name is another robot, as far as anybody knows.
    path.write_text(PARAMETERS.replace("false", "true"))
    assert_refused("has changed since; say again which file", resume="one")
    with pytest.raises(UserError, match="resume:=.*one parameters:=FILE"):
        resume(tmp_path / "one", None, dashboard=False)
    assert walk(resume="one", parameters="my.yaml").parameters == path


def test_what_launch_has_started_resume_starts_too(pytestconfig, monkeypatch, tmp_path):
    installed = tmp_path / "prefix/share/daydreamer/config"
    shutil.copytree(pytestconfig.rootpath / "config", installed)
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path / "prefix"))
    walk(robot="a1", session="one")
    processes = resumed("one")
    assert list(processes) == ["actor", "driver", "learner"]  # in the order in which to stop them
    own = ("--params-file", str(installed / "a1.yaml"))
    assert processes["driver"].module == "daydreamer.robots.a1.driver_node"
    assert processes["driver"].ros_arguments == processes["actor"].ros_arguments == own
    walk(session="two")
    assert all(not process.ros_arguments for process in resumed("two").values())


@pytest.fixture
def session_launch(monkeypatch):
    """What ros2 launch is told, without ROS's launch, of which only the names are needed."""
    parts = ("action", "actions", "event_handlers", "events", "events.process", "substitutions")
    ros_parts = ("actions", "parameter_descriptions", "substitutions")
    names = ["launch", *(f"launch.{part}" for part in parts), *(f"launch_ros.{part}" for part in ros_parts)]
    for name in (*names, "launch_ros"):
        monkeypatch.setitem(sys.modules, name, MagicMock())
    spec = importlib.util.find_spec("ros_nodes.session_launch")
    spec.loader.exec_module(module := importlib.util.module_from_spec(spec))
    return module


def test_a_driver_has_the_time_that_it_takes_to_lay_its_robot_down(session_launch):
    drive = find_drive("so101", "hardware")
    driver = driver_process(drive.interface, ())
    assert driver.stop_timeout_s > ENDING_S and not driver.can_hurry
    session_launch.start_driver(Launch(None, drive, 60.0, None, "", dashboard=False), {})
    assert float(session_launch.Node.call_args.kwargs["sigterm_timeout"]) == driver.stop_timeout_s


def test_a_keeper_that_gives_up_ends_the_launch_and_any_other_is_replaced(session_launch):
    context = SimpleNamespace(is_shutdown=False)
    assert session_launch.keeper_ended(SimpleNamespace(returncode=-9), context) == []
    with pytest.raises(SessionFailed, match="the keeper ended by itself, with status 2"):
        session_launch.keeper_ended(SimpleNamespace(returncode=2), context)


def test_a_session_that_was_begun_by_hand_goes_on_as_its_actor_has_written_down():
    session = walk(session="one").session
    (session.path / "launch.json").unlink()
    topics = {"joint_states": "/left/joint_states", "joint_command": "/arm/commands"}
    keep_wiring(session, Wiring(command_interface="forward_position", namespace="/left", topics=topics))
    processes = resumed("one")
    moved = ("-r", "__ns:=/left", "-r", "joint_command:=/arm/commands", "-p", "command_interface:=forward_position")
    assert processes["actor"].ros_arguments == processes["twin"].ros_arguments == moved
    assert walk(resume="one", robot="twin").ros_arguments == moved
    # It may be a stranger's session, with a robot of ours behind that topic.
    assert "--wait" in processes["actor"].arguments


def test_a_record_of_another_robot_is_not_believed():
    session = walk(session="one").session
    (session.path / "launch.json").write_bytes(b'{"robot": "a1"}')
    assert_refused("another robot than the session", resume="one")


def test_a_robot_that_walk_has_driven_needs_its_interface_said():
    session = walk(robot="a1", session="one").session
    (session.path / "launch.json").unlink()  # as if by `daydreamer walk --robot a1`
    assert_refused("robot:=a1 or robot:=ros2_control", resume="one")
    assert walk(resume="one", robot="a1").drive.driver == "unitree_a1_node"
    (session.path / "launch.json").write_bytes(b'{"robot": 1}')
    assert_refused("launch.json cannot be read", resume="one")


def test_the_twin_alone_takes_the_same_settings(tmp_path):
    given = {"session": "~/twin", "set": "twin.random_incidents_per_minute=6"}
    session = prepare_twin(dict.fromkeys(TWIN_ARGUMENTS, "") | given)
    assert session.path == tmp_path / "twin" and session.config.twin.random_incidents_per_minute == 6.0


def test_a_session_is_played_back_from_home(tmp_path):
    session = walk(session="one").session

    def replay(**given):
        return prepare_replay(dict.fromkeys(REPLAY_ARGUMENTS, "") | given)

    played, speed, life = replay(session="~/one", speed="2")
    assert (played.path, speed, life) == (session.path, 2.0, 0)
    for given, words in (({}, "which session"), ({"session": "~/one", "speed": "0"}, "speed:=0")):
        with pytest.raises(UserError, match=words):
            replay(**given)
