"""How much arithmetic a program asks for, and how much the machine can do."""

from __future__ import annotations

import math
import time
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, Jaxpr
from jax.interpreters import partial_eval


def matmul_operations(program: ClosedJaxpr) -> int:
    """Multiplications and additions in the matrix products of a traced program, those of a scan once per iteration.

    What no output depends on is left out, as the compiler leaves it out. XLA's own cost analysis will not do: it
    counts the body of a loop once, however often it runs.

    Raises:
      ValueError: a matrix product in a loop whose length is only known when it runs.
    """
    used, _ = partial_eval.dce_jaxpr(program.jaxpr, [True] * len(program.jaxpr.outvars))
    return sum(_operations(equation) for equation in used.eqns)


def _operations(equation: Any) -> int:
    name, parameters = equation.primitive.name, equation.params
    if name == "dot_general":
        (contracted, _), _ = parameters["dimension_numbers"]
        left, output = equation.invars[0].aval, equation.outvars[0].aval
        return 2 * output.size * math.prod(left.shape[axis] for axis in contracted)
    inner = [
        sum(_operations(equation) for equation in value.eqns)
        for value in jax.tree.leaves(list(parameters.values()))
        if isinstance(value, ClosedJaxpr | Jaxpr)
    ]
    if name == "while" and any(inner):
        raise ValueError("a matrix product in a while loop: how often it runs is not known in advance")
    if name == "cond":
        return max(inner)
    return sum(inner) * (parameters["length"] if name == "scan" else 1)


def matmul_peak_gflop_s(repetitions: int = 5) -> float:
    """What a large float32 matrix product reaches on the whole device: the ceiling for everything else."""
    size = 2048 if jax.default_backend() == "cpu" else 8192
    matrix = jnp.ones((size, size))
    product = jax.jit(jnp.matmul)
    jax.block_until_ready(product(matrix, matrix))
    best_s = math.inf
    for _ in range(repetitions):
        begin_s = time.perf_counter()
        jax.block_until_ready(product(matrix, matrix))
        best_s = min(best_s, time.perf_counter() - begin_s)
    return 2 * size**3 / best_s / 1e9
