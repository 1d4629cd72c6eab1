"""A second SO-101 that leads the first one: played on a pseudo-terminal, and moved by the hand of a test."""

import contextlib
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parent))
from feetech_stand_in import GRIPPER_LOWER, FeetechStandIn, calibration

from daydreamer.cli.hands import KeyboardHand
from daydreamer.contract.leader import LeaderOptions
from daydreamer.contract.signals import JOINT_POSITION, JOINT_VELOCITY, Measurement
from daydreamer.demonstration.by_hand import HandLost, HandRequest
from daydreamer.demonstration.by_leader import HOLD_S, LeaderHand
from daydreamer.errors import UserError
from daydreamer.robots.arm.sight import ABOVE
from daydreamer.robots.registry import find_robot
from daydreamer.robots.so101 import feetech, kinematics
from daydreamer.robots.so101.bus import SerialPort, ServoBus
from daydreamer.robots.so101.constants import CLOSED_RAD, JOINTS, OPEN_RAD
from daydreamer.robots.so101.leader import ANSWER_S, NAMES, SILENT_S, LeaderArm, open_leader
from daydreamer.robots.so101.pick_place_fine import BEGIN_YAW_RAD, STEP_GRIPPER_RAD, PickPlaceFine
from daydreamer.robots.so101.servos import ArmServos

TOLD_M = np.array((0.185, 0.03, 0.06))
PICTURE = np.full((64, 64, 3), 90, np.uint8)


def joints(tool_m=TOLD_M, gripper_rad=OPEN_RAD, yaw_rad=BEGIN_YAW_RAD):
    return np.array((*kinematics.downwards(np.asarray(tool_m), yaw_rad), gripper_rad))


def observe(task, told_rad, joints_rad=None):
    joints_rad = told_rad if joints_rad is None else joints_rad
    measured = {JOINT_POSITION: joints_rad, JOINT_VELOCITY: np.zeros(6), ABOVE: PICTURE}
    task.observe(Measurement(0.0, measured), told_rad)


@pytest.fixture
def arm():
    with contextlib.closing(FeetechStandIn(joints())) as arm:
        yield arm


@pytest.fixture
def task():
    task = PickPlaceFine(seed=0)
    observe(task, joints())
    return task


class Clock:
    now_s = 100.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def leader(arm, task, clock):
    with contextlib.closing(SerialPort(arm.port, NAMES)) as port:
        yield LeaderArm(ArmServos(ServoBus(port, ANSWER_S), names=NAMES, handle=True), task, clock)


@pytest.fixture
def hand(task, leader, clock):
    keys, said = KeyboardHand(task, clock), []
    hand = LeaderHand(task, leader, keys, said.append, clock)
    hand.said, hand.type = said, lambda typed: keys.take(typed, clock())
    return hand


def refusal(task, **options):
    with pytest.raises(UserError) as refused, open_leader(task, LeaderOptions(**options)):
        pass
    return str(refused.value)


def test_nothing_is_written_to_a_leader_and_one_with_torque_is_refused(arm, task, leader):
    leader.look()
    instructions = {packet[4] for packet in arm.received}
    assert instructions == {feetech.PING, feetech.READ, feetech.SYNC_READ} and not any(arm.torque)
    with contextlib.closing(FeetechStandIn(joints())) as driven:
        driven.servos[4].set(feetech.TORQUE_ENABLE, 1)
        said = refusal(task, port=driven.port)
    assert "Servo 4 (wrist_flex) at /dev/pts/" in said and "this arm is driven" in said and "--leader-port" in said


def test_what_is_no_leader_is_refused_in_words_of_the_command(arm, task, tmp_path):
    assert "Give --leader-port the adapter of the leader arm; there are " in refusal(task)
    assert "plug the adapter in, or give --leader-port another one; there are" in refusal(
        task, port=str(tmp_path / "ttyACM1")
    )
    ranges = dict(zip(JOINTS, calibration(), strict=True))
    ranges["elbow_flex"] = (17, *ranges["elbow_flex"][1:])
    keys = ("id", "homing_offset", "range_min", "range_max")
    file = {name: dict(zip(keys, (servo, *own), strict=True)) for servo, (name, own) in enumerate(ranges.items(), 1)}
    (tmp_path / "arm.json").write_text(json.dumps(file))
    said = refusal(task, port=arm.port, calibration=tmp_path / "arm.json")
    assert "calibration of another arm: for elbow_flex" in said and "Give --calibration the file of this arm" in said
    arm.doubled = {2}
    assert "Two servos of the leader arm seem to have the id of 2" in refusal(task, port=arm.port)
    arm.doubled.clear()
    del arm.servos[5]
    assert "Servo 5 (wrist_roll) of the leader arm does not answer" in refusal(task, port=arm.port)
    with pytest.raises(UserError, match="Nothing leads 'so101' in the task 'pick_place'; there are leaders of so101 p"):
        find_robot("so101").leader("pick_place")


