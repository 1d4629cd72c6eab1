"""The actor with sensors that are not as it would have them: a slow camera, feet with an offset, a charge of 90."""

import io

import numpy as np
import pytest
from PIL import Image as Picture

pytest.importorskip("rclpy")

from sensor_msgs.msg import BatteryState, CompressedImage

from daydreamer.robots.a1.constants import A1
from daydreamer.session.events import read_events
from daydreamer.session.status import StatusWriter, TwinStatus, read_status
from ros_nodes import topics

CAMERA_PERIOD_S = 0.2
OFFSET_N = 15.0
ON_BACK = np.array([0.0, 1.0, 0.0, 0.0])


class Robot:
    """Lies on its back and goes where it is told; its camera is slow and large, and each of its pictures another."""

    def __init__(self, rig):
        self.rig, self.node, spec = rig, rig.node, rig.session.spec
        self.spec, self.filming, self.shot = spec, True, 0
        self.noise = np.random.default_rng(0)
        self.publishers = {
            topic: self.node.create_publisher(kind, topic, topics.RELIABLE)
            for topic, kind in (
                (topics.JOINT_STATES, topics.JointState),
                (topics.IMU, topics.Imu),
                (topics.FOOT_CONTACTS, topics.JointState),
                (topics.BATTERY, BatteryState),
                (topics.compressed_topic("camera"), CompressedImage),
            )
        }
        self.node.create_timer(0.02, self.report)
        self.node.create_timer(CAMERA_PERIOD_S, self.film)

    def report(self):
        commands = [command.position for command in self.rig.commands if command.position]
        position = np.array(commands[-1]) if commands else A1.rest_pose_rad
        stamp = self.node.get_clock().now().to_msg()
        position = position + self.noise.normal(0, 1e-3, 12)
        up = np.array([0.0, 0.0, -9.81])
        for topic, message in (
            (topics.JOINT_STATES, topics.joint_state_message(stamp, self.spec.joint_names, position, np.zeros(12))),
            (topics.IMU, topics.imu_message(stamp, ON_BACK, self.noise.normal(0, 1e-3, 3), up)),
            (topics.FOOT_CONTACTS, topics.foot_contacts_message(stamp, self.spec.foot_names, np.full(4, OFFSET_N))),
            (topics.BATTERY, BatteryState(percentage=90.0)),
        ):
            self.publishers[topic].publish(message)

    def film(self):
        if self.filming:
            self.shot += 1
            file = io.BytesIO()
            Picture.new("RGB", (640, 480), (40, 10 * (self.shot % 20), 200)).save(file, "JPEG")
            self.publishers[topics.compressed_topic("camera")].publish(
                CompressedImage(format="jpeg", data=file.getvalue())
            )


@pytest.mark.timeout(300)
def test_a_slow_camera_feet_with_an_offset_and_a_charge_of_90_are_taken_for_what_they_are(make_rig, make_operator):
    settings = ["actor.picture_format=png", "actor.image_timeout_s=1.0", "actor.state_timeout_s=1.0"]
    rig = make_rig(48, ["twin.camera=true", *settings])
    robot = Robot(rig)
    operator = make_operator(rig)
    rig.start("actor")
    # This is no twin of the session's: nobody sets out by itself on a robot that happens to be there.
    rig.until(lambda: "Not setting out by itself: the session's own twin does not run yet" in rig.output("actor"))
    StatusWriter(rig.session, "twin").write(TwinStatus(state="running"))
    rig.until(lambda: "published by /test, which is not the session's twin" in rig.output("actor"))
    assert not rig.commands and not rig.steps()
    rig.until(lambda: operator.ask("resume"))
    rig.until(lambda: len(rig.steps()) >= 60)
    pictures = np.array([step.observation["camera"] for step in rig.steps()])
    assert pictures.shape[1:] == (64, 64, 3) and abs(float(pictures[-1][..., 2].mean()) - 200) < 6
    # A picture stays until there is another one.
    changes = np.any(pictures[1:] != pictures[:-1], axis=(1, 2, 3)).mean()
    assert 0.05 < changes < 0.6

    def told(fault):
        return [event for event in read_events(rig.session.events) if event.get("fault") == fault]

    rig.until(lambda: told("foot_offset") and told("percent"))
    assert len(told("foot_offset")) == 1
    # From then on no foot counts as standing, and nothing is paid for legs that swing in the air.
    known = len(rig.steps())
    rig.until(lambda: len(rig.steps()) > known + 20)
    assert {step.info["feet_in_contact"] for step in rig.steps()[known + 5 :]} == {0.0}
    status = read_status(rig.session)
    assert status["camera"].startswith("/camera/image_raw/compressed: jpeg, ")
    assert 0.0 <= status["image_age_s"] < 1.0
    assert "image_stale" not in status["watchdog_trips"] and "battery_low" not in status["watchdogs_raised"]

    robot.filming = False
    rig.until(lambda: "image_stale" in read_status(rig.session)["watchdogs_raised"])
    assert read_status(rig.session)["safety_state"] == "holding"
    robot.filming = True
    rig.until(lambda: read_status(rig.session)["safety_state"] == "running")
