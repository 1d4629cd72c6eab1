import ctypes.util
import os
import subprocess
import sys

import numpy as np
import pytest

from daydreamer.config import TwinConfig
from daydreamer.errors import SimulationUnstable, UserError
from daydreamer.robots.a1.constants import A1
from daydreamer.robots.a1.twin import make_twin
from daydreamer.robots.quadruped.task import QuadrupedWalkTask

NOISELESS = TwinConfig(
    joint_position_noise_rad=0.0,
    joint_velocity_noise_rad_s=0.0,
    orientation_noise_rad=0.0,
    angular_velocity_noise_rad_s=0.0,
    linear_acceleration_noise_m_s2=0.0,
)


def test_headings_differ_by_seed():
    headings = {round(make_twin(TwinConfig(), seed).truth().yaw_rad, 6) for seed in range(4)}
    assert len(headings) == 4


def test_noise_has_the_configured_deviations_and_no_bias():
    config = TwinConfig()
    twin, clean = make_twin(config, seed=0), make_twin(NOISELESS, seed=0)
    truth = clean.measure()
    samples = [twin.measure() for _ in range(4000)]
    for name, deviation in (
        ("joint_position_rad", config.joint_position_noise_rad),
        ("joint_velocity_rad_s", config.joint_velocity_noise_rad_s),
        ("angular_velocity_rad_s", config.angular_velocity_noise_rad_s),
        ("linear_acceleration_m_s2", config.linear_acceleration_noise_m_s2),
    ):
        errors = np.array([sample[name] - truth[name] for sample in samples])
        np.testing.assert_allclose(errors.std(axis=0), deviation, rtol=0.1, err_msg=name)
        np.testing.assert_allclose(errors.mean(axis=0), 0.0, atol=0.1 * deviation, err_msg=name)
    orientations = np.array([sample["orientation_wxyz"] for sample in samples])
    np.testing.assert_allclose(np.linalg.norm(orientations, axis=1), 1.0)
    angles = 2 * np.arccos(np.clip(np.abs(orientations @ truth["orientation_wxyz"]), 0, 1))
    assert np.sqrt(np.mean(angles**2)) == pytest.approx(np.sqrt(3) * config.orientation_noise_rad, rel=0.1)


def test_a_seed_repeats():
    def run(seed):
        twin, random = make_twin(TwinConfig(), seed), np.random.default_rng(1)
        for _ in range(40):
            twin.command(QuadrupedWalkTask(A1).joint_targets(random.uniform(-1, 1, 12)))
            twin.advance(0.05)
        return twin.measure()

    first, again, other = run(5), run(5), run(6)
    for field in ("joint_position_rad", "orientation_wxyz", "linear_acceleration_m_s2", "foot_force_n"):
        np.testing.assert_array_equal(first[field], again[field])
    assert not np.array_equal(first["joint_position_rad"], other["joint_position_rad"])


def test_a_reset_with_a_seed_is_a_new_twin():
    twin, new = make_twin(TwinConfig(), seed=5), make_twin(TwinConfig(), seed=6)
    twin.advance(0.5)
    twin.reset(seed=6)
    np.testing.assert_array_equal(twin.data.qpos, new.data.qpos)
    np.testing.assert_array_equal(twin.measure()["joint_position_rad"], new.measure()["joint_position_rad"])


def test_time_passes_only_in_advance_and_remainders_are_kept():
    twin = make_twin(TwinConfig(), seed=0)
    start = twin.time_s
    for _ in range(100):
        twin.advance(0.0013)
        twin.measure()
    assert twin.time_s - start == pytest.approx(0.13, abs=0.002)
    assert twin.measure().time_s == twin.time_s


def test_truth_velocity_is_in_the_robots_frame():
    twin = make_twin(TwinConfig(), seed=2)
    twin.reset("standing")
    yaw = twin.truth().yaw_rad
    twin.data.qvel[:3] = (0.5 * np.cos(yaw), 0.5 * np.sin(yaw), 0.0)
    np.testing.assert_allclose(twin.truth().velocity_m_s, [0.5, 0.0, 0.0], atol=0.03)


def test_an_unstable_simulation_is_reported(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    twin = make_twin(TwinConfig(), seed=0)
    twin.data.qvel[:] = 1e12
    with pytest.raises(SimulationUnstable, match="physics_timestep_s"):
        twin.advance(0.05)
    assert not list(tmp_path.iterdir())  # MuJoCo left no log file


@pytest.mark.parametrize("timestep_s", [0.0, 0.05])
def test_a_timestep_that_cannot_work_is_refused(timestep_s):
    with pytest.raises(UserError, match="physics_timestep_s"):
        make_twin(TwinConfig(physics_timestep_s=timestep_s), seed=0)


def test_a_state_in_which_it_cannot_begin_is_refused():
    with pytest.raises(UserError, match="cannot begin 'upside down'; choose one of on_its_back, standing"):
        make_twin(TwinConfig(), seed=0).reset("upside down")


CAMERA_SCRIPT = """
import numpy as np
from daydreamer.config import TwinConfig
from daydreamer.errors import SimulationUnstable, UserError
from daydreamer.robots.a1.twin import make_twin
try:
    twin = make_twin(TwinConfig(camera=True), seed=0)
except UserError as error:
    print("refused:", error)
    raise SystemExit
lying = twin.measure().get("camera")
assert lying.shape == (64, 64, 3) and lying.dtype == np.uint8 and lying.std() > 5, lying.std()
twin.advance(0.02)
assert twin.measure().get("camera") is lying
twin.advance(0.03)
assert twin.measure().get("camera") is not lying
twin.reset("standing")
standing = twin.measure().get("camera").astype(float)
assert np.abs(standing - lying).mean() > 5
# Sky above, floor below.
assert standing[:8].mean() > standing[-8:].mean() + 20
assert twin.render(120, 160, "side").shape == (120, 160, 3)
twin.close()
print("rendered")
"""


def run_camera_script(**environment):
    return run_script(CAMERA_SCRIPT, **environment)


def run_script(script, **environment):
    """In a process of its own: MuJoCo chooses its OpenGL once, and a broken one may take the process with it."""
    inherited = {key: value for key, value in os.environ.items() if key not in ("MUJOCO_GL", "PYOPENGL_PLATFORM")}
    return subprocess.run(
        [sys.executable, "-c", script],
        env=inherited | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))} | environment,
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_the_camera_shows_what_is_ahead_or_the_error_names_the_cure():
    result = run_camera_script()
    assert result.returncode == 0, result.stderr
    expected = "rendered" if ctypes.util.find_library("EGL") else "Install libegl1"
    assert expected in result.stdout, result.stdout


def test_loading_a_twin_starts_no_other_process():
    # As MuJoCo does to find GLFW; ended at once, as a worker of evaluate, it leaves that one complaining.
    script = "import sys; events = []; sys.addaudithook(lambda name, _: events.append(name)); import sim.twin; "
    result = run_script(script + "assert 'import' in events and 'subprocess.Popen' not in events")
    assert result.returncode == 0, result.stderr


def test_without_opengl_the_error_names_the_cure():
    # GLFW needs a display.
    result = run_camera_script(MUJOCO_GL="glfw", DISPLAY="", WAYLAND_DISPLAY="")
    assert result.returncode == 0, result.stderr
    assert "MUJOCO_GL=glfw failed" in result.stdout and "MUJOCO_GL=egl" in result.stdout
