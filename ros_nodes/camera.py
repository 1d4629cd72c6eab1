"""The robot's camera: its newest picture, at the camera's own rate, taken off the control loop's thread."""

from __future__ import annotations

import collections
import dataclasses
import threading
import time
from collections.abc import Callable

import numpy as np
from builtin_interfaces.msg import Time
from rclpy.node import Node
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CompressedImage, Image

from daydreamer.errors import UserError
from daydreamer.texts import printable_line
from ros_nodes import topics
from ros_nodes.named_values import Unusable
from ros_nodes.pictures import picture_of, picture_of_compressed

TRANSPORTS = ("auto", "raw", "compressed")
"""`auto` takes the raw pictures where they are published, else the compressed ones."""

LOOK_PERIOD_S = 0.5
PATIENCE_S = 3.0
"""With `auto`, a topic that has brought no picture for so long is left for the other one, if that is published."""

RATE_WINDOW = 20

BEHIND_S = 0.5
"""By less than this a picture's stamp says nothing of its age: clocks of two machines, and exposures, differ."""

LARGEST_CLOCK_DIFFERENCE_S = 3600.0
"""Stamps that are further away are of a clock that was never set, or of none."""


@dataclasses.dataclass(frozen=True)
class _Source:
    topic: str
    message_type: type
    convert: Callable[..., np.ndarray]


def _sources(camera: str) -> dict[str, _Source]:
    """By transport."""
    return {
        "raw": _Source(topics.image_topic(camera), Image, picture_of),
        "compressed": _Source(topics.compressed_topic(camera), CompressedImage, picture_of_compressed),
    }


