"""The machine is not ours: no home directory, an OpenGL that is not there, a GPU that nobody uses."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from daydreamer.learner.learner import idle_gpus

REPOSITORY = Path(__file__).parents[1]


def run(script, **environment):
    inherited = dict(os.environ)
    for name in ("MUJOCO_GL", "XDG_CACHE_HOME", "HOME", "JAX_COMPILATION_CACHE_DIR"):
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


def test_gpus_that_nobody_uses_are_counted(tmp_path):
    assert idle_gpus(tmp_path / "none") == 0
    for address in ("0000:01:00.0", "0000:02:00.0"):
        (tmp_path / "gpus" / address).mkdir(parents=True)
    assert idle_gpus(tmp_path / "gpus") == 2
