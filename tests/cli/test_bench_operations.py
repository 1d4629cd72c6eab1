import jax
import jax.numpy as jnp
import pytest

from daydreamer.cli.bench_operations import matmul_operations

MATRIX = jnp.ones((8, 8))
PRODUCT = 2 * 8**3


def operations(function, *arguments):
    return matmul_operations(jax.make_jaxpr(function)(*arguments))


def multiply(x):
    return x @ MATRIX


def repeat(times, function=multiply):
    return lambda x: jax.lax.scan(lambda carry, _: (function(carry), None), x, None, length=times)[0]


def test_shapes_count():
    assert operations(jnp.matmul, jnp.ones((2, 3)), jnp.ones((3, 5))) == 2 * 2 * 3 * 5
    blocks = operations(lambda x, y: jnp.einsum("bgi,gio->bgo", x, y), jnp.ones((4, 6, 2)), jnp.ones((6, 2, 3)))
    assert blocks == 2 * 4 * 6 * 2 * 3


def test_a_scan_counts_once_per_iteration_also_inside_another_one():
    assert operations(repeat(5), MATRIX) == 5 * PRODUCT
    assert operations(repeat(3, jax.jit(repeat(5))), MATRIX) == 15 * PRODUCT


def test_the_backward_pass_counts():
    gradient = jax.grad(lambda x: multiply(x).sum())
    assert operations(gradient, MATRIX) == PRODUCT  # nothing needs the forward product itself


def test_what_nobody_uses_is_left_out():
    assert operations(jax.jit(lambda x: (multiply(x), x)[1]), MATRIX) == 0


def test_the_longer_branch_counts():
    assert operations(lambda x: jax.lax.cond(x[0, 0] > 0, repeat(2), repeat(3), x), MATRIX) == 3 * PRODUCT


def test_a_loop_of_unknown_length_is_an_error():
    with pytest.raises(ValueError, match="while"):
        operations(lambda x: jax.lax.while_loop(lambda y: y[0, 0] < 9, multiply, x), MATRIX)
