"""The machine is not ours: no home directory, an OpenGL that is not there, a GPU that nobody uses."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from daydreamer import accelerators
from daydreamer.accelerators import GPU_SETTINGS, found_gpus
from daydreamer.config import LearnerConfig
from daydreamer.session.new import configure

REPOSITORY = Path(__file__).parents[1]


def run(script, **environment):
    inherited = dict(os.environ)
    of_ours = (
        "MUJOCO_GL",
        "XDG_CACHE_HOME",
        "HOME",
        "JAX_COMPILATION_CACHE_DIR",
        "JAX_PLATFORMS",
        "CUDA_VISIBLE_DEVICES",
    )
    for name in of_ours:
        inherited.pop(name, None)
    result = subprocess.run(
        [sys.executable, "-c", script],
        env=inherited | {"PYTHONPATH": str(REPOSITORY)} | environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.parametrize("platform", ["osmesa", "egl", "glfw", "nonsense"])
def test_a_twin_without_a_camera_needs_no_opengl(platform):
    """Whatever the shell asks for; libosmesa6 is on few machines."""
    script = (
        "import os; from daydreamer.robots.a1.twin import make_twin; from daydreamer.config import TwinConfig\n"
        "twin = make_twin(TwinConfig(), 0); twin.advance(0.05); twin.close(); print(os.environ['MUJOCO_GL'])"
    )
    assert run(script, MUJOCO_GL=platform).strip() == platform


def test_a_user_without_home_and_name_goes_on_without_a_cache():
    if os.geteuid():
        pytest.skip("only root can become somebody else")
    script = (
        "import os, jax; from daydreamer.compilation import keep_compilations\n"
        "os.setgroups([]), os.setgid(54321), os.setuid(54321)\n"
        "keep_compilations(); print(jax.config.jax_compilation_cache_dir)"
    )
    assert run(script).strip() == "None"


def driver_with_gpus(path, count):
    for address in range(count):
        (path / f"0000:0{address}:00.0").mkdir(parents=True)
    return path


def test_gpus_are_counted(tmp_path):
    assert found_gpus(tmp_path / "none") == 0
    assert found_gpus(driver_with_gpus(tmp_path / "gpus", 2)) == 2


@pytest.mark.parametrize(
    ("installed", "environment", "usable"),
    [
        (True, {}, "2"),
        (False, {}, "0"),
        (True, {"JAX_PLATFORMS": "cpu"}, "0"),
        (True, {"JAX_PLATFORMS": "cuda,cpu"}, "2"),
        (True, {"CUDA_VISIBLE_DEVICES": ""}, "0"),
    ],
)
def test_gpus_that_jax_can_use_are_told_from_those_it_cannot(tmp_path, installed, environment, usable):
    if installed:
        (tmp_path / "jax_plugins/xla_cuda12").mkdir(parents=True)
        (tmp_path / "jax_plugins/xla_cuda12/__init__.py").touch()
    gpus = driver_with_gpus(tmp_path / "gpus", 2)
    script = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from pathlib import Path\n"
    script += f"from daydreamer import accelerators; print(accelerators.usable_gpus(Path({str(gpus)!r})))\n"
    script += "assert 'jax' not in sys.modules"
    assert run(script, **environment).strip() == usable


def test_a_gpus_settings_are_chosen_by_themselves_and_give_way(monkeypatch):
    """To a preset with sizes of its own, and to what an operator says; without a GPU nothing changes."""
    monkeypatch.setattr(accelerators, "usable_gpus", lambda: 1)
    chosen = configure(robot="a1", minutes=1.0, seed=0, overrides=["learner.imagination_horizon=7"]).learner
    assert chosen.train_ratio == GPU_SETTINGS["learner"]["train_ratio"] and chosen.imagination_horizon == 7
    tiny = configure(robot="a1", minutes=1.0, seed=0, preset="tiny").learner
    assert tiny.batch_size == 4
    monkeypatch.setattr(accelerators, "usable_gpus", lambda: 0)
    assert configure(robot="a1", minutes=1.0, seed=0, preset="tiny").learner == tiny
    assert configure(robot="a1", minutes=1.0, seed=0).learner.train_ratio == LearnerConfig().train_ratio