class Camera:
    """Subscribes to one of a camera's topics, and converts at most one picture a period.

    Messages are received on the executor's thread as bytes, and read and converted on a thread of their own, whose
    libraries release the interpreter lock. `close` ends it.

    Attributes:
      newest: the newest picture, uint8 of the wanted shape, and when it was received on the steady clock, or, if it was
        long under way, when it was taken, see `_behind_s`; None before the first one.
      looks_like: size and encoding of the newest picture, for people; empty before the first one.
    """

    def __init__(
        self,
        node: Node,
        name: str,
        shape: tuple[int, ...],
        transport: str,
        period_s: float,
        on_refused: Callable[[str, Exception, float], None],
        robot_clock_s: Callable[[], float | None] = lambda: None,
        on_behind: Callable[[str, float], None] = lambda topic, behind_s: None,
    ):
        """Begins to look for the camera.

        Args:
          name: of the camera's signal, and of its topics.
          shape: of the pictures that are wanted.
          transport: one of `TRANSPORTS`.
          period_s: no policy looks more often.
          on_refused: called with the topic, what is wrong with a message, and when it came, on the camera's thread.
          robot_clock_s: how far the steady clock is ahead of what the robot's other messages are stamped with when they
            come; None if they are not stamped.
          on_behind: called with the topic and by how much, on the camera's thread, when a picture is much older than
            its reception.

        Raises:
          UserError: there is no such transport.
        """
        if transport not in TRANSPORTS:
            raise UserError(f"image_transport '{transport}' is unknown; choose {', '.join(TRANSPORTS)}.")
        self.newest: tuple[np.ndarray, float] | None = None
        self._node, self._shape, self._period_s, self._on_refused = node, shape, period_s, on_refused
        self._robot_clock_s, self._on_behind = robot_clock_s, on_behind
        self._sources = _sources(name)
        self._choices = [transport] if transport != "auto" else ["raw", "compressed"]
        self._chosen: str | None = None
        self._chosen_s = 0.0
        self._usable_s = -np.inf
        self._subscription = None
        self._arrived = threading.Condition()
        self._waiting: tuple[_Source, bytes, float] | None = None
        self._closed = False
        self._received_s: collections.deque[float] = collections.deque(maxlen=RATE_WINDOW)
        self.looks_like = ""
        self._look()
        self._timer = node.create_timer(LOOK_PERIOD_S, self._look)
        self._thread = threading.Thread(target=self._work, name=name)
        self._thread.start()

    @property
    def topics(self) -> list[str]:
        """Those that a picture may come on, relative; the chosen one alone once there is one."""
        return [self._sources[choice].topic for choice in ([self._chosen] if self._chosen else self._choices)]

    @property
    def topic_names(self) -> list[str]:
        """Likewise, resolved."""
        return [self._node.resolve_topic_name(topic) for topic in self.topics]

    @property
    def arrivals_s(self) -> list[float]:
        """When the newest messages came, readable or not, on the steady clock; at most `RATE_WINDOW`."""
        return list(self._received_s)

    @property
    def received_s(self) -> float:
        """When the newest picture came; minus infinity before the first."""
        return self.newest[1] if self.newest else -np.inf

    def description(self) -> str:
        """Topic, size, encoding and rate, for people."""
        times_s = self.arrivals_s
        elapsed_s = times_s[-1] - times_s[0] if len(times_s) > 1 else 0.0
        rate = f", {(len(times_s) - 1) / elapsed_s:.1f} Hz" if elapsed_s > 0 else ""
        return f"{' or '.join(self.topic_names)}: {self.looks_like or 'no picture yet'}{rate}"

    def close(self) -> None:
        """Ends subscription and thread; a conversion in progress is waited for."""
        with self._arrived:
            self._closed = True
            self._arrived.notify()
        self._thread.join()
        self._node.destroy_timer(self._timer)
        self._unsubscribe()

    # On the executor's thread.

    def _look(self) -> None:
        """Chooses by what is published now, or gives up a choice that brings nothing."""
        published = [
            choice
            for choice in self._choices
            if self._node.count_publishers(self._node.resolve_topic_name(self._sources[choice].topic))
        ]
        last_s = max(self._usable_s, self._chosen_s)
        if self._chosen is None:
            wanted = published or (self._choices if len(self._choices) == 1 else [])
        elif time.monotonic() - last_s > PATIENCE_S:
            wanted = [choice for choice in published if choice != self._chosen]
        else:
            return
        if wanted:
            self._choose(wanted[0])

    def _choose(self, choice: str) -> None:
        self._unsubscribe()
        source = self._sources[choice]
        self._chosen, self._chosen_s = choice, time.monotonic()
        self._subscription = self._node.create_subscription(
            source.message_type,
            source.topic,
            lambda data: self._receive(source, data),
            topics.LATEST_ONLY,
            event_callbacks=topics.UNOBSERVED,
            raw=True,
        )

    def _unsubscribe(self) -> None:
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None

    def _receive(self, source: _Source, data: bytes) -> None:
        now_s = time.monotonic()
        self._received_s.append(now_s)
        with self._arrived:
            self._waiting = source, data, now_s
            self._arrived.notify()

    # On the camera's thread.

    def _work(self) -> None:
        while True:
            with self._arrived:
                self._arrived.wait_for(lambda: self._closed or self._waiting)
                if self._closed:
                    return
                (source, data, received_s), self._waiting = self._waiting, None
            self._take(source, data, received_s)
            with self._arrived:
                self._arrived.wait_for(lambda: self._closed, max(0.0, received_s + self._period_s - time.monotonic()))

    def _take(self, source: _Source, data: bytes, received_s: float) -> None:
        try:
            message = deserialize_message(data, source.message_type)
            picture = source.convert(message, self._shape)
        # Neither a message nor a decoder may end the thread.
        except Exception as error:
            known = isinstance(error, Unusable)
            self._on_refused(source.topic, error if known else Unusable("cannot be read", repr(error)), received_s)
        else:
            self.looks_like = _looks(message)
            behind_s = self._behind_s(message.header.stamp, received_s)
            self.newest, self._usable_s = (picture, received_s - behind_s), received_s
            if behind_s:
                self._on_behind(source.topic, behind_s)

    def _behind_s(self, stamp: Time, received_s: float) -> float:
        """By how much a picture is older than its reception, if that is more than `BEHIND_S`.

        Its stamp may be of the robot's clock, as those of the robot's other messages, or of this machine's, as that of
        a camera that is plugged in here: it is taken for the one that is nearer.
        """
        stamp_s = stamp.sec + 1e-9 * stamp.nanosec
        clocks_s = [time.monotonic() - time.time(), self._robot_clock_s()]
        if not stamp_s:
            return 0.0
        behind_s = min((received_s - stamp_s - clock_s for clock_s in clocks_s if clock_s is not None), key=abs)
        return behind_s if BEHIND_S < behind_s < LARGEST_CLOCK_DIFFERENCE_S else 0.0


def _looks(message: Image | CompressedImage) -> str:
    if isinstance(message, CompressedImage):
        return printable_line(message.format) or "compressed"
    return f"{message.width}x{message.height} {message.encoding}"
