import numpy as np
import pytest

from daydreamer.config import ActorConfig
from daydreamer.robots import checks
from daydreamer.robots.a1.constants import A1
from daydreamer.robots.checks import Check, GuidedMotion, TopicRecord, Verdict
from daydreamer.robots.quadruped.task import QuadrupedWalkTask

TASK = QuadrupedWalkTask(A1)
SPEC = TASK.spec
TIMEOUT_S = ActorConfig().state_timeout_s
UPRIGHT = np.tile([1.0, 0.0, 0.0, 0.0], (5, 1))
STILL = np.zeros((5, 3))
GRAVITY = np.tile([0.0, 0.0, 9.81], (5, 1))


def record(names=SPEC.joint_names, rate_hz=100.0, latency_s=0.001, count=50):
    times_s = [index / rate_hz for index in range(count)]
    stamps_s = [1e9 + at_s for at_s in times_s]
    return TopicRecord("/joint_states", times_s, stamps_s, [latency_s] * count, tuple(dict.fromkeys(names)))


def motion(joint=0, wanted=0.15, **changes):
    moved = np.zeros(12)
    moved[joint] = 0.9 * wanted
    fields = {"joint": joint, "wanted_rad": wanted, "moved_rad": moved, "speed_integral_rad": moved, "delay_s": 0.1}
    return GuidedMotion(**fields | changes)


def test_missing_permissions_are_a_note_and_no_reason_not_to_move():
    assert checks.check_permissions([]).verdict is Verdict.OK
    missing = checks.check_permissions(["real-time scheduling", "locked memory"])
    assert missing.verdict is Verdict.NOTE and "no real-time scheduling and no locked memory" in missing.detail
    assert checks.safe_to_move([missing])


def test_joints_in_any_order_pass_and_a_missing_one_is_named():
    assert checks.check_names(record(), SPEC.joint_names, "joint").verdict is Verdict.OK
    backwards = checks.check_names(record(SPEC.joint_names[::-1]), SPEC.joint_names, "joint")
    assert backwards.verdict is Verdict.OK and "another order" in backwards.detail
    missing = checks.check_names(record(SPEC.joint_names[:-1]), SPEC.joint_names, "joint")
    assert missing.verdict is Verdict.FAIL and "lacks RL_calf_joint" in missing.detail
    twice = record()
    twice.repeated = ("FR_hip_joint",)
    assert "the same name twice: FR_hip_joint" in checks.check_names(twice, SPEC.joint_names, "joint").detail
    short = record()
    short.misfits = 3
    assert "3 messages" in checks.check_names(short, SPEC.joint_names, "joint").detail
    silent = checks.check_names(TopicRecord("/joint_states"), SPEC.joint_names, "joint")
    assert silent.verdict is Verdict.FAIL and "Is the driver running" in silent.detail
    silent = checks.check_names(TopicRecord("/joint_states"), SPEC.joint_names, "joint", "It is in domain 5.")
    assert silent.detail == "nothing on /joint_states. It is in domain 5."


@pytest.mark.parametrize("rate_hz, verdict", [(100.0, "ok"), (30.0, "note"), (15.0, "FAIL")])
def test_states_have_to_come_as_often_as_the_loop_runs(rate_hz, verdict):
    assert checks.check_rate(record(rate_hz=rate_hz), SPEC, TIMEOUT_S).verdict == verdict


def test_a_gap_fails_whatever_the_rate():
    gap = record()
    gap.received_s = [*gap.received_s, gap.received_s[-1] + 0.25]
    check = checks.check_rate(gap, SPEC, TIMEOUT_S)
    assert check.verdict is Verdict.FAIL and "longest gap 250 ms" in check.detail


@pytest.mark.parametrize("latency_s, verdict", [(0.002, "ok"), (0.08, "FAIL"), (-0.5, "note"), (1.7e9, "note")])
def test_latency_is_judged_where_the_clocks_allow(latency_s, verdict):
    assert checks.check_latency(record(latency_s=latency_s), SPEC).verdict == verdict


