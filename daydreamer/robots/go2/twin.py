"""The MuJoCo twin of the Unitree Go2. Like its figures it has met no robot."""

from __future__ import annotations

from importlib import resources

from daydreamer.config import TwinConfig
from daydreamer.robots.go2.constants import GO2
from daydreamer.robots.quadruped.description import each_leg
from daydreamer.robots.quadruped.twin import describe_quadruped
from sim.twin import Twin

TWIN = describe_quadruped(
    GO2,
    resources.files(__package__) / "go2.xml",
    back_height_m=0.1,
    back_pose_rad=each_leg(0.0, 1.5, -2.65),
)


def make_twin(config: TwinConfig, seed: int) -> Twin:
    """The Go2 on its back; see `Twin`.

    Args:
      config: the gains of its driver are the A1's, unless `constants.TWIN_OVERRIDES` have been applied, as in every
        session.
      seed: see `Twin`.
    """
    return Twin(TWIN, config, seed)
