"""`daydreamer new-robot`: what it makes is a robot of its own, as it is."""

import contextlib
import json
import sys

import pytest

from daydreamer.cli.new_robot import new_robot
from daydreamer.conformance import describe, examine, failures
from daydreamer.errors import UserError
from daydreamer.robots import registry
from daydreamer.session.new import configure


@pytest.mark.parametrize("name, like, task", [("my_dog", "a1", "walk"), ("bot", "cart", "reach_by_blob")])
def test_what_it_makes_is_found_and_keeps_the_contract(
    installed, tmp_path, tmp_path_factory, name, like, task, monkeypatch
):
    status, output = installed.daydreamer("new-robot", name, "--like", like, cwd=tmp_path)
    assert status == 0, output
    for command in (f"pip install -e ./{name}", f"daydreamer check-contract {name}", f"daydreamer learn {name}"):
        assert command in output
    alongside = type(installed)(tmp_path_factory.mktemp("beside"))
    alongside.install(tmp_path / name)
    status, listed = alongside.daydreamer("robots", "--json")
    made = json.loads(listed)[name]
    assert made["from"] == f"{name}-robot".replace("_", "-") and task in made["tasks"]
    # What is true of the other robot alone is not said of this one.
    assert made["tried"] == "nothing yet" and made["interfaces"] == [] and like in made["summary"]
    monkeypatch.syspath_prepend(str(alongside.folder))
    registry.discover.cache_clear()
    try:
        robot = registry.find_robot(name)
        if like == "a1":  # examined already, under its own name: what may differ is how its parts are put together
            config = configure(robot=name, minutes=1.0, seed=0)
            made_task = registry.make_task(config)
            with contextlib.closing(robot.make_twin(config.twin, seed=0)) as twin:
                measurement = twin.measure()
            state = made_task.observe(measurement, made_task.embodiment.measured_setpoint(measurement))
            assert state.observation.keys() == made_task.spec.observation.keys()
        else:
            # As the cart of this task learns: test_cart.py.
            checks = examine(robot, task, tmp_path / "examined", learns=False)
            assert not failures(checks), describe(checks)
    finally:
        registry.discover.cache_clear()
        for module in [module for module in sys.modules if module.partition(".")[0] == f"{name}_robot"]:
            del sys.modules[module]


@pytest.mark.parametrize("name", ["My-Dog", "2fast", "class", "../dog", ""])
def test_a_name_that_cannot_be_one(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="cannot be a robot's name"):
        new_robot(name, "a1")
    assert not list(tmp_path.iterdir())


def test_a_name_or_a_folder_that_is_taken(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="There is a robot 'go2' already, from daydreamer"):
        new_robot("go2", "a1")
    (tmp_path / "my_dog").mkdir()
    with pytest.raises(UserError, match="my_dog exists already"):
        new_robot("my_dog", "a1")


def test_a_robot_to_begin_with_that_is_not_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="no robot 'unicorn' here; choose one of"):
        new_robot("my_dog", "unicorn")
    assert not list(tmp_path.iterdir())
