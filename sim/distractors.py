"""What a twin's cameras see besides, and its task is not about: bodies that wander, light that drifts, another floor.

They are drawn into the pictures alone, so that the physics, and what every other sensor says, is the same to the bit.
"""

from __future__ import annotations

import math

import mujoco
import numpy as np

from daydreamer.config import DistractorConfig
from daydreamer.errors import UserError
from sim.description import Stage
from sim.names import find

_STREAM = 3
"""Draws have a random stream of their own, as those of randomisation and incidents."""

MOST_OF_THE_OTHERS = 1.15
"""The colour that a task looks for is at most so many times as bright in a body as the brighter of the other two, which
noise and a tinted light can make 1.7. So an orange or a pink body is near to red, and is not taken for it."""

MOST_IN_A_PATCH = 0.75
"""Likewise in a patch of a carpet: from afar an orange and a pink one are drawn as one."""

TINT = 0.15
"""Of `DistractorConfig.light`: by so much the light's colour drifts too, each channel by itself."""

SLOWEST_RAD_S, FASTEST_RAD_S = 0.15, 0.6
"""Angular frequencies of a body's motion: one to the other end of its way takes 5 to 20 s."""

LIGHT_PERIODS_S = (20.0, 60.0)

FLOORS = ("wood", "carpet", "checks")

_SHAPES = (mujoco.mjtGeom.mjGEOM_SPHERE, mujoco.mjtGeom.mjGEOM_BOX, mujoco.mjtGeom.mjGEOM_ELLIPSOID)
_FLAT_HALF_M = 0.001
_UPRIGHT = np.eye(3).ravel()


class Waves:
    """Sums of two sines each, of random frequency and phase: smooth, and without a period that shows."""

    def __init__(self, random: np.random.Generator, shape: tuple[int, ...], low_rad_s: float, high_rad_s: float):
        self._rad_s = random.uniform(low_rad_s, high_rad_s, (2, *shape))
        self._phase_rad = random.uniform(-math.pi, math.pi, (2, *shape))

    def __call__(self, time_s: float) -> np.ndarray:
        """`shape`, each from -1 to 1."""
        return np.sin(self._rad_s * time_s + self._phase_rad).mean(axis=0)


class Distractors:
    """What is added to the scene of every picture of one twin; repeatable for a seed and a time."""

    def __init__(self, config: DistractorConfig, stage: Stage, seed: int) -> None:
        """Draws shapes, sizes, colours and ways.

        Args:
          config: what there is.
          stage: where that may be.
          seed: of the session.
        """
        random = np.random.default_rng((seed, _STREAM))
        low_m, high_m = np.array(stage.low_m), np.array(stage.high_m)
        self._config, self._stage = config, stage
        self._middle_m, self._half_m = (low_m + high_m) / 2, (high_m - low_m) / 2
        self._ways = Waves(random, (config.bodies, 3), SLOWEST_RAD_S, FASTEST_RAD_S)
        self._sizes_m = random.uniform(*stage.size_m, (config.bodies, 3))
        self._shapes = random.choice(_SHAPES, config.bodies)
        if stage.flat:
            self._shapes[:] = mujoco.mjtGeom.mjGEOM_BOX
            self._sizes_m[:, 2] = _FLAT_HALF_M
        self._colours = spare(_any_colours(random, config.bodies), stage.task_channel, MOST_OF_THE_OTHERS)
        slow, fast = 2 * math.pi / LIGHT_PERIODS_S[1], 2 * math.pi / LIGHT_PERIODS_S[0]
        self._light = Waves(random, (4,), slow, fast)
        self._random = random

    def lay_floor(self, model: mujoco.MjModel, robot: str) -> None:
        """Gives a freshly loaded model its other floor, before anything is drawn of it.

        Args:
          robot: for errors.

        Raises:
          UserError: the model lacks the geoms or the material that the stage names.
        """
        if self._config.floor is None:
            return
        (material,) = find(model, "material", [self._stage.floor_material], robot)
        texture = int(model.mat_texid[material, mujoco.mjtTextureRole.mjTEXROLE_RGB])
        height, width = int(model.tex_height[texture]), int(model.tex_width[texture])
        pattern = _pattern(self._config.floor, self._random, height, width, self._stage.task_channel)
        first = int(model.tex_adr[texture])
        model.tex_data[first : first + pattern.size] = np.rint(255 * pattern).astype(np.uint8).ravel()
        model.mat_texuniform[material], model.mat_texrepeat[material] = True, self._stage.floor_repeats_per_m
        floors = find(model, "geom", self._stage.floor_geoms, robot)
        # The material's colour shows where a geom has the one that it has if nothing is said.
        model.geom_matid[floors], model.geom_rgba[floors] = material, (0.5, 0.5, 0.5, 1.0)

    def __call__(self, scene: mujoco.MjvScene, time_s: float) -> None:
        """Adds everything to a scene that has just been made of the model, as it is at a simulated time."""
        for place_m, shape, size_m, colour in zip(
            self._middle_m + self._half_m * self._ways(time_s), self._shapes, self._sizes_m, self._colours, strict=True
        ):
            geom = scene.geoms[scene.ngeom]
            mujoco.mjv_initGeom(geom, int(shape), size_m, place_m, _UPRIGHT, np.array((*colour, 1.0), np.float32))
            geom.specular = geom.shininess = 0.0
            scene.ngeom += 1
        if self._config.light:
            brightness, *tint = self._config.light * self._light(time_s)
            factors = (1.0 + brightness) * (1.0 + TINT * np.array(tint))
            for light in scene.lights[: scene.nlight]:
                light.ambient[:] *= factors
                light.diffuse[:] *= factors


