"""Parameters of drivers: numbers within a range, written as YAML has them."""

from __future__ import annotations

from collections.abc import Sequence

from rclpy.node import Node

from daydreamer.errors import UserError
from ros_nodes import runtime


def number(node: Node, name: str, default: float, lowest: float, highest: float) -> float:
    """A parameter from `lowest` to `highest`; 250 is as good as 250.0.

    Raises:
      UserError: it is no number, or out of its range.
    """
    value = runtime.declare(node, name, default)
    if not lowest <= value <= highest:
        raise UserError(f"Parameter {name} is {value:g}; give a number from {lowest:g} to {highest:g}, as {default:g}.")
    return value


def numbers(node: Node, name: str, default: Sequence[float], what: str, lowest: float, highest: float) -> list[float]:
    """As many numbers as `default` has, of `what`, each in the range.

    Raises:
      UserError: they are not.
    """
    values = list(runtime.declare(node, name, [float(value) for value in default]))
    if len(values) != len(default) or not all(lowest <= value <= highest for value in values):
        raise UserError(
            f"Parameter {name} is {values}; give {what} from {lowest:g} to {highest:g} each, as {list(default)}."
        )
    return values


def port(node: Node, name: str, default: int, lowest: int = 1) -> int:
    """A UDP port.

    Raises:
      UserError: it is none.
    """
    value = runtime.declare(node, name, default)
    if not lowest <= value <= 65535:
        raise UserError(f"Parameter {name} is {value}; give a port from {lowest} to 65535, as {default}.")
    return value
