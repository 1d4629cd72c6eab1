"""What `pip install .` leaves behind is what ros2 run and ros2 launch look for."""

import importlib.metadata
import os
import subprocess
import tomllib
import xml.etree.ElementTree
from importlib.resources import files
from pathlib import Path

import pytest

import daydreamer

EXECUTABLES = (
    "actor_node",
    "dashboard",
    "keeper",
    "learner",
    "narrator",
    "replay_node",
    "twin_node",
    "so101_node",
    "ur5e_node",
    "unitree_a1_node",
    "unitree_go2_node",
)


@pytest.fixture(scope="module")
def prefix() -> Path:
    """Prefix that daydreamer is installed under; an import from the checkout has none."""
    try:
        distribution = importlib.metadata.distribution("daydreamer")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("daydreamer is not installed")
    markers = [path for path in distribution.files or () if path.match("resource_index/packages/daydreamer")]
    if not markers:
        pytest.skip("daydreamer is installed editable, which leaves out the data files")
    return distribution.locate_file(markers[0]).resolve().parents[4]


def test_versions_agree():
    checkout = Path(__file__).parents[1]
    # colcon reads package.xml, where nothing can be derived; all else asks the package.
    package = xml.etree.ElementTree.parse(checkout / "package.xml").getroot()
    assert package.findtext("version") == daydreamer.__version__
    project = tomllib.loads((checkout / "pyproject.toml").read_text())
    assert "version" in project["project"]["dynamic"]
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "daydreamer.__version__"}


def test_robot_model_is_packed():
    assert files("daydreamer.robots.a1").joinpath("a1.xml").read_text().lstrip().startswith("<")


def test_ros_package_is_complete(prefix):
    assert (prefix / "share/daydreamer/package.xml").is_file()
    for launch_file in ("walk", "twin", "replay"):
        assert (prefix / f"share/daydreamer/launch/{launch_file}.launch.py").is_file()
    for parameters in ("actor", "a1", "go2", "ros2_control"):
        assert (prefix / f"share/daydreamer/config/{parameters}.yaml").is_file()
    executables = {path.name for path in (prefix / "lib/daydreamer").iterdir() if os.access(path, os.X_OK)}
    assert executables == set(EXECUTABLES)


@pytest.mark.parametrize("executable", EXECUTABLES)
def test_executable_finds_its_python(executable, prefix, tmp_path):
    # Nothing of the venv on PATH, as where a service manager starts it, and a folder that could shadow modules.
    (tmp_path / "daydreamer.py").write_text("raise SystemExit('shadowed')")
    environment = os.environ | {"PATH": "/usr/bin:/bin"}
    for name in ("PYTHONPATH", "VIRTUAL_ENV"):
        environment.pop(name, None)
    result = subprocess.run(
        [prefix / "lib/daydreamer" / executable, "--help"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr
    assert f"usage: {executable}" in result.stdout
