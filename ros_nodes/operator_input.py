"""Everything by which an operator reaches the actor: topics, services, a gamepad and lines on standard input."""

from __future__ import annotations

import contextlib
import functools
import os
import queue
import select
import sys
import threading
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from rclpy.node import Node
from sensor_msgs.msg import Joy
from std_msgs.msg import Bool
from std_srvs.srv import Trigger

from daydreamer.actor.operator import OperatorDesk, OperatorRequest, Reply
from ros_nodes import topics

SERVICES = {
    "e_stop_trigger": OperatorRequest.EMERGENCY_STOP,
    "e_stop_reset": OperatorRequest.EMERGENCY_RESET,
    "pause": OperatorRequest.PAUSE,
    "resume": OperatorRequest.RESUME,
    "intervene": OperatorRequest.INTERVENE,
}

POLL_S = 0.2


class OperatorInput:
    """Hands requests to the desk on the node's thread."""

    def __init__(
        self,
        node: Node,
        desk: OperatorDesk,
        request: Callable[[OperatorRequest, str], Reply],
        deadman_button: int,
        axes: Sequence[int],
    ):
        """Subscribes and offers the services.

        Args:
          desk: takes the gamepad and the state of the topic `e_stop`.
          request: carries out a request from a source, on the node's thread.
          deadman_button, axes: indices in sensor_msgs/Joy.
        """
        self._desk = desk
        self._request = request
        self._deadman_button = deadman_button
        self._axes = list(axes)
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._services = [
            node.create_service(Trigger, f"~/{name}", functools.partial(self._serve, request))
            for name, request in SERVICES.items()
        ]
        # Whoever publishes must be heard, and what they send again on loss must not be lost here: a subscription takes
        # only what it asks for, and gets only what the publisher offers.
        self._subscriptions = [
            node.create_subscription(Bool, topics.EMERGENCY_STOP, self._on_emergency_stop, quality)
            for quality in topics.FROM_ANYBODY
        ] + [node.create_subscription(Joy, topics.GAMEPAD, self._on_gamepad, topics.LATEST_ONLY)]
        self._guard = node.create_guard_condition(self._take_lines)

    @contextlib.contextmanager
    def reading(self, file=sys.stdin) -> Iterator[None]:
        """Inside the block the lines of `file`, each an `OperatorRequest`, are carried out as they come."""
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
            try:
                request = OperatorRequest(line)
            except ValueError:
                print(f"'{line}' is no request of an operator; there are {', '.join(OperatorRequest)}.", flush=True)
                continue
            print(self._request(request, "keyboard").message, flush=True)

    def _serve(self, request: OperatorRequest, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        reply = self._request(request, "service")
        response.success, response.message = reply.accepted, reply.message
        return response

    def _on_emergency_stop(self, message: Bool) -> None:
        # Several subscriptions may deliver it; after the first nothing is left to do.
        self._desk.stop_held("topic", message.data)

    def _on_gamepad(self, message: Joy) -> None:
        axes, buttons = message.axes, message.buttons
        deadman = self._deadman_button < len(buttons) and bool(buttons[self._deadman_button])
        values = [axes[axis] if axis < len(axes) else 0.0 for axis in self._axes]
        self._desk.gamepad(np.array(values), deadman)
