"""The contract, kept by every robot that is found here; and how it is broken, one promise at a time."""

import dataclasses
import json
import os
import subprocess
import sys
from importlib import resources

import msgspec
import numpy as np
import pytest

from daydreamer.cli.learn import resume
from daydreamer.config import SessionConfig
from daydreamer.conformance import describe, examine, failures
from daydreamer.contract.signals import Signal
from daydreamer.errors import UserError
from daydreamer.robots import registry
from daydreamer.robots.a1 import ROBOT as A1_ROBOT
from daydreamer.robots.a1.constants import A1
from daydreamer.robots.checks import Verdict
from daydreamer.robots.quadruped.entry import walk_entry
from daydreamer.robots.quadruped.task import QuadrupedWalkTask
from daydreamer.robots.registry import TaskEntry, find_robot
from daydreamer.session.directory import Session

# These robots' tasks see pictures, whose networks take long to compile: `daydreamer check-contract` is by hand.
SEEING = ("burger", "so101", "ur5e")
BUILT_IN = {
    name: found.robot
    for name, found in registry.discover().items()
    if found.provider == "daydreamer" and name not in SEEING
}
WHOLE = ("a1", "walk")
LIKE_THE_FIRST = ("go2",)
"""Is made of the same parts: what differs is in its constants and its driver, which have tests of their own."""
OTHERS = [(name, task) for name, robot in BUILT_IN.items() for task in robot.tasks if (name, task) != WHOLE]


def contract_is_kept(robot, task, directory, learns):
    checks = examine(find_robot(robot), task, directory, learns)
    assert not failures(checks), describe(checks)
    assert {"log", "gradient steps", "report", "dashboard", "read elsewhere"} <= {check.name for check in checks}
    notes = {check.name for check in checks if check.verdict is Verdict.NOTE}
    left_out = set() if learns else {"gradient steps"}
    assert notes == left_out | (set() if find_robot(robot).twin else {"twin", "signals"})


def test_the_first_robot_keeps_the_whole_contract(tmp_path):
    contract_is_kept(*WHOLE, tmp_path, learns=True)


@pytest.mark.parametrize(
    "robot, task",
    [pytest.param(*each, marks=pytest.mark.long) if each[0] in LIKE_THE_FIRST else each for each in OTHERS],
)
def test_every_other_robot_keeps_its_own(robot, task, tmp_path):
    """All but gradient steps: the learner knows no robot, and compiles anew for every specification."""
    contract_is_kept(robot, task, tmp_path, learns=False)


@pytest.mark.long
@pytest.mark.parametrize("robot, task", OTHERS)
def test_every_other_robot_keeps_the_whole_contract(robot, task, tmp_path):
    contract_is_kept(robot, task, tmp_path, learns=True)


@pytest.mark.long
def test_an_arm_of_shared_parts_keeps_its_own(tmp_path):
    """All but gradient steps, as above; what it is made of is tested with it and with the SO-101."""
    contract_is_kept("ur5e", "pick_place", tmp_path, learns=False)


def walking(make, **changes):
    """An A1 that does another task under the name of 'walk'."""
    return dataclasses.replace(A1_ROBOT, tasks={"walk": TaskEntry(make=make, summary="walk")}, **changes)


def found(robot, tmp_path, check):
    """What the one check that fails says."""
    (failed,) = failures(examine(robot, "walk", tmp_path / "examined"))
    assert failed.name == check
    return failed.detail


def test_a_limit_that_is_not_stated(tmp_path):
    limits = dataclasses.replace(A1.limits, velocity_rad_s=None)
    robot = dataclasses.replace(A1_ROBOT, tasks={"walk": walk_entry(dataclasses.replace(A1, limits=limits))})
    assert "does not state the limit velocity_rad_s" in found(robot, tmp_path, "limits")


def test_a_pose_outside_the_limits(tmp_path):
    pose = np.where(np.arange(12) == 4, 9.0, A1.rest_pose_rad)
    robot = dataclasses.replace(A1_ROBOT, tasks={"walk": walk_entry(dataclasses.replace(A1, rest_pose_rad=pose))})
    assert "pose 'rest' is outside the limits" in found(robot, tmp_path, "poses")


@pytest.mark.parametrize(
    "change, text",
    [
        (lambda seen: seen.pop("velocity"), "gives no observation 'velocity'"),
        (lambda seen: seen.update(smell=np.zeros(1)), "gives the observation 'smell'"),
        (lambda seen: seen.update(velocity=np.zeros(3)), "'velocity' is float64 of shape (3,); the specification"),
        (lambda seen: seen.update(velocity=np.full(3, np.nan, np.float32)), "'velocity' is not finite"),
    ],
)
def test_observations_that_are_not_as_specified(tmp_path, change, text):
    class Changed(QuadrupedWalkTask):
        def observe(self, measurement, sent):
            state = super().observe(measurement, sent)
            change(state.observation)
            return state

    assert text in found(walking(lambda config: Changed(A1)), tmp_path, "observations")


def test_a_signal_that_would_never_come(tmp_path):
    class Smelling(QuadrupedWalkTask):
        def __init__(self):
            super().__init__(A1)
            signals = {**self.embodiment.signals, "smell": Signal((1,))}
            self.embodiment = dataclasses.replace(self.embodiment, signals=signals)

    detail = found(walking(lambda config: Smelling()), tmp_path, "specification")
    assert "no ROS 2 topic brings the signal 'smell'" in detail


