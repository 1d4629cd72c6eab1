"""Parameter files of drivers, as people write them."""

import contextlib
import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest

pytest.importorskip("rclpy")

import rclpy

from daydreamer.errors import UserError
from daydreamer.robots.a1.constants import A1
from daydreamer.robots.a1.driver_node import DAMPING_N_M_S_RAD
from daydreamer.robots.quadruped.unitree_driver_node import UnitreeDriver
from ros_nodes import driver_parameters

DOMAIN = 47


@pytest.fixture
def make_driver(tmp_path):
    with contextlib.ExitStack() as stack:

        def make(parameters):
            file = tmp_path / "a1.yaml"
            indented = textwrap.indent(textwrap.dedent(parameters), "    ")
            file.write_text(f"/**/unitree_a1:\n  ros__parameters:\n{indented}\n")
            context = rclpy.Context()
            rclpy.init(context=context, domain_id=DOMAIN)
            stack.callback(context.shutdown)
            node = rclpy.create_node("unitree_a1", context=context, cli_args=["--ros-args", "--params-file", str(file)])
            stack.callback(node.destroy_node)
            return node, UnitreeDriver(node, A1, DAMPING_N_M_S_RAD)

        yield make


def test_whole_numbers_are_numbers(make_driver):
    _, driver = make_driver("""\
        rate_hz: 250
        state_rate_hz: 50
        stiffness_n_m_rad: [60, 70, 80]
        damping_n_m_s_rad: [1, 2, 2]
        newton_per_foot_force: 1
        """)
    assert driver.rate_hz == 250.0
    np.testing.assert_array_equal(driver.stiffness_n_m_rad, [60.0, 70.0, 80.0] * 4)


@pytest.mark.parametrize(
    "line, cure",
    [
        ("rate_hz: 0", "from 50 to 1000"),
        ("rate_hz: .nan", "from 50 to 1000"),
        ("rate_hz: .inf", "from 50 to 1000"),
        ("rate_hz: fast", "takes a value like 250.0"),
        ("rate_hz: true", "takes a value like 250.0"),
        ("rate_hz: [250]", "takes a value like 250.0"),
        ("command_timeout_s: 0", "from 0.02 to 2"),
        ("command_timeout_s: 3600", "from 0.02 to 2"),
        ("interpolate_s: -1", "from 0.001"),
        ("max_target_error_rad: .nan", "from 0.001 to 1"),
        ("stiffness_n_m_rad: 80", "takes a value like .80.0"),
        ("stiffness_n_m_rad: [80.0, 80.0]", "give hip, thigh and calf"),
        ("stiffness_n_m_rad: [80.0, 80.0, .nan]", "from 0 to 500"),
        ("stiffness_n_m_rad: abc", "takes a value like .80.0"),
        ("damping_n_m_s_rad: [0, 0, 0]", "from 0.1 to 50"),
    ],
)
def test_a_mistake_is_one_sentence_with_the_cure(make_driver, line, cure):
    with pytest.raises(UserError, match=cure) as raised:
        make_driver(line)
    assert line.partition(":")[0] in str(raised.value)


def test_a_port_is_a_whole_number_that_a_port_can_be(make_driver):
    node, _ = make_driver("{robot_port: 8007.5, local_port: 99999}")
    for name in ("robot_port", "local_port"):
        with pytest.raises(UserError, match=name):
            driver_parameters.port(node, name, 8007)


@pytest.mark.parametrize(
    "text",
    [
        None,  # no such file
        "/**/unitree_a1:\n\tros__parameters: {}",
        "/**/unitree_a1:\n  ros__parameters:\n    stiffness_n_m_rad: [80, 80.5, 80]",
        "/**/unitree_a1:\n  rate_hz: 250",
        "rate_hz",
        "/**/unitree_go2:\n  ros__parameters:\n    rate_hz: 250",
    ],
)
def test_a_file_that_cannot_be_used_is_one_sentence(tmp_path, text):
    file = tmp_path / "a1.yaml"
    if text is not None:
        file.write_text(text)
    command = [sys.executable, "-m", "daydreamer.robots.a1.driver_node", "--ros-args", "--params-file", str(file)]
    environment = os.environ | {"ROS_DOMAIN_ID": str(DOMAIN), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100)
    assert result.returncode == 2, result.stderr
    assert "Traceback" not in result.stderr and len(result.stderr.splitlines()) == 1
