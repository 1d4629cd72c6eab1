"""A gradient step on several devices, of one process or of two, is the one on a single device."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from jaxlib.xla_client import generate_pjrt_gpu_plugin_options

from daydreamer.config import merge, resolve
from daydreamer.errors import UserError
from daydreamer.learner import process
from daydreamer.learner.learner import Learner
from daydreamer.robots.registry import find_robot
from daydreamer.session.directory import Session
from daydreamer.spec import RobotSpec, Space

SPEC = RobotSpec("toy", "toy", 20.0, 10, ("a", "b"), (), {"x": Space((3,))}, Space((2,), low=-1.0, high=1.0), ("r",))
SETTINGS = merge(
    find_robot("a1").preset("walk", "tiny", "twin"),
    {
        "model": {"encoder_layers": 0, "head_layers": 0, "actor_layers": 1, "critic_layers": 1},
        "learner": {
            "batch_size": 8,
            "batch_length": 4,
            "imagination_starts": 16,
            "imagination_horizon": 1,  # every imagined step is compiled
            "replay_capacity": 4096,
            "warmup_updates": 1,
            "actor_delay_updates": 0,
        },
    },
)
PROGRAMS = Path(__file__).with_name("several_devices.py")

pytestmark = pytest.mark.timeout(900)


def make_session(path, devices):
    return Session.create(path, resolve(merge(SETTINGS, {"learner": {"devices": devices}})), SPEC)


def start(devices, program, *arguments):
    """One of the programs, in a process that has so many virtual devices."""
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={devices}"
    path = os.pathsep.join(filter(None, (str(PROGRAMS.parents[2]), os.environ.get("PYTHONPATH"))))
    environment = os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu", "PYTHONPATH": path}
    command = [sys.executable, str(PROGRAMS), program, *map(str, arguments)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def results(*processes):
    """What they have found, one after the other; none of them outlives the test."""
    try:
        outputs = [each.communicate() for each in processes]
    finally:
        for each in processes:
            each.kill()
    for each, (_, errors) in zip(processes, outputs, strict=True):
        assert each.returncode == 0, errors[-3000:]
    return [json.loads(output.splitlines()[-1]) for output, _ in outputs]


@pytest.fixture(scope="module")
def session(tmp_path_factory, write_steps):
    """A session that has logged something, to be learned from on all devices that there are."""
    session = make_session(tmp_path_factory.mktemp("sharding") / "session", devices=0)
    write_steps(session, 300)
    return session


@pytest.fixture(scope="module")
def found(session):
    """What a process with eight devices has found, see `several_devices.one_process`."""
    return results(start(8, "one_process", session.path))[0]


def assert_same(metrics, expected):
    """To 1e-5, in the first gradient step and in all that follow from it."""
    assert len(metrics) == len(expected) == 10
    for step, alone in zip(metrics, expected, strict=True):
        assert "loss/total" in alone
        assert step == pytest.approx(alone, rel=1e-5, abs=1e-5)


def test_eight_devices_learn_what_one_does(found):
    alone, together = found["alone"], found["together"]
    assert found["devices"] == [8, 8]
    assert_same(together["metrics"], alone["metrics"])
    assert together["skipped"] == alone["skipped"] == 0
    # Those who have learned nothing agree, too.
    assert alone["metrics"][-1]["loss/total"] < alone["metrics"][0]["loss/total"] - 0.1


def test_each_of_eight_devices_computes_its_share(found):
    """Rows and operations are divided, gradients are summed; parameters and replay lie whole on each."""
    alone, together = found["alone"], found["together"]
    assert found["parts"] == [[2, 3]] * 8
    assert together["operations"] < alone["operations"] / 2
    assert together["summed_arrays"] >= 20 and alone["summed_arrays"] == 0


def test_a_learner_on_eight_devices_publishes_saves_and_goes_on(found):
    assert found["learner"] == {"published": 1, "device": "8 x cpu", "updates": 2, "whole": True}


def test_as_many_devices_as_divide_the_batch_are_chosen(found):
    assert found["chosen"] == {"5": 1, "6": 6, "12": 6, "24": 8}
    assert found["refused"] == "learner.devices=8 does not divide both batch_size=12 and imagination_starts=24"


@pytest.mark.long
def test_two_processes_learn_what_one_does(session, found):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    one, other = results(*(start(1, "two_processes", session.path, port, number) for number in (0, 1)))
    assert one == other  # to the bit, and with it the parameters that came of it
    assert one["devices"] == [1, 2] and not one["of_this_process"]
    assert one["summed_arrays"] >= 20 and one["skipped"] == 0
    assert_same(one["metrics"], found["alone"]["metrics"])


def test_devices_that_are_not_there_are_a_clear_error(tmp_path):
    with pytest.raises(UserError, match=r"learner\.devices is 2, and JAX finds 1 here \(cpu\); set it to 0"):
        Learner(make_session(tmp_path / "session", devices=2))


@pytest.mark.parametrize("wish, preallocates", [(None, False), ("true", True)])
def test_a_learner_leaves_the_memory_of_a_gpu_to_others(wish, preallocates, monkeypatch, tmp_path):
    """As JAX reads it when it finds a GPU; who wants it otherwise says so by JAX's variable."""
    monkeypatch.setenv("XLA_PYTHON_CLIENT_PREALLOCATE", wish or "")
    if wish is None:
        monkeypatch.delenv("XLA_PYTHON_CLIENT_PREALLOCATE")
    with pytest.raises(UserError):
        process.main(["--session", str(tmp_path / "none")], stop=None)
    assert generate_pjrt_gpu_plugin_options()["preallocate"] is preallocates
