"""Each rule on a session that shows what it is for, and on one that does not."""

import os
import subprocess
import sys

import msgspec
import numpy as np
import pytest

from daydreamer.experience.log import log_path
from daydreamer.session.demonstrated import Demonstrated
from daydreamer.session.status import StatusWriter, WalkStatus
from daydreamer.telemetry.advice import RULES, judge
from daydreamer.telemetry.session_telemetry import TelemetryReader

LOGGED_S = 30.0
MINUTES = 20.0


@pytest.fixture
def recorder(record_session):
    return record_session()


def write(recorder, change=lambda step: None, metrics=None, actor=None, learner=None, logged_s=LOGGED_S):
    recorder.log(logged_s, change)
    recorder.write_metrics(MINUTES, metrics)
    recorder.write_status(actor or {}, learner or {})


def advise(session):
    return judge(TelemetryReader(session).read())


def found(recorder):
    return {advice.rule: advice for advice in advise(recorder.session)}


def assert_only(recorder, rule, level, *words):
    advice = found(recorder)
    assert set(advice) == {rule}
    assert advice[rule].level == level and advice[rule].title
    for word in words:
        assert word in advice[rule].sentence


def test_a_healthy_session_needs_no_advice(recorder):
    write(recorder, logged_s=240)
    assert advise(recorder.session) == []


def test_a_session_that_has_not_begun_needs_no_advice(recorder):
    assert advise(recorder.session) == []


def test_every_rule_is_tested():
    names = {rule.__name__ for rule in RULES}
    tested = {name.removeprefix("test_") for name in globals() if name.startswith("test_")}
    assert names <= tested


@pytest.mark.parametrize("state, cure", [("emergency_stopped", "release"), ("damping", "by itself")])
def test_robot_stopped(recorder, state, cure):
    write(recorder)
    recorder.events.record("safety_state", "actor", before="running", after=state, trigger="stop", cause="a button")
    assert_only(recorder, "robot_stopped", "bad", "a button", cure)
    recorder.events.record("safety_state", "actor", before="ramping", after="running", trigger="ramped", cause="")
    assert advise(recorder.session) == []


def test_what_a_watchdog_has_found_and_its_cure_are_told(recorder):
    write(recorder)
    for name, details, words in (
        ("image_stale", {"subject": "front"}, ("image_stale, front", "whether its pictures arrive")),
        (
            "implausible",
            {"subject": "a wheel is stuck", "cure": "Free it."},
            ("implausible, a wheel is stuck", "Free it."),
        ),
        ("implausible", {"subject": "odd"}, ("implausible, odd", "goes on by itself")),
        ("battery_low", {}, ("battery_low)", "see to the cause")),
    ):
        recorder.events.record("watchdog", "actor", name=name, action="hold", value=1.0, threshold=0.5, **details)
        recorder.events.record("safety_state", "actor", before="running", after="holding", trigger="hold", cause=name)
        assert_only(recorder, "robot_stopped", "bad", *words)


def test_a_robot_that_waits_for_its_operator_says_so(recorder):
    write(recorder)
    recorder.events.record("safety_state", "actor", before="stopped", after="ramping", trigger="activate", cause="")
    recorder.events.record("latched", "actor", name="joint_not_following", action="damp")
    recorder.events.record("safety_state", "actor", before="running", after="damping", trigger="damp", cause="a robot")
    assert_only(recorder, "robot_stopped", "bad", "a robot", "waits for you")


def test_watchdog_trips(recorder):
    write(recorder)
    for trip in range(5):
        assert advise(recorder.session) == []
        recorder.events.record("watchdog", "actor", name="over_speed", action="damp", value=30 + trip, threshold=28.6)
    assert_only(recorder, "watchdog_trips", "warn", "'over_speed' tripped 5 times", "last at 34")


