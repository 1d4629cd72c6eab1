"""Who else publishes where one publisher is meant to, and why nothing may come where something should."""

from __future__ import annotations

import collections
import os
import time
from collections.abc import Callable, Mapping, Sequence

from rclpy.node import Node

from daydreamer.texts import printable_line
from ros_nodes.runtime import UNKNOWN_NODE, node_of

NAME_S = 1.0
"""A publisher is discovered before the name of its node, which is waited for so long."""


def publishers_of(node: Node, topic: str) -> list[str]:
    """Full names of the nodes that publish on a resolved topic, one for each publisher."""
    return [printable_line(node_of(each)) for each in node.get_publishers_info_by_topic(topic)]


def subscribers_of(node: Node, topic: str) -> list[str]:
    """Likewise of those that subscribe to it."""
    return [printable_line(node_of(each)) for each in node.get_subscriptions_info_by_topic(topic)]


def others_than_twin(node: Node, topic: str) -> list[str]:
    """Full names of the nodes, each once, that publish on a resolved topic and are not the twin beside this node."""
    twin = f"{node.get_namespace().rstrip('/')}/twin"
    return sorted({name for name in publishers_of(node, topic) if name != twin})


class GraphWatch:
    """Looks now and then, on a thread of its own, for publishers that there should not be.

    Attributes:
      intruders: nodes beside ours that publish commands; names as far as they are known, empty if there are none. Who
        has our name is the actor of another session.
      doubled: topics of the robot's state with more than one publisher, each with the nodes' names.
      unheard: topics of operators that somebody publishes with another type, of which nothing arrives: each with node
        and type.
    """

    def __init__(
        self,
        node: Node,
        command_topic: str,
        state_topics: Sequence[str],
        on_event: Callable[..., None],
        operator_topics: Mapping[str, str],
    ):
        """Args:
        command_topic: resolved; this node has one publisher there.
        state_topics: resolved.
        operator_topics: resolved, with the type that is heard there, as the graph writes it.
        on_event: called as `on_event(kind, **fields)` when what there is has changed, from the thread of `look`.
        """
        self.intruders: tuple[str, ...] = ()
        self.doubled: dict[str, tuple[str, ...]] = {}
        self.unheard: dict[str, tuple[str, ...]] = {}
        self._node = node
        self._operator_topics = dict(operator_topics)
        self._command_topic = command_topic
        self._state_topics = tuple(state_topics)
        self._on_event = on_event
        self._reported: dict[str, tuple[str, ...]] = {}
        self._unnamed_since_s: dict[str, float] = {}

    def look(self) -> None:
        """Asks the graph, which takes no part of the control loop's time."""
        others = publishers_of(self._node, self._command_topic)
        own = self._node.get_fully_qualified_name()
        if own in others:  # one of them: another node may have our name
            others.remove(own)
        self.intruders = tuple(sorted(f"{name} of another session" if name == own else name for name in others))
        self._report(self._command_topic, self.intruders)
        found = {}
        for topic in self._state_topics:
            publishers = tuple(sorted(publishers_of(self._node, topic)))
            if len(publishers) > 1:
                found[topic] = publishers
            self._report(topic, found.get(topic, ()))
        self.doubled = found
        self.unheard = {topic: other for topic in self._operator_topics if (other := self._of_other_type(topic))}
        for topic in self._operator_topics:
            self._report(topic, self.unheard.get(topic, ()), "unheard_publisher")

    def _of_other_type(self, topic: str) -> tuple[str, ...]:
        named = {
            printable_line(f"{node_of(each)} ({each.topic_type})")
            for each in self._node.get_publishers_info_by_topic(topic)
            if each.topic_type != self._operator_topics[topic]
        }
        return tuple(sorted(named))

    def words(self) -> list[str]:
        """What an operator should know of it now."""
        said = []
        if self.intruders:
            said.append(
                f"{self._command_topic} is also published by {_named(self.intruders)}: the robot is told two things. "
                "Stop that one, or give it another ROS_DOMAIN_ID; then resume"
            )
        for topic, publishers in self.doubled.items():
            said.append(f"{topic} has {len(publishers)} publishers: {_named(publishers)}")
        for topic, publishers in self.unheard.items():
            said.append(
                f"{topic} is published by {_named(publishers)}, and {self._operator_topics[topic]} is heard there: "
                "nothing of it arrives, a stop neither. Publish that type"
            )
        return said

    def _report(self, topic: str, publishers: tuple[str, ...], kind: str = "second_publisher") -> None:
        if publishers == self._reported.get(topic, ()):
            self._unnamed_since_s.pop(topic, None)
            return
        if UNKNOWN_NODE in publishers:
            since_s = self._unnamed_since_s.setdefault(topic, time.monotonic())
            if time.monotonic() - since_s < NAME_S:
                return
        self._reported[topic] = publishers
        self._on_event(kind, topic=topic, publishers=list(publishers), present=bool(publishers))


def _named(publishers: Sequence[str]) -> str:
    counts = collections.Counter("another node" if name == UNKNOWN_NODE else name for name in publishers)
    return ", ".join(name if count == 1 else f"{name} of {count} sessions" for name, count in counts.items())


def why_silent(node: Node, topic: str) -> str:
    """What there may be to do where nothing comes on a resolved topic; reads the graph and this process's environment.

    Only usual reasons: nobody publishes in this domain and network, or what is published does not get through.
    """
    publishers = node.get_publishers_info_by_topic(topic)
    if not publishers:
        domain = os.environ.get("ROS_DOMAIN_ID") or "0"
        reach = os.environ.get("ROS_AUTOMATIC_DISCOVERY_RANGE", "SUBNET")
        return (
            f"Nobody publishes there in ROS_DOMAIN_ID={domain}, ROS_AUTOMATIC_DISCOVERY_RANGE={reach}: is the driver "
            "running, with the same of both, on this network interface, and under these names (ros2 topic list)?"
        )
    types = ", ".join(sorted({printable_line(each.topic_type) for each in publishers}))
    names = ", ".join(sorted(set(publishers_of(node, topic))))
    return (
        f"{names} publishes {topic} ({types}), but nothing arrives: does it send, is that the type wanted, and do data "
        "get through (network interface, firewall, shared memory between users)?"
    )
