import math

import numpy as np
import pytest

from daydreamer.contract.signals import Measurement
from daydreamer.robots.a1.constants import A1
from daydreamer.robots.quadruped.task import QuadrupedWalkTask
from daydreamer.robots.sensor_watch import ChargeUnit, SensorWatch, TemperatureUnit, ratio_words

TASK = QuadrupedWalkTask(A1)
PERIOD_S = 0.05
ON_BACK = np.array([0.0, 1.0, 0.0, 0.0])


def charges(*reported):
    unit = ChargeUnit()
    return [round(unit(value), 4) for value in reported], unit.percent


def test_a_charge_of_a_hundred_is_taken_for_percent():
    assert charges(9.0) == ([0.09], True)
    assert charges(0.9, 0.9, 0.15) == ([0.9, 0.9, 0.15], False)
    assert charges(1.0, 1.02) == ([1.0, 1.0], False)
    # A driver that counts to 100 still does when there is 1 % left, or less.
    assert charges(100.0, 50.0, 2.0, 1.0, 0.4) == ([1.0, 0.5, 0.02, 0.01, 0.004], True)


def test_one_glitch_does_not_change_the_unit_of_a_charge():
    assert charges(0.9, 50.0, 0.9, 50.0, 0.9) == ([0.9, 0.5, 0.9, 0.5, 0.9], False)


@pytest.mark.parametrize("reported", [-0.1, 120.0, math.inf, math.nan])
def test_what_is_no_charge_in_any_unit_is_refused(reported):
    with pytest.raises(ValueError, match="BatteryState.percentage is 0 to 1"):
        ChargeUnit()(reported)


def temperatures(*reported):
    unit = TemperatureUnit()
    return [round(unit(value), 2) for value in reported]


def test_kelvin_are_taken_for_kelvin_and_degrees_for_degrees():
    assert temperatures(300.0, 310.0) == [26.85, 36.85]
    assert temperatures(40.0, 41.0, 80.0) == [40.0, 41.0, 80.0]
    # Many drivers send zeros until they know.
    assert temperatures(0.0, 300.0, 300.0, 300.0)[-1] == 26.85
    # One glitch is not kelvin, and a motor that was hot and is hotter now is on fire.
    assert temperatures(40.0, 250.0, 40.0) == [40.0, 250.0, 40.0]
    assert temperatures(40.0, 150.0, *[250.0] * 5)[-1] == 250.0


def rotation_about_x(angle_rad):
    return np.array([math.cos(angle_rad / 2), math.sin(angle_rad / 2), 0.0, 0.0])


class Motion:
    """A robot whose joints and trunk swing; what is otherwise is up to each test."""

    def __init__(self, unloaded_n=(), base=0.0):
        self.watch = SensorWatch(TASK.spec, TASK.embodiment, unloaded_n)
        self.base = base
        self.kinds = []
        self.texts = []
        self.time_s = 0.0

    def run(self, seconds, force_n=np.zeros(4), amplitude=0.4, change=lambda fields: None):
        for _ in range(round(seconds / PERIOD_S)):
            self.time_s += PERIOD_S
            phase = 2 * math.pi * 1.5 * self.time_s
            swing, rate = math.sin(phase), 2 * math.pi * 1.5 * math.cos(phase)
            fields = {
                "joint_position_rad": A1.stand_pose_rad + amplitude * swing,
                "joint_velocity_rad_s": np.full(12, amplitude * rate),
                "orientation_wxyz": rotation_about_x(self.base + 0.1 * swing),
                "angular_velocity_rad_s": np.array([0.1 * rate, 0.0, 0.0]),
                "linear_acceleration_m_s2": np.array([0.0, 0.0, 9.81]),
                "foot_force_n": np.array(force_n(phase) if callable(force_n) else force_n, float),
            }
            change(fields)
            fields["foot_force_n"] = self.watch.feet(fields["foot_force_n"])
            for remark in self.watch.look(Measurement(self.time_s, fields)):
                self.kinds.append(remark.kind)
                self.texts.append(remark.text)
        return self


def trot(phase):
    """Every foot is loaded half of the time."""
    return np.where(np.array([1, -1, -1, 1]) * math.sin(phase) > 0, 60.0, 0.0)


def test_a_healthy_robot_that_walks_is_not_remarked_on():
    assert Motion().run(120, trot).kinds == []
    noise = np.random.default_rng(0)

    def disturb(fields):
        fields["joint_velocity_rad_s"] = fields["joint_velocity_rad_s"] + noise.normal(0, 0.3, 12)
        fields["linear_acceleration_m_s2"] = np.array([0.0, 0.0, 9.81]) + noise.normal(0, 6.0, 3)

    assert Motion().run(120, trot, change=disturb).kinds == []


