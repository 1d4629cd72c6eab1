"""What every node of ours does the same way: start, spin until a time, refuse to share a robot, end."""

from __future__ import annotations

import argparse
import contextlib
import difflib
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

try:
    import rclpy
except ImportError as error:
    sys.exit(
        f"ROS 2's Python library does not load ({error}); install it with pip install 'daydreamer[ros]' or source "
        "/opt/ros/<distribution>/setup.bash."
    )
from rcl_interfaces.msg import ParameterDescriptor
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.signals import SignalHandlerOptions
from rclpy.topic_endpoint_info import TopicEndpointInfo
from rclpy.utilities import remove_ros_args

from daydreamer.errors import UserError
from daydreamer.stop_request import StopRequest

UNKNOWN_NAME = "_NODE_NAME_UNKNOWN_"
UNKNOWN_NODE = f"_NODE_NAMESPACE_UNKNOWN_/{UNKNOWN_NAME}"


def node_of(endpoint: TopicEndpointInfo) -> str:
    """Full name of the node that publishes or subscribes there, as the graph has it; not cleaned for printing."""
    return f"{endpoint.node_namespace.rstrip('/')}/{endpoint.node_name}"


def identity_of(gid: Any) -> bytes | None:
    """One form of a publisher's identity, of which rclpy has several; None where it does not tell, before Kilted."""
    if gid is None:
        return None
    return bytes(gid["data"] if isinstance(gid, Mapping) else gid)


DISCOVERY_S = float(os.environ.get("DAYDREAMER_DISCOVERY_S", "3.5"))
"""A running node is found within 0.2 s, or, if its first announcements go amiss, with the next after 3 s.

Only tests set the variable, each of whose robots has a domain of its own."""


def parse_arguments(parser: argparse.ArgumentParser, arguments: Sequence[str]) -> argparse.Namespace:
    """`parse_options` of a process of a session."""
    parser.add_argument("--session", type=Path, required=True, metavar="DIR", help="session directory")
    return parse_options(parser, arguments)


def parse_options(parser: argparse.ArgumentParser, arguments: Sequence[str]) -> argparse.Namespace:
    """Our arguments; those after --ros-args are rclpy's.

    Raises:
      UserError: rclpy cannot read those, or a file of parameters among them.
    """
    try:
        ours = remove_ros_args(["node", *arguments])[1:]
    except RuntimeError as error:
        # The rest of the text is where in rcl it was raised.
        said = str(error).split(", at /")[0].removeprefix("Failed to parse ROS arguments: ")
        raise UserError(f"What stands behind --ros-args cannot be used. {said}") from error
    return parser.parse_args(ours)


def parse_without_session(name: str, description: str, arguments: Sequence[str]) -> None:
    """For nodes that take no arguments but rclpy's: --help, and an error for anything else."""
    parser = argparse.ArgumentParser(
        prog=name, description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parse_options(parser, arguments)


NodeType = TypeVar("NodeType", bound=Node)


@contextlib.contextmanager
def ros_node(make: Callable[[], NodeType], arguments: Sequence[str]) -> Iterator[NodeType]:
    """The node that `make` makes, whose context survives signals, so that a last safe command can still be sent."""
    rclpy.init(args=["node", *arguments], signal_handler_options=SignalHandlerOptions.NO)
    try:
        node = make()
        try:
            yield node
        finally:
            node.destroy_node()
    finally:
        rclpy.shutdown()


@contextlib.contextmanager
def entities(node: Node) -> Iterator[None]:
    """Destroys at the end of the block what has been made on `node` within."""
    kinds = {
        "publishers": node.destroy_publisher,
        "subscriptions": node.destroy_subscription,
        "services": node.destroy_service,
        "guards": node.destroy_guard_condition,
    }
    before = {kind: set(getattr(node, kind)) for kind in kinds}
    try:
        yield
    finally:
        for kind, destroy in kinds.items():
            for entity in set(getattr(node, kind)) - before[kind]:
                destroy(entity)


def declare(node: Node, name: str, default: Any, description: str = "", **constraints: Any) -> Any:
    """A parameter's value, read once; of the type of `default`, but a whole number is taken for a float.

    Args:
      constraints: of ParameterDescriptor.

    Raises:
      UserError: a value of another type or out of its range.
    """
    numbers = default if isinstance(default, list) else [default]
    given = node._parameter_overrides.get(name)
    if given is not None and all(isinstance(number, float) for number in numbers):
        # For ROS 250 is no float, only 250.0 is.
        node._parameter_overrides[name] = Parameter(name, value=_as_floats(given.value))
    descriptor = ParameterDescriptor(description=description, read_only=True, **constraints)
    try:
        return node.declare_parameter(name, default, descriptor).value
    except (InvalidParameterTypeException, InvalidParameterValueException) as error:
        raise UserError(
            f"Parameter {name} of {node.get_fully_qualified_name()} cannot be used: {error}. It takes a value like "
            f"{default!r}."
        ) from error


def _as_floats(value: Any) -> Any:
    """Whole numbers made floats, alone or in a list; anything else as it is."""
    if isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_as_floats(element) for element in value]
    return value


