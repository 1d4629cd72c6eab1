"""What a gradient step does to its gradient."""

import jax.numpy as jnp
import numpy as np
import optax

from daydreamer.learner.agent import clip_by_unit


def test_block_diagonal_kernels_are_clipped_by_the_unit_as_others_are():
    random = np.random.default_rng(0)
    blocks, inputs, units = 3, 5, 4
    kernel = random.standard_normal((blocks, inputs, units), np.float32)
    gradient = random.standard_normal(kernel.shape, np.float32) * np.float32([0.01, 0.1, 10.0, 1000.0])
    tree = {"block": kernel, "dense": kernel[0], "bias": kernel[0, 0]}
    gradients = {"block": gradient, "dense": gradient[0], "bias": gradient[0, 0]}
    clipped, _ = clip_by_unit(0.3).update(gradients, optax.EmptyState(), tree)
    one_by_one, _ = optax.adaptive_grad_clip(0.3).update(list(gradient), optax.EmptyState(), list(kernel))
    np.testing.assert_allclose(clipped["block"], jnp.stack(one_by_one), rtol=1e-6)
    np.testing.assert_array_equal(clipped["dense"], one_by_one[0])
    # A unit keeps its direction, whatever its elements are, and the others are left alone.
    ratio = np.asarray(clipped["block"]) / gradient
    np.testing.assert_allclose(ratio, np.broadcast_to(ratio[:, :1], ratio.shape), rtol=1e-4)
    assert (ratio[..., 0] > 0.999).all() and (ratio[..., 3] < 0.01).all()
