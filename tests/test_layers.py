"""Who may import whom: nothing runs upwards, and only commands and robots' twins know the simulator, or ROS."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "daydreamer"
FLOORS = (
    {
        "accelerators",
        "environment",
        "errors",
        "texts",
        "spec",
        "presentation",
        "timing",
        "pacer",
        "periodic",
        "scheduling",
        "compilation",
    },
    {"config", "storage", "stop_request"},
    {"contract", "models", "middleware", "random_actions"},
    {"safety", "behavior"},
    {"robots", "policy"},
    {"experience"},
    {"session", "replay"},
    {"telemetry", "processes"},
    {"actor", "learner"},
    {"lockstep", "demonstration", "doctor", "export", "instrument", "labelling", "report", "viewer"},
    {"conformance", "evaluation"},
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
            if root == "daydreamer" and rest:
                room = rest.partition(".")[0]
                if room != room_of(path) and FLOOR_OF[room] >= floor:
                    upwards.append(f"{path.relative_to(PACKAGE)} imports {module}")
    assert not upwards, upwards


def test_every_module_lives_on_a_floor():
    assert {room_of(path) for path in PACKAGE.rglob("*.py")} - {"__init__"} == FLOOR_OF.keys()


def is_twin(path):
    """Whether a file describes a robot's twin: the only ones of the robots' that know the simulator."""
    return room_of(path) == "robots" and path.name == "twin.py"


def is_twin_or_driver(module):
    below = module.split(".")[3:4]
    return module.startswith("daydreamer.robots.") and bool(below) and below[0].endswith(("twin", "driver_node"))


def test_the_drawing_in_the_documentation_is_this_one():
    text = (PACKAGE.parent / "docs/architecture.md").read_text()
    drawn = [line.split()[1:] for line in text.splitlines() if line.strip()[:1].isdigit() and line.startswith("    ")]
    assert [set(rooms) for rooms in reversed(drawn)] == list(FLOORS)


def is_driver(path):
    return room_of(path) == "robots" and path.name.endswith("driver_node.py")


def test_only_the_commands_twins_and_drivers_know_of_simulator_and_ros():
    found = {
        room_of(path)
        for path in PACKAGE.rglob("*.py")
        if not (is_twin(path) or is_driver(path)) and OUTSIDE & {module.partition(".")[0] for module in imports(path)}
    }
    assert found <= {"cli"}


def test_twins_know_no_ros_and_nobody_imports_twins_or_drivers():
    """By name, as `daydreamer.robots.registry` does, they are loaded when one is wanted."""
    importers = []
    for path in PACKAGE.rglob("*.py"):
        modules = list(imports(path))
        if is_twin(path):
            assert not {"ros_nodes", "rclpy"} & {module.partition(".")[0] for module in modules}, path
        elif any(is_twin_or_driver(module) for module in modules) and not is_driver(path):
            importers.append(path)
    assert not importers, importers
