"""The devices of a learner: each takes its share of every batch, and everything else lies on all of them."""

from __future__ import annotations

import collections
import math
from collections.abc import Sequence
from typing import TypeVar

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from daydreamer.config import LearnerConfig
from daydreamer.errors import UserError

_AXIS = "batch"

Tree = TypeVar("Tree")


class DeviceGroup:
    """Devices that make one gradient step together, each on its share of the batch (data parallelism).

    Only where arrays lie is stated. XLA derives from it what the devices have to tell each other, as the sums of their
    gradients (GSPMD, Xu et al. 2021). They may belong to several processes, see `jax.distributed`.

    Attributes:
      whole: sharding of what lies on every device, as parameters and replay. None for a single device: nothing has to
        be said there, and its programs are those of a learner that knows of no others, to the bit.
    """

    def __init__(self, devices: Sequence[jax.Device]):
        """`devices` of one kind, the same in every process of `jax.distributed`; a single one is JAX's first."""
        self._devices = tuple(devices)
        self._mesh = Mesh(np.array(self._devices), (_AXIS,))
        self.whole = NamedSharding(self._mesh, PartitionSpec()) if len(self._devices) > 1 else None

    def __len__(self) -> int:
        return len(self._devices)

    def __str__(self) -> str:
        """As 'cpu' or '8 x NVIDIA H100'."""
        kinds = collections.Counter(device.device_kind for device in self._devices)
        return " + ".join(kind if count == 1 else f"{count} x {kind}" for kind, count in kinds.items())

    def divide(self, tree: Tree) -> Tree:
        """The same arrays `[batch, ...]`, whose first axis is divided among the devices; inside of `jax.jit` only."""
        if self.whole is None:
            return tree
        return jax.lax.with_sharding_constraint(tree, NamedSharding(self._mesh, PartitionSpec(_AXIS)))


def choose_devices(config: LearnerConfig) -> DeviceGroup:
    """The first `config.devices` that JAX finds; for 0 the largest number of them that divides the batch evenly.

    Raises:
      UserError: there are not so many.
    """
    found = jax.devices()
    if config.devices > len(found):
        raise UserError(
            f"learner.devices is {config.devices}, and JAX finds {len(found)} here ({DeviceGroup(found)}); set it to 0 "
            "for as many as there are, with --set or in the session.yaml of a session that goes on."
        )
    common = math.gcd(config.batch_size, config.imagination_starts)
    count = config.devices or max(count for count in range(1, len(found) + 1) if common % count == 0)
    return DeviceGroup(found[:count])
