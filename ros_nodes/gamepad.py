"""A gamepad that is heard by a command which drives nothing over ROS 2."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Sequence

from rclpy.node import Node
from sensor_msgs.msg import Joy

from daydreamer.actor.gamepad import LAYOUTS, GamepadLayout
from daydreamer.environment import environment
from daydreamer.errors import UserError
from ros_nodes import runtime, topics
from ros_nodes.graph_watch import publishers_of, subscribers_of

PATIENCE_S = 5.0
"""In which a gamepad that is published is found, and says something: joy_node repeats itself."""
START = "ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST ros2 run joy joy_node"
"""How a gamepad is published to no other machine."""
APART = "give this command and joy_node a ROS domain of their own with ROS_DOMAIN_ID=1 (any number up to 101)"
NETWORK = {"ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET", "ROS_LOCALHOST_ONLY": "0", "ROS_STATIC_PEERS": "127.0.0.1"}
"""Where joy_node is heard that is started in a plain terminal: by a robot on another computer, too.

The peer is this machine, whose nodes are found sooner by that."""


class Gamepad:
    """Takes what comes on `joy`."""

    def __init__(self, node: Node, spinner: runtime.Spinner):
        self._node = node
        self._spinner = spinner
        self._messages: list[tuple[Sequence[float], Sequence[int]]] = []
        self._subscription = node.create_subscription(Joy, topics.GAMEPAD, self._take, topics.LATEST_ONLY)

    def hear(self, seconds: float) -> list[tuple[Sequence[float], Sequence[int]]]:
        """Axes and buttons of all messages that have come by the end of so much time."""
        self._spinner.until(time.monotonic() + seconds)
        heard = -1
        while heard < len(self._messages):  # also where there is no time to wait, as before a twin that is slow
            heard = len(self._messages)
            self._spinner.once(0.0)
        messages, self._messages = self._messages, []
        return messages

    def require(self, layout: GamepadLayout, name: str) -> None:
        """Waits for its first word.

        Raises:
          UserError: there is none, there are several gamepads, it is laid out otherwise, or somebody else hears it, as
            the actor of a robot that is not meant.
        """
        topic, end_s = self._subscription.topic_name, time.monotonic() + PATIENCE_S
        while not (messages := self.hear(0.1)):
            if time.monotonic() > end_s:
                raise UserError(
                    f"No gamepad is heard on {topic}; plug one in and start '{START}' in the same ROS "
                    "domain (ROS_DOMAIN_ID)."
                )
        self.hear(runtime.DISCOVERY_S)  # until all are, also one in the network whose first announcements go amiss
        publishers = publishers_of(self._node, topic)
        if len(publishers) > 1:
            raise UserError(
                f"{len(publishers)} gamepads on {topic}: {', '.join(publishers)}; stop all but one, or {APART}."
            )
        others = set(subscribers_of(self._node, topic)) - {self._node.get_fully_qualified_name()}
        if others:
            raise UserError(
                f"What the gamepad on {topic} says is also heard by {', '.join(sorted(others))}, which it might drive; "
                f"stop that, on whichever machine of the network it is, or {APART}."
            )
        axes, buttons = messages[-1]
        if not layout.fits(axes, buttons):
            raise UserError(
                f"The gamepad on {topic} has {len(axes)} axes and {len(buttons)} buttons, fewer than the layout "
                f"'{name}' is of; choose another one of {', '.join(LAYOUTS)}."
            )

    def _take(self, message: Joy) -> None:
        self._messages.append((message.axes, message.buttons))


@contextlib.contextmanager
def hearing(name: str, command: str) -> Iterator[Gamepad]:
    """The gamepad of this machine, inside the block.

    Args:
      name: of its layout.
      command: that hears it, by which its node is named.

    Raises:
      UserError: see `Gamepad.require`.
    """
    with contextlib.ExitStack() as stack:
        with _into_the_network():
            node = stack.enter_context(runtime.ros_node(lambda: Node(command), []))
        gamepad = Gamepad(node, stack.enter_context(runtime.Spinner(node)))
        gamepad.require(LAYOUTS[name], name)
        yield gamepad


def _into_the_network() -> contextlib.AbstractContextManager[None]:
    """A node that is made in the block discovers, and is discovered, as far as joy_node, which may reach farther than
    any node of ours: they stay on this machine. A range of another kind, as OFF, is the operator's own wish.
    """
    if os.environ.get("ROS_AUTOMATIC_DISCOVERY_RANGE") != "LOCALHOST":
        return contextlib.nullcontext()
    peers = filter(None, (os.environ.get("ROS_STATIC_PEERS"), NETWORK["ROS_STATIC_PEERS"]))
    return environment(NETWORK | {"ROS_STATIC_PEERS": ";".join(peers)})
