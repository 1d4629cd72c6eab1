import msgspec
import mujoco
import numpy as np
import pytest

from daydreamer.config import RandomisationConfig, TwinConfig, parse_overrides, resolve
from daydreamer.errors import UserError
from daydreamer.robots.a1.constants import A1
from daydreamer.robots.a1.twin import make_twin
from daydreamer.robots.quadruped.description import JOINTS
from sim.description import Randomised
from sim.randomisation import DrawnRobot, draw_robot

ON = RandomisationConfig(enabled=True)
BODIES = 1 + JOINTS


def test_off_by_default_and_then_without_influence():
    plain = make_twin(TwinConfig(), seed=3)
    assert plain.drawn is None
    nothing = {name: (1.0, 1.0) for name in ("mass_scale", "motor_strength", "noise_scale")}
    nothing |= {"payload_kg": (0.0, 0.0), "friction": (0.8, 0.8), "command_latency_s": (0.004, 0.004)}
    same = make_twin(TwinConfig(randomisation=RandomisationConfig(enabled=True, **nothing)), seed=3)
    for twin in (plain, same):
        twin.command(A1.stand_pose_rad)
        twin.advance(0.2)
    np.testing.assert_allclose(same.measure()["joint_position_rad"], plain.measure()["joint_position_rad"], atol=1e-6)


def test_a_seed_draws_one_robot_and_another_seed_another():
    assert draw_robot(ON, 5, BODIES, JOINTS) == draw_robot(ON, 5, BODIES, JOINTS) != draw_robot(ON, 6, BODIES, JOINTS)


def test_draws_fill_their_ranges_and_do_not_leave_them():
    drawn = [draw_robot(ON, seed, BODIES, JOINTS) for seed in range(400)]
    for name in ("payload_kg", "friction", "command_latency_s", "noise_scale", "mass_scale", "motor_strength"):
        values = np.array([getattr(robot, name) for robot in drawn])
        low, high = getattr(ON, name)
        assert low <= values.min() and values.max() <= high, name
        assert values.min() < low + 0.05 * (high - low) and values.max() > high - 0.05 * (high - low), name
        assert values.mean() == pytest.approx((low + high) / 2, abs=0.1 * (high - low)), name
    forward, left = np.array([(robot.payload_forward_m, robot.payload_left_m) for robot in drawn]).T
    assert abs(np.corrcoef(forward, left)[0, 1]) < 0.2


def test_what_was_drawn_is_in_the_model_the_driver_and_the_sensors():
    config = TwinConfig(randomisation=ON)
    twin, plain = make_twin(config, seed=1), make_twin(TwinConfig(), seed=1)
    drawn = twin.drawn
    masses = plain.model.body_mass[1:] * drawn.mass_scale
    masses[0] += drawn.payload_kg
    np.testing.assert_allclose(twin.model.body_mass[1:], masses)
    assert twin.model.body_subtreemass[1] == pytest.approx(masses.sum())
    assert twin.model.geom("FL_foot").friction[0] == drawn.friction
    np.testing.assert_array_equal(twin.driver.strength, drawn.motor_strength)
    assert twin.config.command_latency_s == drawn.command_latency_s
    assert twin.config.angular_velocity_noise_rad_s == pytest.approx(0.02 * drawn.noise_scale)
    # The payload pulls the trunk's centre of mass to its side.
    shift = twin.model.body_ipos[1][:2] - plain.model.body_ipos[1][:2]
    assert np.all(np.sign(shift) == np.sign([drawn.payload_forward_m, drawn.payload_left_m - 0.0041]))


def test_every_drawn_robot_stands():
    for seed in range(6):
        twin = make_twin(TwinConfig(randomisation=ON), seed)
        twin.reset("standing")
        for _ in range(20):
            twin.command(A1.stand_pose_rad)
            twin.advance(0.05)
        assert twin.truth().height_m > 0.2, twin.drawn


def test_ranges_come_from_the_command_line_and_wrong_ones_are_refused():
    overrides = parse_overrides(["twin.randomisation.enabled=true", "twin.randomisation.friction=[0.2, 0.3]"])
    config = resolve(overrides).twin.randomisation
    assert config == msgspec.structs.replace(ON, friction=(0.2, 0.3))
    with pytest.raises(UserError, match="friction=.*lower end first"):
        draw_robot(msgspec.structs.replace(ON, friction=(0.3, 0.2)), 0, BODIES, JOINTS)
    with pytest.raises(UserError, match="mass_scale"):
        draw_robot(msgspec.structs.replace(ON, mass_scale=(0.0, 1.0)), 0, BODIES, JOINTS)
    with pytest.raises(UserError, match="not valid YAML"):
        parse_overrides(["twin.randomisation.friction=[0.2"])


def test_a_payload_is_heavy_where_it_lies_however_the_bodys_principal_axes_are_numbered():
    """MuJoCo numbers them by size: a trunk that is long in x has its largest inertia about z, and that comes first."""
    model = mujoco.MjModel.from_xml_string(
        '<mujoco><worldbody><body name="trunk"><freejoint/><geom size="0.1" mass="0"/>'
        '<inertial mass="5" pos="0 0 0.01" fullinertia="0.02 0.1 0.11 0 0 0"/></body></worldbody></mujoco>'
    )
    trunk = model.body("trunk").id
    drawn = DrawnRobot((1.0,), 5.0, 0.2, 0.0, 0.8, (), 0.0, 1.0)
    drawn.apply(model, Randomised(bodies=("trunk",), payload_body="trunk"), "toy")
    rotation = np.zeros(9)
    mujoco.mju_quat2Mat(rotation, model.body_iquat[trunk])
    rotation = rotation.reshape(3, 3)
    inertia = rotation @ np.diag(model.body_inertia[trunk]) @ rotation.T
    np.testing.assert_allclose(inertia, np.diag([0.02, 0.1 + 2.5 * 0.2**2, 0.11 + 2.5 * 0.2**2]), atol=1e-9)
    np.testing.assert_allclose(model.body_ipos[trunk], [0.1, 0.0, 0.01])
