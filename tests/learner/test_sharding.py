"""One gradient step on several devices, of one process or of two: the same as on one."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from daydreamer.config import merge, resolve
from daydreamer.errors import UserError
from daydreamer.learner.learner import Learner
from daydreamer.robots.registry import find_robot
from daydreamer.session.directory import Session
from daydreamer.spec import RobotSpec, Space

SPEC = RobotSpec("toy", "toy", 20.0, 10, ("a", "b"), (), {"x": Space((3,))}, Space((2,), low=-1.0, high=1.0), ("r",))
SMALL = {"encoder_layers": 0, "head_layers": 0, "actor_layers": 1, "critic_layers": 1}
SETTINGS = merge(
    find_robot("a1").preset("walk", "tiny", "twin"),
    {
        "model": SMALL,
        "learner": {
            "batch_size": 8,
            "batch_length": 4,
            "imagination_starts": 16,
            "imagination_horizon": 2,
            "replay_capacity": 4096,
            "warmup_updates": 1,
            "actor_delay_updates": 0,
            "devices": 0,
        },
    },
)
PROGRAMS = Path(__file__).with_name("several_devices.py")
TIMEOUT_S = 500.0


def start(devices, program, *arguments):
    """A program of several_devices.py in a process that has so many virtual devices."""
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={devices}"
    environment = os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    environment["PYTHONPATH"] = f"{Path(__file__).parents[2]}:{environment.get('PYTHONPATH', '')}"
    command = [sys.executable, str(PROGRAMS), program, *map(str, arguments)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def results(processes):
    """What they found; when one fails, the other is not waited for."""
    try:
        outputs = [process.communicate(timeout=TIMEOUT_S) for process in processes]
    finally:
        for process in processes:
            process.kill()
    for process, (_, errors) in zip(processes, outputs, strict=True):
        assert process.returncode == 0, errors[-3000:]
    return [json.loads(output.splitlines()[-1]) for output, _ in outputs]


def make_session(path, **learner):
    return Session.create(path, resolve(merge(SETTINGS, {"learner": learner})), SPEC)


@pytest.fixture(scope="module")
def session(tmp_path_factory, write_steps):
    """A session that has been lived through for a while."""
    session = make_session(tmp_path_factory.mktemp("sharding") / "session")
    write_steps(session, 300)
    return session


@pytest.fixture(scope="module")
def found(session):
    """What one process with eight devices made of the session, see `several_devices.one_process`."""
    return results([start(8, "one_process", session.path)])[0]


def assert_same(metrics, expected):
    """To 1e-5, in the first gradient step and in those that follow from it."""
    assert len(metrics) == len(expected) == 10
    for step, alone in zip(metrics, expected, strict=True):
        assert "loss/total" in alone
        assert step == pytest.approx(alone, rel=1e-5, abs=1e-5)


def test_eight_devices_learn_what_one_does(found):
    alone, together = found["alone"], found["together"]
    assert found["devices"] == [8, 8]
    assert_same(together["metrics"], alone["metrics"])
    assert together["skipped"] == alone["skipped"] == 0
    # Nothing would be easier than to agree without having learned.
    assert alone["metrics"][-1]["loss/total"] < alone["metrics"][0]["loss/total"]


def test_each_of_eight_devices_computes_its_share(found):
    """Of the batch and of the operations; gradients are summed; everything else lies whole on each."""
    alone, together = found["alone"], found["together"]
    assert found["share"] == [1, 3] and found["whole"]
    assert together["operations"] < alone["operations"] / 2
    assert together["summed"] >= 10 and alone["summed"] == 0


def test_a_learner_on_eight_devices_publishes_saves_and_goes_on(found):
    assert found["learner"] == {"published": 1, "device": "8 x cpu", "updates": 2, "whole": True}


def test_two_processes_learn_what_one_does(session, found):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    first, second = results([start(1, "two_processes", session.path, port, number) for number in (0, 1)])
    assert first == second  # to the bit, all parameters included
    assert first["devices"] == [1, 2] and not first["local"]
    assert first["summed"] >= 10 and first["skipped"] == 0
    assert_same(first["metrics"], found["alone"]["metrics"])


@pytest.mark.parametrize(
    "settings, complaint",
    [
        ({"devices": 2}, "devices=2 is more than JAX finds here, cpu"),
    ],
)
def test_devices_that_are_not_there_are_a_clear_error(settings, complaint, tmp_path):
    with pytest.raises(UserError, match=complaint):
        Learner(make_session(tmp_path / "session", **settings))