def make_distractors(config: DistractorConfig, stage: Stage | None, seed: int, robot: str) -> Distractors | None:
    """What a twin is to show besides; None if that is nothing.

    Args:
      stage: of the robot's description.
      robot: for errors.

    Raises:
      UserError: there is to be something, and the robot's folder does not say where.
    """
    if config == DistractorConfig():
        return None
    if stage is None:
        raise UserError(
            f"The twin of '{robot}' has no place for distractors; leave twin.distractors as it is, or give its "
            "description a stage."
        )
    return Distractors(config, stage, seed)


def spare(colours: np.ndarray, channel: int, most: float) -> np.ndarray:
    """Colours `[..., 3]`, from 0 to 1, none of them that of one channel alone.

    Args:
      colours: likewise; what is too near to it gets more of the brighter of the other two channels.
      channel: 0, 1 or 2.
      most: so many times as bright as that may the channel be.
    """
    others = np.delete(np.arange(3), channel)
    brighter = others[np.argmax(colours[..., others], axis=-1)]
    raised = np.maximum(
        np.delete(colours, channel, axis=-1).max(axis=-1), np.minimum(1.0, colours[..., channel] / most)
    )
    spared = colours.copy()
    np.put_along_axis(spared, brighter[..., None], raised[..., None], axis=-1)
    spared[..., channel] = np.minimum(colours[..., channel], most * raised)
    return spared


def _any_colours(random: np.random.Generator, count: int) -> np.ndarray:
    """`[count, 3]`, strong ones of any hue."""
    value, saturation = random.uniform(0.6, 1.0, (count, 1)), random.uniform(0.5, 0.95, (count, 1))
    hue = random.uniform(0.0, 6.0, (count, 1))
    share = np.clip(np.abs((hue + np.array((0.0, 4.0, 2.0))) % 6.0 - 3.0) - 1.0, 0.0, 1.0)
    return value * (1.0 - saturation * (1.0 - share))


def _pattern(floor: str, random: np.random.Generator, height: int, width: int, task_channel: int) -> np.ndarray:
    """Texture `[height, width, 3]`, from 0 to 1."""
    rows, columns = np.mgrid[:height, :width]
    match floor:
        case "wood":
            boards = random.uniform(0.7, 1.1, 4)[4 * rows // height]
            grain = random.uniform(0.85, 1.0, height)[rows]
            return (boards * grain)[..., None] * np.array((0.52, 0.45, 0.28))
        case "carpet":
            patches = spare(_any_colours(random, 64).reshape(8, 8, 3), task_channel, MOST_IN_A_PATCH)
            return patches[8 * rows // height, 8 * columns // width]
    dark = (2 * rows // height + 2 * columns // width) % 2 == 0
    return np.where(dark[..., None], np.array((0.10, 0.15, 0.45)), np.array((0.90, 0.85, 0.60)))
