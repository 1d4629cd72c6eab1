"""Everything by which an operator reaches the actor: topics, services, a gamepad and lines on standard input."""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import queue
import select
import sys
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from rclpy.node import Node
from sensor_msgs.msg import Joy
from std_msgs.msg import Bool
from std_srvs.srv import Trigger

from daydreamer.actor.gamepad import GamepadLayout
from daydreamer.actor.operator import STEER, OperatorRequest, Operators, Reply
from daydreamer.texts import printable_line
from ros_nodes import topics
from ros_nodes.graph_checks import type_name
from ros_nodes.runtime import UNKNOWN_NAME, identity_of, node_of

SERVICES = {
    "e_stop_trigger": OperatorRequest.EMERGENCY_STOP,
    "e_stop_reset": OperatorRequest.EMERGENCY_RESET,
    "pause": OperatorRequest.PAUSE,
    "resume": OperatorRequest.RESUME,
    "intervene": OperatorRequest.INTERVENE,
}

KEYBOARD = "keyboard"
"""Who speaks by lines."""

POLL_S = 0.2
MOST_SPEAKERS = 64
"""Publishers that are remembered at once; more than a robot has buttons and gamepads."""


class OperatorInput:
    """Hands over what operators ask for, on the node's thread."""

    def __init__(
        self,
        node: Node,
        operators: Operators,
        request: Callable[[OperatorRequest, str], Reply],
        steer: Callable[[str], None],
        layout: GamepadLayout,
    ):
        """Subscribes and offers the services.

        Args:
          operators: takes the gamepad and the state of the topic `e_stop`.
          request: carries out a request from a source, on the node's thread.
          steer: takes a key of the `KEYBOARD` that steers, likewise.
          layout: of the gamepad.
        """
        self._operators = operators
        self._request = request
        self._steer = steer
        self._layout = layout
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._services = [
            node.create_service(Trigger, f"~/{name}", functools.partial(self._serve, request))
            for name, request in SERVICES.items()
        ]
        # Whoever publishes must be heard, and what they send again on loss must not be lost here: a subscription takes
        # only what it asks for, and gets only what the publisher offers.
        self._node = node
        self._speakers: dict[tuple[str, bytes], str] = {}
        subscribe = functools.partial(node.create_subscription, event_callbacks=topics.UNOBSERVED)
        self._subscriptions = [
            *(
                subscribe(Bool, topics.EMERGENCY_STOP, self._on_emergency_stop, quality)
                for quality in topics.FROM_ANYBODY
            ),
            subscribe(Joy, topics.GAMEPAD, self._on_gamepad, topics.LATEST_ONLY),
        ]
        self._stop_topic = self._subscriptions[0].topic_name
        self._gamepad_topic = self._subscriptions[-1].topic_name
        self._guard = node.create_guard_condition(self._take_lines)

    @staticmethod
    def heard_types(node: Node) -> dict[str, str]:
        """By resolved topic, the type that is heard there, as the graph writes it."""
        heard = {topics.EMERGENCY_STOP: Bool, topics.GAMEPAD: Joy}
        return {node.resolve_topic_name(topic): type_name(kind) for topic, kind in heard.items()}

    @contextlib.contextmanager
    def reading(self, file=sys.stdin) -> Iterator[None]:
        """Inside the block the lines of `file`, each an `OperatorRequest` or a key that steers, are carried out as they
        come.
        """
        stopped = threading.Event()
        thread = threading.Thread(target=self._read, args=(file.fileno(), stopped), name="operator-input")
        thread.start()
        try:
            yield
        finally:
            stopped.set()
            thread.join()

    def _read(self, descriptor: int, stopped: threading.Event) -> None:
        rest = b""
        while not stopped.is_set():
            if not select.select([descriptor], [], [], POLL_S)[0]:
                continue
            data = os.read(descriptor, 4096)
            if not data:  # the other end is gone; that the parent died is noticed elsewhere
                return
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                self._lines.put(line.decode(errors="replace").strip())
            self._guard.trigger()

    def _take_lines(self) -> None:
        while not self._lines.empty():
            line = self._lines.get()
            said, _, key = line.partition(" ")
            if said == STEER:
                self._steer(key)
                continue
            try:
                request = OperatorRequest(line)
            except ValueError:
                print(f"'{line}' is no request of an operator; there are {', '.join(OperatorRequest)}.", flush=True)
                continue
            print(self._request(request, KEYBOARD).message, flush=True)

    def _serve(self, request: OperatorRequest, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        reply = self._request(request, "service")
        response.success, response.message = reply.accepted, reply.message
        return response

    def forget_gone(self) -> None:
        """Whoever held a stop and is gone from the graph holds it no more; that alone resets nothing."""
        there = {
            identity_of(each.endpoint_gid)
            for topic in (self._stop_topic, self._gamepad_topic)
            for each in self._node.get_publishers_info_by_topic(topic)
        }
        for (topic, gid), name in list(self._speakers.items()):
            if gid and gid not in there:
                del self._speakers[topic, gid]
                if topic == self._stop_topic:
                    self._operators.stop_held(name, False)

    def _on_emergency_stop(self, message: Bool, info: Mapping[str, Any]) -> None:
        # Where nobody knows who speaks, one who lets go would let go of another's stop.
        if not message.data and info.get("publisher_gid") is None and self._node.count_publishers(self._stop_topic) > 1:
            return
        # Several subscriptions may deliver it; to say the same again changes nothing.
        self._operators.stop_held(self._speaker(self._stop_topic, info), message.data)

    def _on_gamepad(self, message: Joy, info: Mapping[str, Any]) -> None:
        stick = self._layout.stick(message.axes, message.buttons)
        deadman = self._layout.pressed(self._layout.deadman, message.buttons)
        self._operators.gamepad(stick, deadman, self._speaker(self._gamepad_topic, info))

    def _speaker(self, topic: str, info: Mapping[str, Any]) -> str:
        """A name for whoever has sent a message, the same each time, and of nobody else."""
        gid = identity_of(info.get("publisher_gid"))
        key = topic, gid or b""
        if key not in self._speakers:
            if len(self._speakers) >= MOST_SPEAKERS:
                self.forget_gone()
            name = f"{topic} from {self._node_of(topic, gid)}"
            self._speakers[key] = untaken(name, set(self._speakers.values()))
        return self._speakers[key]

    def _node_of(self, topic: str, gid: bytes | None) -> str:
        # Distributions before Kilted do not say who has published a message: there all are one.
        if gid is None:
            return "somebody"
        for each in self._node.get_publishers_info_by_topic(topic):
            if identity_of(each.endpoint_gid) == gid and each.node_name != UNKNOWN_NAME:
                return printable_line(node_of(each))
        return f"publisher {gid.hex()[-8:]}"


def untaken(name: str, taken: Collection[str]) -> str:
    """The name, or with the first number from 2 on that nobody has: 'gamepad (2)'."""
    numbered = (f"{name} ({number})" for number in itertools.count(2))
    return next(each for each in itertools.chain([name], numbered) if each not in taken)
