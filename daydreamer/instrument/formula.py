"""Rewards as formulas over named signals: arithmetic and nothing else, so that a stranger's is only a number."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Callable, Collection, Mapping

import jax.numpy as jnp
from jax import Array

from daydreamer.contract.wishes import Signals
from daydreamer.errors import UserError
from daydreamer.texts import printable_line

LONGEST, DEEPEST = 2000, 50
"""Characters of a formula, and levels of brackets in it."""
LARGEST = 1e30
"""Numbers in a formula are smaller; that is far from what a 32-bit number can no longer be."""

_OPERATORS: Mapping[type[ast.AST], Callable[..., Array]] = {
    ast.Add: jnp.add,
    ast.Sub: jnp.subtract,
    ast.Mult: jnp.multiply,
    ast.Div: jnp.divide,
    ast.Pow: jnp.power,
    ast.USub: jnp.negative,
    ast.UAdd: jnp.positive,
    ast.Lt: jnp.less,
    ast.LtE: jnp.less_equal,
    ast.Gt: jnp.greater,
    ast.GtE: jnp.greater_equal,
}
_FUNCTIONS: Mapping[str, tuple[int, Callable[..., Array]]] = {
    "abs": (1, jnp.abs),
    "exp": (1, jnp.exp),
    "log": (1, jnp.log),
    "sqrt": (1, jnp.sqrt),
    "sin": (1, jnp.sin),
    "cos": (1, jnp.cos),
    "tanh": (1, jnp.tanh),
    "min": (2, jnp.minimum),
    "max": (2, jnp.maximum),
    "clip": (3, jnp.clip),
    "where": (3, lambda condition, then, otherwise: jnp.where(condition != 0.0, then, otherwise)),
}
"""By name, with how many arguments each takes."""


class Formula:
    """A reward that is written as a formula, as '-abs(forward_velocity_m_s + 0.3)'.

    Attributes:
      names: of the signals that it is of, in order.
    """

    def __init__(self, text: str, signals: Collection[str]):
        """Reads it.

        Args:
          signals: those there are.

        Raises:
          UserError: it is no formula, names a signal that there is not, or none; says what there is.
        """
        self._text = printable_line(text)
        try:
            if len(text) > LONGEST:
                raise ValueError(f"it is longer than {LONGEST} characters")
            self._root = ast.parse(text.strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise UserError(f"The reward '{self._text}' is no formula ({error}); {_MADE_OF}.") from error
        self.names: list[str] = []
        self._check(self._root, signals, 0)
        if not self.names:
            raise UserError(f"The reward '{self._text}' names no signal; 'daydreamer wish DIR' lists them.")

    def __call__(self, signals: Signals) -> Array:
        """The reward `[...]` of signals `[...]`."""
        return self._evaluate(self._root, signals)

    def _check(self, node: ast.expr, signals: Collection[str], depth: int) -> None:
        if depth > DEEPEST:
            raise UserError(f"The reward '{self._text}' has more than {DEEPEST} levels; write it shorter.")
        match node:
            case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
                if not abs(value) < LARGEST:
                    raise UserError(f"The reward '{self._text}' holds a number above {LARGEST:g}; write smaller ones.")
                return
            case ast.Name(id=name):
                if name not in signals:
                    raise UserError(unknown_signal(name, signals))
                self.names += [name] * (name not in self.names)
                return
            case ast.BinOp(op=operator) | ast.UnaryOp(op=operator) if type(operator) in _OPERATORS:
                pass
            case ast.Compare(ops=[operator]) if type(operator) in _OPERATORS:
                pass
            case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if (
                name in _FUNCTIONS and len(arguments) == _FUNCTIONS[name][0]
            ):
                pass
            case _:
                part = printable_line(ast.unparse(node))
                raise UserError(f"The reward holds '{part}', which no formula may; {_MADE_OF}.")
        for operand in _operands(node):
            self._check(operand, signals, depth + 1)

    def _evaluate(self, node: ast.expr, signals: Signals) -> Array:
        operands = [self._evaluate(operand, signals) for operand in _operands(node)]
        match node:
            case ast.Constant(value=value):
                return jnp.float32(value)  # so that a power of powers is infinite, and not computed
            case ast.Name(id=name):
                return signals[name]
            case ast.Call(func=ast.Name(id=name)):
                return _FUNCTIONS[name][1](*operands)
            case ast.BinOp(op=operator) | ast.UnaryOp(op=operator) | ast.Compare(ops=[operator]):
                # What is true is 1, so that it can be counted and subtracted.
                return _OPERATORS[type(operator)](*operands).astype(jnp.float32)
        raise AssertionError("it was checked")


def _operands(node: ast.expr) -> list[ast.expr]:
    match node:
        case ast.BinOp(left=left, right=right):
            return [left, right]
        case ast.UnaryOp(operand=operand):
            return [operand]
        case ast.Compare(left=left, comparators=others):
            return [left, *others]
        case ast.Call(args=arguments):
            return arguments
    return []


_MADE_OF = (
    f"it may be made of numbers, signals, + - * / ** < <= > >=, brackets, and {', '.join(_FUNCTIONS)}; what takes more "
    "is for a file of your own, see --python"
)


def unknown_signal(name: str, signals: Collection[str]) -> str:
    """One sentence for whoever named a signal that there is not."""
    near = difflib.get_close_matches(name, signals, 1)
    meant = f"; did you mean '{near[0]}'?" if near else "."
    return f"This robot's model predicts no signal '{printable_line(name)}'{meant} 'daydreamer wish DIR' lists them."
