"""Cameras on real topics: what they send, how often, and what of it is believed."""

import io
import threading
import time

import numpy as np
import pytest
from PIL import Image as Picture

pytest.importorskip("rclpy")

import rclpy
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import CompressedImage, Image

from daydreamer.errors import UserError
from ros_nodes import camera, topics
from ros_nodes.camera import Camera

SHAPE = (64, 64, 3)
PERIOD_S = 0.05
RED = (0, 0, 200)


class Rig:
    """A camera's driver and what listens to it, in one process."""

    def __init__(self, transport="auto"):
        self.context = rclpy.Context()
        rclpy.init(context=self.context, domain_id=46)
        self.node = rclpy.create_node("listener", context=self.context)
        self.driver = rclpy.create_node("camera_driver", context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.refused = []
        self.publishers = {}
        self.transport = transport
        self.camera = None

    def listen(self):
        self.camera = Camera(
            self.node,
            "camera",
            SHAPE,
            self.transport,
            PERIOD_S,
            lambda topic, error, now_s: self.refused.append((topic, error)),
        )

    def publish(self, topic, message):
        if topic not in self.publishers:
            self.publishers[topic] = self.driver.create_publisher(type(message), topic, 1)
        self.publishers[topic].publish(message)

    def until(self, condition, *send, period_s=0.2):
        """Publishes the messages again and again until `condition()` holds."""
        end_s, next_s = time.monotonic() + 20.0, 0.0
        while not condition():
            assert time.monotonic() < end_s, self.camera and self.camera.description()
            if time.monotonic() > next_s:
                next_s = time.monotonic() + period_s
                for topic, message in send:
                    self.publish(topic, message)
            self.executor.spin_once(timeout_sec=0.02)

    def shows(self, colour):
        newest = self.camera.newest
        return newest is not None and np.allclose(newest[0].mean((0, 1)), colour, atol=5)

    def close(self):
        if self.camera:
            self.camera.close()
        self.executor.shutdown()
        for node in (self.node, self.driver):
            node.destroy_node()
        self.context.shutdown()


@pytest.fixture
def make_rig():
    rigs = []

    def make(*arguments):
        rigs.append(Rig(*arguments))
        return rigs[-1]

    yield make
    for rig in rigs:
        rig.close()


def raw(colour_bgr, **changes):
    pixels = np.full((480, 640, 3), colour_bgr, np.uint8)
    fields = {"height": 480, "width": 640, "encoding": "bgr8", "step": 1920, "data": pixels.tobytes()}
    return Image(**fields | changes)


def jpeg(colour_rgb, cut=None):
    file = io.BytesIO()
    Picture.new("RGB", (640, 480), colour_rgb).save(file, "JPEG")
    return CompressedImage(format="bgr8; jpeg compressed bgr8", data=file.getvalue()[:cut])


def test_pictures_are_taken_at_the_cameras_own_rate_and_their_age_is_told(make_rig):
    rig = make_rig()
    rig.listen()
    assert rig.camera.newest is None and "no picture yet" in rig.camera.description()
    rig.until(lambda: rig.shows((200, 0, 0)), (topics.image_topic("camera"), raw(RED)))
    rig.until(lambda: "Hz" in rig.camera.description(), (topics.image_topic("camera"), raw(RED)))
    description = rig.camera.description()
    assert "/camera/image_raw: 640x480 bgr8, " in description and not rig.refused
    assert 0.0 <= time.monotonic() - rig.camera.newest[1] < 5.0


def test_a_camera_that_is_only_published_compressed_is_found_whenever_it_comes(make_rig):
    rig = make_rig()
    rig.listen()
    rig.until(lambda: rig.shows((0, 200, 0)), (topics.compressed_topic("camera"), jpeg((0, 200, 0))))
    assert rig.camera.topic_names == ["/camera/image_raw/compressed"] and "jpeg" in rig.camera.description()


def test_where_both_are_published_the_raw_one_is_taken_and_left_when_it_brings_nothing(make_rig, monkeypatch):
    monkeypatch.setattr(camera, "PATIENCE_S", 0.6)
    rig = make_rig()
    both = [(topics.image_topic("camera"), raw(RED)), (topics.compressed_topic("camera"), jpeg((0, 200, 0)))]
    for topic, message in both:
        rig.publish(topic, message)
    rig.until(lambda: rig.node.count_publishers("/camera/image_raw/compressed"))
    rig.listen()
    rig.until(lambda: rig.shows((200, 0, 0)), *both)
    unknown = (topics.image_topic("camera"), raw(RED, encoding="h264"))
    rig.until(lambda: rig.shows((0, 200, 0)), unknown, both[1])
    assert (
        rig.refused
        and rig.refused[0][0] == topics.image_topic("camera")
        and "unknown encoding" in str(rig.refused[0][1])
    )


def test_a_parameter_decides_whatever_is_published(make_rig):
    rig = make_rig("compressed")
    rig.listen()
    rig.until(
        lambda: rig.shows((0, 0, 200)),
        (topics.image_topic("camera"), raw(RED)),
        (topics.compressed_topic("camera"), jpeg((0, 0, 200))),
    )
    with pytest.raises(UserError, match="image_transport 'theora' is unknown; choose auto, raw, compressed"):
        Camera(rig.node, "camera", SHAPE, "theora", PERIOD_S, print)


def test_damaged_pictures_are_named_and_passed_over(make_rig):
    rig = make_rig("compressed")
    rig.listen()
    good = (topics.compressed_topic("camera"), jpeg((0, 200, 0)))
    rig.until(lambda: rig.shows((0, 200, 0)), good)
    before = rig.camera.newest
    rig.until(lambda: rig.refused, (topics.compressed_topic("camera"), jpeg((200, 0, 0), cut=2000)))
    topic, error = rig.refused[0]
    assert (topic, error.kind) == (topics.compressed_topic("camera"), "no JPEG or PNG that can be read")
    assert rig.camera.newest is before
    rig.until(lambda: rig.camera.newest is not before, good)


def test_closing_ends_the_thread_and_the_subscription(make_rig):
    rig = make_rig()
    rig.listen()
    rig.until(lambda: rig.shows((200, 0, 0)), (topics.image_topic("camera"), raw(RED)))
    rig.camera.close()
    rig.camera = None
    assert "camera" not in {thread.name for thread in threading.enumerate()}
    assert not list(rig.node.subscriptions) and not list(rig.node.timers)
