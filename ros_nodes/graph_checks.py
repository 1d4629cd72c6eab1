"""What the graph of nodes says about a robot's topics: who is silent and why, and who obeys commands."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence

import rclpy
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy

from daydreamer.contract.embodiment import Embodiment, SetpointKind
from daydreamer.robots.checks import Check, Verdict
from daydreamer.texts import printable_line
from ros_nodes import topics
from ros_nodes.graph_watch import publishers_of, why_silent
from ros_nodes.runtime import node_of

DOMAINS = range(10)
"""Where a driver that is not in this one may be: people count from 0."""

LOOK_S, POLL_S = 5.0, 0.2
"""A node of this machine is found within 0.2 s, if the machine is not busy."""

NAMES_SHOWN = 5


def type_name(message_type: type) -> str:
    """As the graph writes it: sensor_msgs/msg/Image."""
    package, kind, *_ = message_type.__module__.split(".")
    return f"{package}/{kind}/{message_type.__name__}"


def why_silent_here(node: Node, topic: str, message_type: type) -> str:
    """Why nothing may come on a resolved topic, and what to do: what the graph knows, or other domains do."""
    publishers = node.get_publishers_info_by_topic(topic)
    wanted = type_name(message_type)
    types = {each.topic_type for each in publishers}
    if types and wanted not in types:
        who = ", ".join(sorted(set(publishers_of(node, topic))))
        other = ", ".join(printable_line(each) for each in sorted(types))
        return f"{who} publishes {other} there, and {wanted} is wanted: convert or remap it."
    if publishers:
        return why_silent(node, topic)
    last = topic.rsplit("/", 1)[-1]
    elsewhere = [name for name, kinds in node.get_topic_names_and_types() if wanted in kinds and name != topic]
    alike = [name for name in elsewhere if name.endswith(f"/{last}") and node.count_publishers(name)]
    if alike:
        shown = ", ".join(printable_line(name) for name in alike[:NAMES_SHOWN])
        return f"But {shown} is published: remap with --ros-args -r {topic.lstrip('/')}:={printable_line(alike[0])}."
    if found := domains_with(topic, node.context.get_domain_id()):
        domains = " and ".join(str(domain) for domain in found)
        return f"It is published in ROS_DOMAIN_ID={domains}, and this is {node.context.get_domain_id()}: set it alike."
    return why_silent(node, topic)


def domains_with(topic: str, own: int) -> list[int]:
    """In which of `DOMAINS`, beside our own, somebody publishes a resolved topic. Takes `LOOK_S` where nobody does."""
    with contextlib.ExitStack() as stack:
        nodes = {domain: stack.enter_context(_onlooker(domain)) for domain in DOMAINS if domain != own}
        end_s, found = time.monotonic() + LOOK_S, []
        while not found and time.monotonic() < end_s:
            time.sleep(POLL_S)
            found = [domain for domain, node in nodes.items() if node.count_publishers(topic)]
        return found


@contextlib.contextmanager
def _onlooker(domain: int) -> Iterator[Node]:
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=domain)
    try:
        node = rclpy.create_node(f"check_robot_in_domain_{domain}", context=context)
        try:
            yield node
        finally:
            node.destroy_node()
    finally:
        context.shutdown()


def check_listeners(node: Node, robot: Embodiment, interface: str, must: bool) -> list[Check]:
    """Whether anybody obeys our commands, and whether anybody gives others.

    Args:
      robot: who is commanded.
      interface: one of `topics.actor_interfaces` for it.
      must: commands are to be sent now.

    Raises:
      UserError: there is no such interface.
    """
    kind = robot.setpoint_kind
    topic = node.resolve_topic_name(topics.command_topic(robot))
    fitting = topics.INTERFACES[kind] if interface == topics.DETECTED else (interface,)
    wanted = [type_name(topics.command_type(name, kind)) for name in fitting]
    results = []
    # This node has no publisher there yet.
    commanders = publishers_of(node, topic)
    if commanders:
        detail = f"{', '.join(commanders)} commands the robot: stop it, or neither the actor nor --move will begin"
        verdict = Verdict.FAIL if must or len(commanders) > 1 else Verdict.NOTE
        results.append(Check(f"publishers of {topic}", verdict, detail))
    return [*results, Check(f"listeners to {topic}", *_listeners(node, topic, wanted, kind, must))]


def _listeners(node: Node, topic: str, wanted: Sequence[str], kind: SetpointKind, must: bool) -> tuple[Verdict, str]:
    """`wanted` are message types any of which will do."""
    failed = Verdict.FAIL if must else Verdict.NOTE
    listeners = node.get_subscriptions_info_by_topic(topic)
    if not listeners:
        return failed, f"nobody: the driver does not run, or takes commands elsewhere (remap {topic} to it)"
    fitting = [each for each in listeners if each.topic_type in wanted]
    if not fitting:
        others = {type_name(topics.command_type(name, kind)): name for name in topics.INTERFACES[kind]}
        taken = listeners[0].topic_type
        cure = f"--command-interface {others[taken]}" if taken in others else f"{' or '.join(wanted)} is wanted"
        return failed, f"takes {printable_line(taken)}: {cure}"
    names = ", ".join(printable_line(node_of(each)) for each in fitting)
    if any(each.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL for each in fitting):
        detail = "asks for transient local durability, which commands do not have: an old command would come again"
        return failed, f"{names} {detail}. Let the driver subscribe as volatile"
    return Verdict.OK, names