def test_it_says_how_far_it_is_off_in_steps_of_the_task_and_where_to_go(arm, leader):
    lead = leader.look()
    assert lead.way == "" and np.abs(lead.motion).max() < 0.1
    arm.move(joints(TOLD_M + (-0.03, 0.01, 0.045), CLOSED_RAD, BEGIN_YAW_RAD + 0.4))
    lead = leader.look()
    wanted = (-3.0, 1.0, 4.5, 0.4 / 0.15, (CLOSED_RAD - OPEN_RAD) / STEP_GRIPPER_RAD)
    np.testing.assert_allclose(lead.motion, wanted, atol=0.1)
    assert re.fullmatch(r"(3\.0|2\.9|3\.1) cm forward, 4\.[456] cm down, turned 23° right, open it", lead.way)


def test_a_handle_is_shut_and_open_at_the_ends_of_its_own_range(arm, task):
    arm.servos[6].set(feetech.UPPER_LIMIT, GRIPPER_LOWER + 500)
    with open_leader(task, LeaderOptions(port=arm.port)) as leader:
        for share, wanted_rad in ((0.0, CLOSED_RAD), (1 / 3, 0.465), (1.0, OPEN_RAD)):
            arm.servos[6].position = GRIPPER_LOWER + share * 500
            assert leader.look().motion[4] == pytest.approx((wanted_rad - OPEN_RAD) / STEP_GRIPPER_RAD, abs=0.05)


def after(hand, clock, seconds=0.1):
    clock.now_s += seconds
    hand.wait(0.0)
    return hand.action()


def follow(hand, clock):
    """Until what has been near for long enough is followed."""
    steps = 0
    while after(hand, clock) is None:
        steps += 1
        assert steps < 20, hand.why()
    return steps


def test_nothing_moves_until_the_leader_has_been_near_for_a_moment(arm, hand, clock):
    arm.move(joints(TOLD_M + (0.0, 0.05, 0.0)))
    assert after(hand, clock) is None and hand.why() == "leader: 5.0 cm right"
    arm.move(joints(TOLD_M + (0.0, 0.01, 0.0)))
    assert follow(hand, clock) == pytest.approx(HOLD_S / 0.1, abs=1.0) and hand.why() == ""
    arm.move(joints(TOLD_M + (0.01, -0.05, 0.005)))  # it may run ahead
    np.testing.assert_allclose(after(hand, clock), (1.0, -1.0, 0.5, 0.0, 0.0), atol=0.1)
    hand.type("p\n")
    assert list(hand.requests()) == [HandRequest.PAUSE, HandRequest.KEEP]
    assert after(hand, clock) is None and hand.why() == "leader: 5.0 cm left"
    arm.move(joints())
    follow(hand, clock)
    hand.begin()
    assert hand.action() is None and hand.why() == "leader: hold it there"


def test_a_leader_that_jumps_is_named_counted_and_ignored_until_it_is_near_again(arm, hand, clock):
    follow(hand, clock)
    for jump in (1, 2):
        arm.servos[3].position += 800
        for _ in range(10):
            assert after(hand, clock) is None
        assert hand.jumps == jump and len(hand.said) == jump
        assert hand.said[-1].startswith(f"Jump {jump} of the leader: elbow_flex by 70° at once. Nothing moves until")
        arm.move(joints())
        follow(hand, clock)
    assert hand.jumps == 2


def test_one_that_is_silent_for_long_is_waited_for_and_what_it_holds_may_be_wider_than_the_handle(
    arm, task, hand, clock
):
    follow(hand, clock)
    servo = arm.servos.pop(4)
    assert after(hand, clock) is not None  # one packet is no loss
    assert after(hand, clock, SILENT_S) is None
    assert hand.why() == "leader: wrist_flex does not answer; see its cable and power"
    held_rad = joints(gripper_rad=0.25)
    pressed_rad = joints(gripper_rad=0.15)
    for _ in range(2):
        observe(task, pressed_rad, held_rad)
    assert task.holds
    arm.servos = dict(sorted((arm.servos | {4: servo}).items()))
    arm.move(joints(TOLD_M, CLOSED_RAD - 0.01))
    follow(hand, clock)
    assert hand.action()[4] == -1.0 and not hand.said
    arm.close()
    with pytest.raises(HandLost, match="The leader is gone .*plug its adapter in.*--demonstrations may be repeated"):
        for _ in range(3):
            after(hand, clock)