def refuse_file_for_others(node: Node, arguments: Sequence[str]) -> None:
    """For nodes that nobody starts with a file that is not for them.

    Raises:
      UserError: files of parameters were given, and none of them gives this node any.
    """
    if "--params-file" in arguments and not node._parameter_overrides:
        raise UserError(
            f"The file of parameters has none for {node.get_fully_qualified_name()}: its section begins with "
            f"'/**/{node.get_name()}:', below which stands 'ros__parameters:'."
        )


def refuse_unknown_parameters(node: Node) -> None:
    """Call it once the node has declared its parameters.

    rclpy passes over a parameter that nobody declares; a robot whose file says auto_start would set out by itself.

    Raises:
      UserError: a file or the command line gives the node one that it does not have; names it.
    """
    # rclpy has no public name for what it was given.
    for name in node._parameter_overrides:
        if not node.has_parameter(name):
            known = sorted(node._parameters)
            meant = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {meant[0]}?" if meant else f"there are {', '.join(known)}."
            raise UserError(f"Node {node.get_fully_qualified_name()} has no parameter '{name}'; {hint}")


class Spinner:
    """Runs a node's callbacks on the caller's thread, from where their exceptions come out."""

    def __init__(self, node: Node):
        # An executor of its own: rclpy.spin_once adds and removes the node at every call.
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(node)

    def until(self, time_s: float) -> None:
        """Returns at `time_s` of `time.monotonic()`; callbacks that are ready have been run, one if it is late."""
        self.once(max(0.0, time_s - time.monotonic()))
        while (remaining_s := time_s - time.monotonic()) > 0:
            self.once(remaining_s)

    def once(self, timeout_s: float) -> None:
        self._executor.spin_once(timeout_sec=timeout_s)

    def __enter__(self) -> Spinner:
        return self

    def __exit__(self, *_: object) -> None:
        self._executor.shutdown()


def refuse_second_publisher(
    node: Node,
    wait: Callable[[float], None],
    topic: str,
    stop: StopRequest,
    since_s: float | None = None,
    *,
    before_own: bool = False,
) -> None:
    """Waits for discovery, then makes sure that this node's publisher is, or will be, the only one on `topic`.

    Args:
      wait: lets that many seconds pass; discovery needs no spinning.
      since_s: of `time.monotonic()`, when the node, and its publisher if it has one, were there already; now if None.
      before_own: it has none yet. So whoever is refused has not been in the way: a robot that two command is held.

    Raises:
      UserError: somebody else publishes there.
    """
    end_s = (time.monotonic() if since_s is None else since_s) + DISCOVERY_S
    waiting = True
    others: list[str] = []
    while waiting and not stop:
        # Looks at least once, and for the last time after the end.
        waiting = time.monotonic() < end_s
        wait(0.05)
        publishers = list(map(node_of, node.get_publishers_info_by_topic(topic)))
        if not before_own:
            with contextlib.suppress(ValueError):
                publishers.remove(node.get_fully_qualified_name())
        others = publishers
    if others:
        # A publisher is discovered before the name of its node; one that just ended never gets one.
        known = ", ".join(sorted(set(others) - {UNKNOWN_NODE})) or "another node"
        raise UserError(
            f"Topic {topic} is already published by {known}, perhaps of another session; stop it, or give this session "
            "a ROS domain of its own with ROS_DOMAIN_ID=1 (any number up to 101)."
        )