def test_a_robot_that_stands_still_is_not_remarked_on():
    assert Motion().run(120, np.full(4, 30.0), amplitude=0.001).kinds == []
    assert Motion().run(120, np.zeros(4), amplitude=0.001).kinds == []


@pytest.mark.parametrize(
    "factor, words",
    [
        (57.3, "degrees a second"),
        (9.55, "turns a minute"),
        (-1.0, "the sign is wrong; rad/s is wanted"),
        (0.0, "it stays near zero"),
        (1000.0, "another unit"),
        (-57.3, "the sign is wrong and it is in degrees a second"),
    ],
)
@pytest.mark.parametrize(
    "field, kind", [("joint_velocity_rad_s", "joint_velocity_unit"), ("angular_velocity_rad_s", "gyroscope_unit")]
)
def test_a_velocity_in_another_unit_is_named(field, kind, factor, words):
    def change(fields):
        fields[field] = factor * fields[field]

    motion = Motion().run(10, trot, change=change)
    assert set(motion.kinds) == {kind}
    assert words in motion.texts[0]


def test_one_joint_with_a_wrong_sign_is_named_alone():
    def change(fields):
        fields["joint_velocity_rad_s"][2] *= -1

    motion = Motion().run(10, trot, change=change)
    assert "velocity of FR_calf_joint is -" in motion.texts[0] and "more" not in motion.texts[0]


@pytest.mark.parametrize(
    "scale, words", [(1 / 9.81, "it is in g; multiply by 9.81"), (0.0, "gravity has been taken out"), (2.0, "unit")]
)
def test_an_accelerometer_in_another_unit_is_named(scale, words):
    def change(fields):
        fields["linear_acceleration_m_s2"] = scale * fields["linear_acceleration_m_s2"]

    motion = Motion().run(20, trot, change=change)
    assert set(motion.kinds) == {"accelerometer_unit"} and words in motion.texts[0]


def test_feet_with_an_offset_are_measured_while_the_robot_lies_on_its_back():
    motion = Motion(base=math.pi).run(3, np.array([15.0, 14.0, 0.5, -8.0]), amplitude=0.01)
    assert motion.kinds == ["foot_offset"] and "[15.0, 14.0, 0.5, -8.0] N" in motion.texts[0]
    np.testing.assert_allclose(motion.watch.feet(np.full(4, 15.0)), [0.0, 1.0, 15.0, 23.0])
    # It is said once, and walking with the offset is nothing odd any more.
    motion.base = 0.0
    assert motion.run(60, lambda phase: trot(phase) + (15.0, 14.0, 0.5, -8.0)).kinds == ["foot_offset"]


def test_feet_without_an_offset_are_left_to_the_bit():
    motion = Motion(base=math.pi).run(5, np.array([0.0, 1.0, 2.0, 0.0]), amplitude=0.01)
    force_n = np.array([1.0, 2.0, 3.0, 4.0])
    assert motion.watch.feet(force_n) is force_n and not motion.kinds


def test_feet_that_are_pressed_while_it_lies_on_its_back_are_no_offset():
    assert Motion(base=math.pi).run(5, trot, amplitude=0.01).kinds == []
    # Nor is the impact of its legs when it rolls.
    assert Motion(base=math.pi).run(5, np.full(4, 20.0), amplitude=0.6).kinds == []


def test_what_is_known_of_the_feet_is_not_measured_but_compared():
    motion = Motion([15.0], base=math.pi).run(3, np.full(4, 15.0), amplitude=0.01)
    assert motion.kinds == [] and motion.watch.feet(np.full(4, 15.0)).tolist() == [0.0] * 4
    motion = Motion([15.0], base=math.pi).run(3, np.full(4, 30.0), amplitude=0.01)
    assert set(motion.kinds) == {"foot_offset"} and "set it anew" in motion.texts[0]


def test_a_foot_that_is_always_or_never_loaded_is_named():
    offset = Motion().run(61, lambda phase: trot(phase) + (15.0, 0.0, 0.0, 0.0))
    assert set(offset.kinds) == {"foot_always_loaded"}
    assert "FR_foot has read more than 10 N" in offset.texts[0] and "foot_force_unloaded_n" in offset.texts[0]
    dead = Motion().run(61, lambda phase: trot(phase) * (1.0, 1.0, 1.0, 0.05))
    assert set(dead.kinds) == {"foot_never_loaded"} and "RL_foot has not read 10 N once" in dead.texts[0]


def test_a_gap_begins_anew():
    motion = Motion(base=math.pi).run(0.6, np.full(4, 15.0), amplitude=0.01)
    motion.time_s += 5.0
    assert motion.run(0.6, np.full(4, 15.0), amplitude=0.01).kinds == []


def test_ratios_are_put_in_words():
    assert "kilo-units" in ratio_words(0.001) and "two publish" in ratio_words(0.0023)
    assert ratio_words(-2.0).startswith("the sign is wrong;")