@pytest.mark.parametrize(
    "wrong, complaint",
    [
        (lambda pose: pose[[2, 1, 0, *range(3, 12)]], "FR_hip_joint at -1.80 rad, limits -0.80 to"),  # names swapped
        (lambda pose: np.degrees(pose), "FR_thigh_joint at"),  # degrees
        (lambda pose: -pose, "FR_calf_joint at"),  # sign
    ],
)
def test_angles_outside_their_limits_tell_of_names_units_and_signs(wrong, complaint):
    good = np.tile(A1.stand_pose_rad, (3, 1))
    assert checks.check_joint_ranges(good, SPEC, A1.limits).verdict is Verdict.OK
    check = checks.check_joint_ranges(np.array([wrong(row) for row in good]), SPEC, A1.limits)
    assert check.verdict is Verdict.FAIL and complaint in check.detail


@pytest.mark.parametrize(
    "change, cause",
    [
        (lambda pose: pose + np.eye(12)[2] * 2 * np.pi, "A whole turn less would fit"),
        (lambda pose: pose - np.eye(12)[4] * 2 * np.pi, "A whole turn less would fit"),
        (lambda pose: pose[[1, 0, *range(2, 12)]] * 1.0, "FR_hip_joint and FR_thigh_joint are exchanged"),
        (lambda pose: np.degrees(pose), "publish rad"),
        (lambda pose: -pose, "other sign"),
        (lambda pose: pose - np.eye(12)[2] * 1.0, "Move the joint by hand"),
        (lambda pose: pose + np.eye(12)[2] * 2.5, "Check names, sign, zero and unit"),
    ],
)
def test_why_angles_are_outside_their_limits_is_told(change, cause):
    check = checks.check_joint_ranges(change(A1.stand_pose_rad)[None], SPEC, A1.limits)
    assert check.verdict is Verdict.FAIL and cause in check.detail


def test_velocities_that_are_not_filled_are_made_of_angles_and_noted():
    for missing in (np.zeros((0, 0)), np.full((3, 12), np.nan)):
        check = checks.check_rest(missing, SPEC)
        assert check.verdict is Verdict.NOTE and "made of the angles' changes" in check.detail
    assert checks.check_rest(np.zeros((3, 12)), SPEC).verdict is Verdict.OK
    infinite = np.zeros((3, 12))
    infinite[1, 3] = np.inf
    assert checks.check_rest(infinite, SPEC).verdict is Verdict.FAIL
    assert "rad/s is wanted" in checks.check_rest(np.ones((3, 12)), SPEC).detail


def test_one_publisher_or_several_with_joints_of_their_own():
    assert checks.check_publishers(TopicRecord("/imu/data", publishers=("/imu",))).verdict is Verdict.OK
    two = TopicRecord("/imu/data", publishers=("/imu", "/rosbag2_player"))
    check = checks.check_publishers(two)
    assert check.verdict is Verdict.FAIL and "2 publishers: /imu, /rosbag2_player" in check.detail
    joints = record()
    joints.publishers = ("/legs", "/gripper")
    joints.senders = {b"1": set(SPEC.joint_names), b"2": {"gripper_joint"}}
    assert checks.check_publishers(joints, SPEC.joint_names).verdict is Verdict.OK
    joints.senders[b"2"].add("FR_hip_joint")
    assert checks.check_publishers(joints, SPEC.joint_names).verdict is Verdict.FAIL
    # Where it is not told who has sent what, both may have all.
    joints.senders = {b"": set(SPEC.joint_names)}
    assert checks.check_publishers(joints, SPEC.joint_names).verdict is Verdict.FAIL


