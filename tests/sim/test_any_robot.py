"""What every twin shares, with robots that are no quadrupeds."""

import ctypes.util
import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest

from daydreamer.config import IncidentConfig, RandomisationConfig, TwinConfig
from daydreamer.errors import UserError
from sim.description import IncidentKind, Sensor
from sim.incidents import IncidentPlayer, kinds_of
from sim.rehearsal import measure
from sim.twin import Twin

sys.path.insert(0, str(Path(__file__).parent))
from toys import WHEEL_RADIUS_M, WHEELBASE_M, describe_arm, describe_cart  # noqa: E402


def drive(twin, speeds_rad_s, seconds):
    for _ in range(round(seconds / 0.1)):
        twin.command(np.array(speeds_rad_s))
        twin.advance(0.1)


def test_a_cart_drives_straight_turns_and_stops_when_it_is_told_nothing(tmp_path):
    twin = Twin(describe_cart(tmp_path), TwinConfig(), seed=0)
    assert twin.joint_names == ("left_wheel", "right_wheel")
    drive(twin, (6.0, 6.0), 2.0)
    truth = twin.truth()
    assert truth.velocity_m_s[0] == pytest.approx(6.0 * WHEEL_RADIUS_M, rel=0.05) and abs(truth.yaw_rad) < 0.05
    assert truth.height_m == pytest.approx(WHEEL_RADIUS_M, abs=0.002)
    np.testing.assert_allclose(twin.read()["joint_velocity_rad_s"], 6.0, atol=0.4)
    drive(twin, (-3.0, 3.0), 1.0)  # anticlockwise, seen from above
    turning_rad_s = 2 * 3.0 * WHEEL_RADIUS_M / WHEELBASE_M
    assert twin.read()["angular_velocity_rad_s"][2] == pytest.approx(turning_rad_s, rel=0.1)
    twin.advance(1.5)  # the driver's own timeout
    assert twin.driver.damping and np.abs(twin.truth().velocity_m_s).max() < 0.01


def test_what_a_robot_does_not_sense_is_not_in_its_measurement(tmp_path):
    measurement = Twin(describe_cart(tmp_path), TwinConfig(), seed=0).measure()
    assert set(measurement.values) == {sensor.signal for sensor in describe_cart(tmp_path).sensors}
    assert measurement["joint_velocity_rad_s"].shape == (2,)


def test_only_what_a_robot_has_can_go_wrong_with_it(tmp_path):
    cart, arm = Twin(describe_cart(tmp_path), TwinConfig(), 0), Twin(describe_arm(tmp_path), TwinConfig(), 0)
    assert "imu_bias" in kinds_of(cart) and "frozen_encoder" not in kinds_of(cart)
    assert "imu_bias" not in kinds_of(arm) and "frozen_encoder" in kinds_of(arm)
    assert "leg_stops" not in kinds_of(cart) | kinds_of(arm)
    with pytest.raises(UserError, match="no incident 'imu_bias'; choose one of dropped_messages"):
        IncidentPlayer(arm, 0, [IncidentConfig(kind="imu_bias", start_s=0.0)])
    begun = set()
    for twin in (cart, arm):
        player = IncidentPlayer(twin, 0, random_per_minute=30.0)
        for tick in range(6000):
            begun |= {change.incident.kind for change in player.update(tick * 0.1) if change.began}
            measure(twin, player)
    assert begun == kinds_of(cart).keys() | kinds_of(arm).keys()


def test_a_robot_brings_incidents_of_its_own(tmp_path):
    def slips(twin, incident):
        twin.driver.strength[twin.joint_names.index(incident.target)] = incident.magnitude

    kind = IncidentKind("a tyre slips", target="tyre", targets=("left_wheel", "right_wheel"), effect=slips)
    twin = Twin(dataclasses.replace(describe_cart(tmp_path), incidents={"slips": kind}), TwinConfig(), 0)
    script = [IncidentConfig(kind="slips", start_s=0.0, duration_s=1.0, magnitude=0.1, target="right_wheel")]
    player = IncidentPlayer(twin, 0, script)
    player.update(0.5)
    assert twin.driver.strength.tolist() == [1.0, 0.1]
    player.update(1.5)
    assert twin.driver.strength.tolist() == [1.0, 1.0]
    with pytest.raises(UserError, match="it takes tyre of left_wheel, right_wheel"):
        IncidentPlayer(twin, 0, [IncidentConfig(kind="slips", start_s=0.0, target="caster")])