def test_process_gone(recorder):
    write(recorder)
    recorder.events.record("fault", "learner", error="no space left on device")
    code = (
        "import sys; from daydreamer.session.directory import Session; from daydreamer.session.status import *\n"
        "StatusWriter(Session.open(sys.argv[1]), 'learner').write(LearnerStatus(state='running'))"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    subprocess.run([sys.executable, "-c", code, str(recorder.session.path)], env=environment, check=True)
    assert_only(recorder, "process_gone", "bad", "learner", "daydreamer resume", "no space left on device")


def test_a_command_that_failed_because_a_process_did_says_which(recorder):
    recorder.write_status(actor={"state": "stopped"})
    StatusWriter(recorder.session, "walk").write({"state": "failed"})
    refused = dict(process="actor", how="exited with status 2", last_line="Topic /joint_command is already published.")
    recorder.events.record("process_end", "walk", **refused)
    (advice,) = [each for each in advise(recorder.session) if each.rule == "process_gone"]
    assert advice.title == "Actor gone" and refused["last_line"] in advice.sentence
    assert "nothing has been recorded here" in advice.sentence and "resume" not in advice.sentence


def test_a_log_that_cannot_be_read_is_not_taken_for_nothing(recorder):
    recorder.log(30.0)
    path = log_path(recorder.session.experience, 1)
    path.write_bytes(b"????" + path.read_bytes()[4:])
    recorder.write_status(actor={"state": "failed"})
    (advice,) = [each for each in advise(recorder.session) if each.rule == "process_gone"]
    assert "daydreamer resume" in advice.sentence and "nothing has been recorded" not in advice.sentence


def test_what_was_started_again_is_not_what_is_gone(recorder):
    write(recorder, actor={"state": "stopped"})
    StatusWriter(recorder.session, "walk").write({"state": "failed"})
    recorder.events.record("fault", "learner", error="CUDA out of memory")
    recorder.events.record("process_end", "walk", process="learner", how="killed", last_line="CUDA out of memory")
    recorder.events.record("process_start", "keeper", process="learner")
    assert_only(recorder, "process_gone", "bad", "The walk ended without being told to. See")


def test_learner_slow(recorder):
    write(recorder, learner={"train_ratio": 50.0, "updates_per_s": 1.9}, logged_s=240)
    assert_only(recorder, "learner_slow", "warn", "50 times", "144", "1.9 gradient steps/s", "GPU")


def test_a_learner_that_has_just_begun_is_not_slow(recorder):
    write(recorder, learner={"train_ratio": 50.0}, logged_s=190)
    assert advise(recorder.session) == []


@pytest.mark.parametrize(
    "misses, p50_ms, level, cause",
    [(7, 4.0, "warn", "Leave a core free"), (40, 30.0, "bad", "the actor itself is slow")],
)
def test_deadline_misses(recorder, misses, p50_ms, level, cause):
    write(recorder, actor={"deadline_misses": misses, "actor_step_ms": {"p50": p50_ms, "p99": 60.0, "max": 90.0}})
    assert_only(recorder, "deadline_misses", level, f"{misses} of 600", cause)


def test_misses_are_of_all_ticks_of_the_loop_however_often_the_log_has_rolled(recorder):
    write(recorder, actor={"deadline_misses": 18, "ticks": 6400})
    assert advise(recorder.session) == []
    write(recorder, actor={"deadline_misses": 180, "ticks": 6400})
    assert_only(recorder, "deadline_misses", "warn", "180 of 6400")


@pytest.mark.parametrize("granted", [None, 50])
def test_a_late_loop_without_permission_for_real_time_is_told_of_it(recorder, granted):
    write(recorder, actor={"deadline_misses": 60, "actor_step_ms": {"p50": 3.0, "p99": 60.0, "max": 90.0}})
    recorder.events.record("scheduling", "actor", real_time_priority=granted, niceness=0, memory_locked=False)
    sentence = found(recorder)["deadline_misses"].sentence
    assert ("Permit real-time scheduling" in sentence) is (granted is None)


def test_policy_old(recorder):
    write(recorder, actor={"policy_age_s": 300.0})
    assert_only(recorder, "policy_old", "bad", "300 s old", "every 5 s")


def test_a_policy_that_never_comes_is_missed(recorder):
    write(recorder, logged_s=200, actor={"policy_version": 0, "policy_age_s": None})
    assert_only(recorder, "policy_old", "bad", "still random")


@pytest.mark.parametrize("rank", [1.2, 15.0])
def test_representation_collapsed(recorder, rank):
    write(recorder, metrics={"learner/model/image_rank": lambda share: rank}, logged_s=240)
    if rank > 2:
        assert advise(recorder.session) == []
    else:
        assert_only(recorder, "representation_collapsed", "bad", "1.2 directions", "'pixels'")


def test_log_problems(recorder):
    write(recorder)
    recorder.events.record("log_problem", "learner", problem="gap", actor_life=1, text="Steps 3 to 4 are missing.")
    recorder.events.record("log_problem", "learner", problem="gap", actor_life=1, text="Steps 3 to 4 are missing.")
    assert_only(recorder, "log_problems", "bad", "Steps 3 to 4 are missing. Everything else")


def test_damage_that_nobody_has_reported_is_found(recorder):
    write(recorder)
    path = log_path(recorder.session.experience, 1)
    content = bytearray(path.read_bytes())
    content[300] ^= 0xFF  # in the header
    path.write_bytes(content)
    (metrics,) = (recorder.session.metrics / "learner").iterdir()
    metrics.write_bytes(metrics.read_bytes()[:1000] + bytes(range(200)))
    sentence = found(recorder)["log_problems"].sentence
    assert str(path) in sentence and "1 more" in sentence


def test_sensor_constant(recorder):
    def break_sensors(step):
        step.observation["joint_position"][4] = 0.25
        step.observation["gravity_up"][:] = (0.0, 0.0, 1.0)

    write(recorder, break_sensors)
    assert_only(recorder, "sensor_constant", "bad", "FL_thigh_joint", "gravity_up")


def test_sensor_doubted(recorder):
    write(recorder)
    recorder.events.record("message", "actor", topic="imu/data", fault="unusable", count=3)
    assert "sensor_doubted" not in found(recorder)
    finding = "FR_foot has read more than 10 N for 30 s in which its leg swung: an offset?"
    recorder.events.record("message", "actor", topic="sensors", fault="foot_always_loaded", finding=finding)
    assert_only(recorder, "sensor_doubted", "bad", finding)
    recorder.events.record("message", "actor", topic="sensors", fault="gyroscope_unit", finding=["no text"])
    assert_only(recorder, "sensor_doubted", "bad", finding)


def test_a_robot_that_is_not_moved_may_have_constant_sensors(recorder):
    def rest(step):
        step.observation["joint_position"][:] = 0.0
        step.action_requested[:] = 0.1

    write(recorder, rest)
    assert advise(recorder.session) == []


def test_action_saturated(recorder):
    def saturate(step):
        step.action_requested[:9] = np.sign(step.action_requested[:9])

    write(recorder, saturate)
    assert_only(recorder, "action_saturated", "warn", "75%", "learner.entropy_target")


def test_random_actions_may_be_saturated(recorder):
    def choose_at_random(step):
        step.action_requested[:] = np.sign(step.action_requested)
        step.policy_version = 0

    write(recorder, choose_at_random)
    assert advise(recorder.session) == []


def test_odometry_drift(recorder):
    """At rest for five of thirty seconds, while the odometry says 0.2 m/s."""

    def rest_and_drift(step):
        if 200 <= step.sequence < 300:
            step.action_sent[:] = 1.0
            step.observation["joint_position"][:] = 0.3 + 0.001 * step.observation["angular_velocity"][0]
            step.info["forward_velocity_m_s"] = -0.2

    write(recorder, rest_and_drift)
    assert_only(recorder, "odometry_drift", "bad", "0.2", "no joint moves", "accelerometer")


@pytest.mark.parametrize("forward_m_s, drifts", [(0.15, True), (0.02, False)])
def test_a_robot_on_its_back_does_not_travel(recorder, forward_m_s, drifts):
    def lie(step):
        step.info |= {"up_z": -0.9, "forward_velocity_m_s": forward_m_s}

    write(recorder, lie)
    advice = found(recorder)
    assert set(advice) == ({"odometry_drift"} if drifts else set())
    assert not drifts or "on its back" in advice["odometry_drift"].sentence


def test_updates_skipped(recorder):
    write(recorder)
    recorder.events.record("update_skipped", "learner", count=2, gradient_step=10)
    assert advise(recorder.session) == []
    recorder.events.record("update_skipped", "learner", count=1, gradient_step=12)
    assert_only(recorder, "updates_skipped", "bad", "3 gradient steps", "learner.learning_rate")


def test_model_not_learning(recorder):
    write(recorder, metrics={"dream/joint_position/1.0s": lambda share: 0.24 + 0.02 * share})
    assert_only(recorder, "model_not_learning", "bad", "103%", "97%", "learner.train_ratio")


def test_a_model_that_is_good_from_the_start_need_not_get_better(recorder):
    write(recorder, metrics={"dream/joint_position/1.0s": lambda share: 0.1})
    assert advise(recorder.session) == []


def test_critic_diverging(recorder):
    write(recorder, metrics={"learner/behavior/return": lambda share: 500.0 * 1000**share})
    assert_only(recorder, "critic_diverging", "bad", "12.0", "learner.replay_value_scale")


def test_what_was_shown_may_be_promised(recorder):
    seen = dict(path="shown", digest="0" * 64, robot="a1", body="twin", steps=100)
    for reward, is_found in ((9.0, True), (30.0, False)):
        shown = (Demonstrated(**seen, reward=reward),)
        recorder.session.record = msgspec.structs.replace(recorder.session.record, demonstrations=shown)
        write(recorder, metrics={"learner/behavior/return": lambda share: 2500.0})
        assert ("critic_diverging" in found(recorder)) == is_found


def test_entropy_collapsed(recorder):
    write(recorder, metrics={"learner/behavior/randomness": lambda share: 0.2 if share < 0.5 else 0.005})
    assert_only(recorder, "entropy_collapsed", "warn", "0.005", "learner.entropy_rate")


@pytest.mark.parametrize(
    "dream_error, cause",
    [(lambda share: 0.1, "actor.fallen_reward"), (lambda share: 0.4 - 0.15 * share, "See to the model first")],
)
def test_reward_flat(recorder, dream_error, cause):
    flat = {"actor/reward": lambda share: min(5.0 + 10.0 * share, 7.0), "learner/behavior/return": lambda share: 700.0}
    write(recorder, metrics=flat | {"dream/joint_position/1.0s": dream_error})
    assert_only(recorder, "reward_flat", "warn", "7.00", cause)


def test_policy_stuck(recorder):
    write(recorder)
    live = {"state": "running", "safety_state": "running", "stuck_s": 240.0}
    recorder.write_status(live)
    assert_only(recorder, "policy_stuck", "warn", "nothing for 4 minutes", "dead-man button")
    assert "press i" not in found(recorder)["policy_stuck"].cure
    StatusWriter(recorder.session, "walk").write(WalkStatus(state="running"))
    assert "press i in the session's terminal" in found(recorder)["policy_stuck"].cure
    for change in ({"stuck_s": None}, {"safety_state": "holding"}, {"state": "stopped"}):
        recorder.write_status(live | change)
        assert advise(recorder.session) == []


def test_a_robot_that_walks_may_have_a_flat_reward(recorder):
    write(recorder, metrics={"actor/reward": lambda share: 12.0}, actor={"milestones_s": {"walking": 700.0}})
    assert advise(recorder.session) == []


def test_the_worst_comes_first(recorder):
    write(recorder, metrics={"learner/behavior/randomness": lambda share: 0.0}, actor={"policy_age_s": 300.0})
    recorder.events.record("update_skipped", "learner", count=9, gradient_step=10)
    assert [advice.level for advice in advise(recorder.session)] == ["bad", "bad", "warn"]


def test_who_looks_again_sees_what_is_new(recorder):
    write(recorder, metrics={"learner/behavior/randomness": lambda share: 0.0})
    reader = TelemetryReader(recorder.session)
    assert [advice.rule for advice in judge(reader.read())] == ["entropy_collapsed"]
    recorder.write_metrics(2 * MINUTES, {"learner/behavior/return": lambda share: 1e6}, begin_minutes=MINUTES)
    recorder.write_status()
    recorder.events.record("update_skipped", "learner", count=3, gradient_step=10)
    assert [advice.rule for advice in judge(reader.read())] == ["updates_skipped", "critic_diverging"]


def test_gpu_idle(recorder):
    write(recorder, learner={"device": "cpu", "idle_gpus": 1})
    assert "daydreamer[cuda]" in found(recorder)["gpu_idle"].cure
    recorder.write_status(learner={"device": "NVIDIA H100", "idle_gpus": 0})
    assert "gpu_idle" not in found(recorder)