@pytest.mark.parametrize(
    "stamps, verdict, words",
    [
        (lambda stamps: stamps, "ok", "increase"),
        (lambda stamps: [0.0] * len(stamps), "note", "nothing to compare"),
        (lambda stamps: stamps[:20] + stamps[:20], "FAIL", "1 of 39 run backwards"),
        (lambda stamps: [stamps[5]] * len(stamps), "FAIL", "100% are the same"),
        (lambda stamps: [stamps[index // 2] for index in range(len(stamps))], "note", "the same as the one before"),
    ],
)
def test_stamps_have_to_increase(stamps, verdict, words):
    joints = record()
    joints.stamp_s = stamps(joints.stamp_s)
    check = checks.check_stamps(joints)
    assert check.verdict == verdict and words in check.detail


def test_stamps_of_another_clock_and_none_at_all_are_told_apart():
    boot = record(latency_s=1.7e9)
    assert "another clock" in checks.check_latency(boot, SPEC).detail
    boot.stamp_s = [0.0] * len(boot.stamp_s)
    assert "stamped 0" in checks.check_latency(boot, SPEC).detail
    assert "in the future" in checks.check_latency(record(latency_s=-0.5), SPEC).detail


def test_measurements_without_any_noise_are_noted():
    imu = TopicRecord("/imu/data", values={"angular_velocity": [[0.0, 0.0, 0.0]] * 20})
    check = checks.check_frozen(imu, ("angular_velocity",), "the gyroscope is")
    assert check.verdict is Verdict.NOTE and "20 messages" in check.detail
    imu.values["angular_velocity"].append([1e-6, np.nan, np.nan])
    assert checks.check_frozen(imu, ("angular_velocity",), "the gyroscope is") is None
    assert checks.check_frozen(TopicRecord("/imu/data"), ("angular_velocity",), "the gyroscope is") is None


def failed(results):
    return [check.name for check in results if check.verdict is Verdict.FAIL]


def test_an_imu_in_base_link_passes_in_any_attitude():
    assert failed(checks.check_imu(UPRIGHT, STILL, GRAVITY, "base_link")) == []
    on_its_back = np.tile([0.0, 1.0, 0.0, 0.0], (5, 1))
    assert failed(checks.check_imu(on_its_back, STILL, -GRAVITY, "base_link")) == []


@pytest.mark.parametrize(
    "orientation, gyroscope, acceleration, name",
    [
        (UPRIGHT, STILL, -GRAVITY, "IMU axes"),  # z down
        (UPRIGHT, STILL, GRAVITY[:, [2, 1, 0]], "IMU axes"),  # x and z swapped
        (UPRIGHT, STILL, GRAVITY / 9.81, "IMU gravity"),  # in g
        (UPRIGHT, STILL + 1.0, GRAVITY, "IMU gyroscope"),
        (2 * UPRIGHT, STILL, GRAVITY, "IMU orientation"),
    ],
)
def test_what_an_imu_gets_wrong_is_found(orientation, gyroscope, acceleration, name):
    assert failed(checks.check_imu(orientation, gyroscope, acceleration, "base_link")) == [name]


def test_a_joint_that_does_as_told_passes():
    assert checks.check_motion(motion(), SPEC).verdict is Verdict.OK
    assert checks.check_motion(motion(5, -0.15), SPEC).verdict is Verdict.OK


@pytest.mark.parametrize(
    "moved, complaint",
    [
        ({0: -0.14}, "sign is wrong"),
        ({0: 0.01}, "does not follow"),
        ({0: 0.4}, "gear ratio"),
        ({0: np.nan}, "was not reported"),
        ({4: 0.14}, "FL_thigh_joint moved .0.14: the names are swapped"),
    ],
)
def test_what_a_joint_gets_wrong_is_found(moved, complaint):
    angles = np.zeros(12)
    for joint, angle in moved.items():
        angles[joint] = angle
    check = checks.check_motion(motion(moved_rad=angles, speed_integral_rad=angles), SPEC)
    assert check.verdict is Verdict.FAIL
    assert complaint.replace(".", "+", 1) in check.detail or complaint in check.detail


def test_a_velocity_of_the_wrong_sign_or_unit_is_found():
    for factor in (-1.0, 57.3):
        wrong = motion()
        check = checks.check_motion(motion(speed_integral_rad=factor * wrong.moved_rad), SPEC)
        assert check.verdict is Verdict.FAIL and "velocity" in check.detail


def test_a_velocity_that_is_not_reported_is_not_judged():
    assert checks.check_motion(motion(speed_integral_rad=np.full(12, np.nan)), SPEC).verdict is Verdict.OK


def test_an_accelerometer_in_g_is_told_so():
    gravity = next(c for c in checks.check_imu(UPRIGHT, STILL, GRAVITY / 9.81, "") if c.name == "IMU gravity")
    assert "it is in g; multiply by 9.81" in gravity.detail


def test_nothing_moves_after_a_failure():
    good, bad = Check("a", Verdict.NOTE, ""), Check("b", Verdict.FAIL, "")
    assert checks.safe_to_move([good]) and not checks.safe_to_move([good, bad])