def test_randomisation_changes_what_the_description_names(tmp_path):
    description = describe_cart(tmp_path)
    plain, config = Twin(description, TwinConfig(), 0), TwinConfig(randomisation=RandomisationConfig(enabled=True))
    twin = Twin(description, config, 0)
    drawn = twin.drawn
    assert len(drawn.mass_scale) == 1 and len(drawn.motor_strength) == 2
    assert twin.model.body("chassis").mass == plain.model.body("chassis").mass * drawn.mass_scale[0]  # and no payload
    assert twin.model.body("pole").mass == plain.model.body("pole").mass
    assert twin.model.geom("left_tyre").friction[0] == drawn.friction
    assert twin.model.geom("floor").friction[0] == 1.0
    errors = np.array([twin.read()["joint_velocity_rad_s"] for _ in range(2000)]) - twin.data.sensordata[[1, 0]]
    assert errors.std() == pytest.approx(0.05 * drawn.noise_scale, rel=0.1)


@pytest.mark.skipif(not ctypes.util.find_library("EGL"), reason="needs OpenGL")
def test_a_camera_has_a_rate_of_its_own(tmp_path):
    twin = Twin(describe_cart(tmp_path), TwinConfig(camera=True), seed=0)
    pictures = [twin.read()["image"]]
    for _ in range(20):
        twin.advance(0.05)
        pictures.append(twin.read()["image"])
    assert len({id(picture) for picture in pictures}) == 1 + 5
    assert pictures[-1].shape == (32, 48, 3)
    assert pictures[-1][16, 24, 0] > pictures[-1][16, 24, 1]  # the goal ahead is red
    with pytest.raises(UserError, match="no camera 'side'.*it has front"):
        twin.render()
    twin.close()


def test_an_arm_goes_where_it_is_told_but_for_the_play_of_its_gears(tmp_path):
    twin = Twin(describe_arm(tmp_path), TwinConfig(), seed=0)
    for _ in range(40):
        twin.command(np.array((-0.8, 1.2)))
        twin.advance(0.05)
    angles_rad = twin.read()["joint_position_rad"]
    np.testing.assert_array_equal(angles_rad, twin.data.qpos[1:])  # it has no noise
    np.testing.assert_allclose(angles_rad, (-0.8, 1.2), atol=0.05)
    truth = twin.truth()
    assert not truth.velocity_m_s.any() and truth.up_z == 1.0
    twin.command(None)
    twin.advance(1.0)
    assert twin.data.qpos[1] > 0.0  # it has fallen


def test_a_stuck_encoder_is_read_by_driver_and_sensor(tmp_path):
    twin = Twin(describe_arm(tmp_path), TwinConfig(), seed=0)
    player = IncidentPlayer(twin, 0, [IncidentConfig(kind="frozen_encoder", start_s=0.0, target="elbow")])
    player.update(0.0)
    stuck_rad = twin.read()["joint_position_rad"][1]
    for _ in range(10):
        twin.command(np.array((0.0, 0.5)))
        twin.advance(0.1)
    assert twin.read()["joint_position_rad"][1] == stuck_rad
    assert twin.data.qpos[2] > 0.55  # the servo, which sees no progress, goes on


@pytest.mark.parametrize(
    "changes, sentence",
    [
        ({"sensors": (Sensor("x", ("shoulder_angle", "wrist_angle")),)}, "no sensor 'wrist_angle'.*shoulder_angle, el"),
        ({"motors": ("shoulder", "gripper")}, "no actuator 'gripper'.*it has shoulder, elbow, vendors_servo"),
        ({"base": "base_link"}, "no body 'base_link'.*world, table, drawer, upper, lower"),
        ({"motors": ("shoulder", "vendors_servo")}, "'vendors_servo' of the twin of 'arm' is no plain motor"),
        ({"motors": ("shoulder",)}, "'joint_position_rad' of the twin of 'arm' must have a sensor for each motor"),
    ],
)
def test_a_name_that_the_model_lacks_is_named(tmp_path, changes, sentence):
    description = dataclasses.replace(describe_arm(tmp_path), **changes)
    with pytest.raises(UserError, match=sentence):
        Twin(description, TwinConfig(), seed=0)


def test_an_orientation_has_a_signal_of_its_own(tmp_path):
    sensors = (Sensor("imu", ("gyroscope", "orientation")),)
    with pytest.raises(UserError, match="'imu' of the twin of 'cart' has an orientation among other sensors"):
        Twin(dataclasses.replace(describe_cart(tmp_path), sensors=sensors), TwinConfig(), seed=0)


def test_it_may_begin_in_several_ways(tmp_path):
    twin = Twin(describe_arm(tmp_path), TwinConfig(), seed=0)
    np.testing.assert_allclose(twin.data.qpos[1:], 0.0, atol=0.1)
    twin.reset("bent")
    assert twin.data.qpos.tolist() == [0.0, -0.5, 1.0] and twin.time_s == 0.0
