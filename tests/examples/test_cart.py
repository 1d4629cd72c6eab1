"""The cart of examples/, which is no part of daydreamer: listed, examined by its own test, and trained."""

import json

import numpy as np
import pytest

from daydreamer.experience.tail import ExperienceTail
from daydreamer.session.directory import Session


def test_it_is_found_once_it_is_installed(installed):
    status, output = installed.daydreamer("robots", "--json")
    assert status == 0, output
    cart = json.loads(output)["cart"]
    assert cart["from"] == "cart-robot" and cart["twin"] and set(cart["tasks"]) == {"reach_by_blob", "reach"}


CONTRACT = "tests/test_cart.py::test_contract"
CONTRACT_OF_THE_BLOB = f"{CONTRACT}[reach_by_blob]"
"""Is examined as a new robot's, by test_new_robot.py."""


@pytest.mark.parametrize(
    "left_out, count", [(CONTRACT, 2), pytest.param(CONTRACT_OF_THE_BLOB, 1, marks=pytest.mark.long)]
)
def test_its_own_tests_pass(installed, cart_package, left_out, count):
    """As its owner runs them, in the package's folder."""
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--rootdir", str(cart_package), "--deselect", left_out]
    status, output = installed.run("pytest", *options, str(cart_package / "tests"), cwd=cart_package)
    assert status == 0 and "passed" in output and f"{count} deselected" in output, output


@pytest.mark.long
def test_it_learns_in_lock_step(cart_compiled):
    session = Session.open(cart_compiled)
    assert session.record.robot_package == "cart-robot"
    steps = ExperienceTail(session.experience, session.spec).read()
    assert len(steps) == 300 and any(step.policy_version > 0 for step in steps)
    assert any(step.is_terminal for step in steps) and np.isfinite([step.reward for step in steps]).all()
    # Between two episodes it has driven off, and nothing of that is experience.
    gaps_s = np.diff([step.monotonic_ns for step in steps]) * 1e-9
    ends = [step.is_last for step in steps[:-1]]
    assert np.all(gaps_s[ends] > 1.0) and np.allclose(gaps_s[np.logical_not(ends)], 0.2)
    # Told of by the session alone: here it is not installed.
    assert session.presentation.goal.name == "reaches"
