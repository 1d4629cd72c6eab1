"""Who may import whom: nothing runs upwards, and only commands and robots' twins know the simulator, or ROS."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "daydreamer"
FLOORS = (
    {"errors", "texts", "spec", "timing", "periodic", "scheduling", "compilation"},
    {"config", "storage", "stop_request"},
    {"robots", "models", "middleware"},
    {"safety", "behavior"},
    {"policy"},
    {"experience"},
    {"session", "replay"},
    {"telemetry", "processes"},
    {"actor", "learner"},
    {"lockstep", "doctor", "report", "viewer"},
    {"cli"},
)
"""From the ground up; whoever lives on one floor knows those below, and nobody beside it."""
OUTSIDE = {"sim", "ros_nodes", "mujoco", "dm_control", "rclpy"}
FLOOR_OF = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}


def imports(path):
    """Modules that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("floor", range(len(FLOORS)))
def test_no_import_runs_upwards(floor):
    upwards = []
    for path in (path for path in PACKAGE.rglob("*.py") if FLOOR_OF.get(room_of(path)) == floor):
        for module in imports(path):
            root, _, rest = module.partition(".")
            if root == "daydreamer":
                room = rest.partition(".")[0]
                if room != room_of(path) and FLOOR_OF[room] >= floor:
                    upwards.append(f"{path.relative_to(PACKAGE)} imports {module}")
    assert not upwards, upwards


def test_every_module_lives_on_a_floor():
    assert {room_of(path) for path in PACKAGE.rglob("*.py")} - {"__init__"} == FLOOR_OF.keys()


def is_twin(path):
    """Whether a file describes a robot's twin: the only ones of the robots' that know the simulator."""
    return room_of(path) == "robots" and path.name == "twin.py"


def test_only_the_commands_and_twins_know_of_simulator_and_ros():
    found = {
        room_of(path)
        for path in PACKAGE.rglob("*.py")
        if not is_twin(path) and OUTSIDE & {module.partition(".")[0] for module in imports(path)}
    }
    assert found <= {"cli"}


def test_twins_know_no_ros_and_nobody_else_imports_them():
    """By name, as `sim.twins.make_twin` does, they are loaded when one is wanted, and only then is MuJoCo."""
    importers = []
    for path in PACKAGE.rglob("*.py"):
        modules = list(imports(path))
        if is_twin(path):
            assert not {"ros_nodes", "rclpy"} & {module.partition(".")[0] for module in modules}, path
        elif any(module.startswith("daydreamer.robots.") and "twin" in module.split(".")[3:4] for module in modules):
            importers.append(path)
    assert not importers, importers
