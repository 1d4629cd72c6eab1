"""The MuJoCo twin of the Unitree A1."""

from __future__ import annotations

from importlib import resources

from daydreamer.config import TwinConfig
from daydreamer.robots.a1.constants import A1
from daydreamer.robots.quadruped.description import each_leg
from daydreamer.robots.quadruped.twin import describe_quadruped
from sim.twin import Twin

TWIN = describe_quadruped(
    A1,
    resources.files(__package__) / "a1.xml",
    back_height_m=0.1,
    back_pose_rad=each_leg(0.0, 1.5, -2.65),
)


def make_twin(config: TwinConfig, seed: int) -> Twin:
    """The A1 on its back; see `Twin`."""
    return Twin(TWIN, config, seed)
