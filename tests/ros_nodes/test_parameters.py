import pytest

pytest.importorskip("rclpy")

import rclpy
import yaml

from daydreamer.errors import UserError
from ros_nodes import parameters, runtime


@pytest.fixture
def make_node():
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=33)
    nodes = []

    def make(*arguments):
        nodes.append(rclpy.create_node("actor", context=context, cli_args=["--ros-args", *arguments]))
        return nodes[-1]

    yield make
    for node in nodes:
        node.destroy_node()
    context.shutdown()


@pytest.mark.parametrize(
    "name, wrong",
    [
        ("diagnostics_period_s", "50.0"),
        ("diagnostics_period_s", "20"),
        ("diagnostics_period_s", "slow"),
        ("diagnostics_period_s", "true"),
        ("joy_axes", "[0.0, 1.0, 2.0, 3.0]"),
        ("joy_deadman_button", "-1"),
        ("joy_axes", "[0, 1]"),
        ("autostart", "7"),
        ("command_interface", "telepathy"),
    ],
)
def test_a_value_out_of_its_range_is_refused_by_name(make_node, name, wrong):
    with pytest.raises(UserError, match=name):
        parameters.declare(make_node("-p", f"{name}:={wrong}"))


def test_a_whole_number_is_taken_for_a_float(make_node):
    assert parameters.declare(make_node("-p", "diagnostics_period_s:=2")).diagnostics_period_s == 2.0
    node = make_node("-p", "rate_hz:=250", "-p", "stiffness:=[80, 90]", "-p", "name:=7", "-p", "empty:=[]")
    assert runtime.declare(node, "rate_hz", 100.0) == 250.0
    assert runtime.declare(node, "stiffness", [1.0, 1.0, 1.0]) == [80.0, 90.0]
    with pytest.raises(UserError, match="name"):
        runtime.declare(node, "name", "twin")


def test_a_misspelt_key_is_named_with_what_was_meant(make_node, tmp_path):
    path = tmp_path / "my.yaml"
    path.write_text("/**/actor: {ros__parameters: {auto_start: false}}")
    with pytest.raises(UserError, match="no parameter 'auto_start'; did you mean autostart"):
        parameters.declare(make_node("--params-file", str(path)))


@pytest.mark.parametrize("name", ["actor", "a1", "go2"])
def test_parameter_files_name_every_parameter_and_are_taken(make_node, pytestconfig, name):
    path = pytestconfig.rootpath / "config" / f"{name}.yaml"
    node = make_node("--params-file", str(path))
    assert parameters.declare(node).autostart is True
    values = yaml.safe_load(path.read_text())["/**/actor"]["ros__parameters"]
    declared = {name for name in node._parameters if name in parameters.ActorParameters.__dataclass_fields__}
    assert values.keys() == declared == parameters.ActorParameters.__dataclass_fields__.keys()
    for name in declared:
        assert node.describe_parameter(name).description
