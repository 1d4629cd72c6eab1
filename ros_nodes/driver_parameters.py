"""Parameters of drivers: numbers within a range, written as YAML has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rcl_interfaces.msg import ParameterDescriptor
from rclpy.node import Node

from daydreamer.errors import UserError


def number(node: Node, name: str, default: float, lowest: float, highest: float) -> float:
    """A parameter from `lowest` to `highest`; 250 is as good as 250.0.

    Raises:
      UserError: it is no number, or out of its range.
    """
    value = _declared(node, name, default)
    if not _is_number(value) or not lowest <= value <= highest:
        raise UserError(f"Parameter {name} is {value!r}; give a number from {lowest:g} to {highest:g}, as {default:g}.")
    return float(value)


def whole_number(node: Node, name: str, default: int, lowest: int, highest: int) -> int:
    """Likewise without decimals.

    Raises:
      UserError: it is no whole number, or out of its range.
    """
    value = number(node, name, default, lowest, highest)
    if value != int(value):
        raise UserError(f"Parameter {name} is {value:g}; give a whole number, as {default}.")
    return int(value)


def numbers(node: Node, name: str, default: Sequence[float], what: str, lowest: float, highest: float) -> list[float]:
    """As many numbers as `default` has, of `what`, each in the range.

    Raises:
      UserError: they are not.
    """
    values = _declared(node, name, [float(value) for value in default])
    is_list = not isinstance(values, str | bytes) and hasattr(values, "__len__")
    if (
        not is_list
        or len(values) != len(default)
        or not all(_is_number(value) and lowest <= value <= highest for value in values)
    ):
        shown = list(values) if is_list else values
        raise UserError(
            f"Parameter {name} is {shown!r}; give {what} from {lowest:g} to {highest:g} each, as {list(default)}."
        )
    return [float(value) for value in values]


def text(node: Node, name: str, default: str) -> str:
    """Raises UserError if it is no text, or empty."""
    value = _declared(node, name, default)
    if not isinstance(value, str) or not value.strip():
        raise UserError(f"Parameter {name} is {value!r}; give a text, as {default!r}.")
    return value.strip()


def _declared(node: Node, name: str, default: Any) -> Any:
    # Of any type, since rclpy would take 250 for another than 250.0; we say what is wrong with it. And read once only.
    descriptor = ParameterDescriptor(dynamic_typing=True, read_only=True)
    return node.declare_parameter(name, default, descriptor).value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
