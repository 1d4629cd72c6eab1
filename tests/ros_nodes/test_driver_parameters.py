"""Parameter files of drivers, as people write them."""

import contextlib
import textwrap

import numpy as np
import pytest

pytest.importorskip("rclpy")

import rclpy

from daydreamer.errors import UserError
from daydreamer.robots.a1.constants import A1
from ros_nodes import driver_parameters
from ros_nodes.unitree_a1_node import DAMPING_N_M_S_RAD
from ros_nodes.unitree_driver import UnitreeDriver

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
        ("rate_hz: fast", "'fast'; give a number"),
        ("rate_hz: true", "give a number"),
        ("rate_hz: [250]", "give a number"),
        ("command_timeout_s: 0", "from 0.02 to 2"),
        ("command_timeout_s: 3600", "from 0.02 to 2"),
        ("interpolate_s: -1", "from 0.001"),
        ("max_target_error_rad: .nan", "from 0.001 to 1"),
        ("stiffness_n_m_rad: 80", "give hip, thigh and calf"),
        ("stiffness_n_m_rad: [80.0, 80.0]", "give hip, thigh and calf"),
        ("stiffness_n_m_rad: [80.0, 80.0, .nan]", "from 0 to 500"),
        ("stiffness_n_m_rad: abc", "'abc'; give hip"),
        ("damping_n_m_s_rad: [0, 0, 0]", "from 0.1 to 50"),
    ],
)
def test_a_mistake_is_one_sentence_with_the_cure(make_driver, line, cure):
    with pytest.raises(UserError, match=cure) as raised:
        make_driver(line)
    assert line.partition(":")[0] in str(raised.value)


def test_a_port_is_a_whole_number(make_driver):
    node, _ = make_driver("{robot_port: 8007.5, local_port: 99999, robot_address: 17}")
    for name, default in (("robot_port", 8007), ("local_port", 8090)):
        with pytest.raises(UserError, match=name):
            driver_parameters.whole_number(node, name, default, 1, 65535)
    with pytest.raises(UserError, match="robot_address is 17"):
        driver_parameters.text(node, "robot_address", "192.168.123.10")