def test_actions_that_ask_for_nothing(tmp_path):
    class Undecided(QuadrupedWalkTask):
        def setpoint(self, action, measurement, sent):
            return np.full(12, np.nan) if np.all(action == 1.0) else super().setpoint(action, measurement, sent)

    assert "not for 12 finite numbers" in found(walking(lambda config: Undecided(A1)), tmp_path, "actions")


def test_a_mirror_image_that_is_none(tmp_path):
    class Lopsided(QuadrupedWalkTask):
        def __init__(self):
            super().__init__(A1)
            self.spec = msgspec.structs.replace(self.spec, mirror=self.spec.mirror | {"velocity": (2, -1, 3)})

    assert "of 'velocity' is another one" in found(walking(lambda config: Lopsided()), tmp_path, "mirror image")


def test_what_a_task_raises_is_a_finding_with_its_place(tmp_path):
    def make(config):
        raise KeyError("knee")

    detail = found(walking(make), tmp_path, "specification")
    assert detail.startswith("KeyError: 'knee' (test_conformance.py, line ")


def test_a_twin_whose_model_lacks_a_sensor(tmp_path, monkeypatch):
    model = (resources.files("daydreamer.robots.a1") / "a1.xml").read_text()
    (tmp_path / "deaf.xml").write_text(model.replace('<gyro name="angular_velocity"', '<gyro name="gyroscope"'))
    (tmp_path / "deaf_twin.py").write_text(
        "import dataclasses, pathlib\n"
        "from daydreamer.robots.a1.twin import TWIN\n"
        "from sim.twin import Twin\n"
        "MODEL = pathlib.Path(__file__).with_name('deaf.xml')\n"
        "def make_twin(config, seed):\n"
        "    return Twin(dataclasses.replace(TWIN, model=MODEL), config, seed)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    detail = found(dataclasses.replace(A1_ROBOT, twin="deaf_twin:make_twin"), tmp_path, "twin")
    assert "has no sensor 'angular_velocity'" in detail and "gyroscope" in detail
    detail = found(dataclasses.replace(A1_ROBOT, twin="deaf_twin:make_twins"), tmp_path / "again", "twin")
    assert "cannot be loaded" in detail


def test_a_camera_without_opengl_is_said_to_be_unexamined(tmp_path, monkeypatch):
    class Undecided(QuadrupedWalkTask):
        def operator_action(self, axes):
            raise NotImplementedError("which spares this test a learner with pictures")

    monkeypatch.setenv("MUJOCO_GL", "none")
    entry = TaskEntry(
        make=lambda config: Undecided(A1, camera=config.twin.camera),
        summary="walk and see",
        overrides={"twin": {"camera": True}},
    )
    checks = {each.name: each for each in examine(dataclasses.replace(A1_ROBOT, tasks={"walk": entry}), None, tmp_path)}
    assert checks["twin"].verdict is Verdict.OK and checks["signals"].verdict is Verdict.NOTE
    assert "camera, which are black here. The twin cannot render with MUJOCO_GL=none" in checks["signals"].detail
    assert checks["observations"].verdict is Verdict.OK and "spares this test" in checks["actions"].detail


def bring(folder, package, robot, code):
    """A package with a robot, as pip leaves it."""
    folder.mkdir(exist_ok=True)
    (folder / f"{package}.py").write_text(code)
    metadata = folder / f"{package}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[daydreamer.robots]\n{robot} = {package}:ROBOT\n")


ROVER = """
import dataclasses
from daydreamer.robots.a1 import ROBOT as A1
ROBOT = dataclasses.replace(A1, name="rover", summary="in disguise")
"""


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A folder in which `bring` installs; what is there is found."""
    folder = tmp_path / "installed"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    registry.discover.cache_clear()
    yield folder
    registry.discover.cache_clear()


def test_a_package_that_fails_to_import_is_named_and_the_others_go_on(installed):
    bring(installed, "broken_robot", "broken", "import a_module_that_nobody_has")
    bring(installed, "rover_robot", "rover", ROVER)
    assert {"a1", "rover"} <= registry.robots().keys() and "broken" not in registry.robots()
    with pytest.raises(UserError, match="of package broken_robot fails to load .*a_module_that_nobody_has"):
        find_robot("broken")
    command = [sys.executable, "-m", "daydreamer.cli.main", "robots", "--json"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    listed = json.loads(subprocess.run(command, env=environment, capture_output=True, check=True, text=True).stdout)
    assert "fails to load" in listed["broken"]["problem"] and listed["rover"]["from"] == "rover_robot"


def test_two_robots_of_one_name_are_none(installed):
    bring(installed, "one_rover", "rover", ROVER)
    bring(installed, "other_rover", "rover", ROVER)
    with pytest.raises(UserError, match=r"both \w+_rover and \w+_rover bring a robot of this name; uninstall one"):
        find_robot("rover")
    assert find_robot("a1") is A1_ROBOT


def test_a_session_is_told_of_without_its_robot_and_resuming_says_what_to_install(record_session):
    recorder = record_session()
    recorder.spec = msgspec.structs.replace(recorder.spec, robot="rover")
    path = recorder.session.path.with_name("of_somebody_else")
    config = SessionConfig(robot="rover", task="walk")
    recorder.session = Session.create(path, config, recorder.spec, None, "rover_robot")
    recorder.log(30.0)
    run = [sys.executable, "-m", "daydreamer.cli.main"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    for command in ("status", "report", "doctor"):
        result = subprocess.run([*run, command, str(path)], env=environment, capture_output=True, text=True)
        assert result.returncode == 0 and result.stdout, result.stderr
    with pytest.raises(UserError, match="no robot 'rover' here; it comes with the package rover_robot: pip install"):
        resume(path, None, dashboard=False)
