"""Elements of a MuJoCo model by name, with an answer to a name that is not there."""

from __future__ import annotations

from collections.abc import Sequence

import mujoco
import numpy as np

from daydreamer.errors import UserError

_KINDS = {
    "actuator": (mujoco.mjtObj.mjOBJ_ACTUATOR, "nu"),
    "body": (mujoco.mjtObj.mjOBJ_BODY, "nbody"),
    "camera": (mujoco.mjtObj.mjOBJ_CAMERA, "ncam"),
    "geom": (mujoco.mjtObj.mjOBJ_GEOM, "ngeom"),
    "joint": (mujoco.mjtObj.mjOBJ_JOINT, "njnt"),
    "material": (mujoco.mjtObj.mjOBJ_MATERIAL, "nmat"),
    "sensor": (mujoco.mjtObj.mjOBJ_SENSOR, "nsensor"),
}


def find(model: mujoco.MjModel, kind: str, names: Sequence[str], robot: str) -> np.ndarray:
    """Numbers `[names]` of a model's elements of one kind, as 'sensor'.

    Args:
      robot: whose model it is, for the error.

    Raises:
      UserError: the model has no such element; lists those it has.
    """
    numbers = [mujoco.mj_name2id(model, _KINDS[kind][0], name) for name in names]
    if missing := [name for name, number in zip(names, numbers, strict=True) if number < 0]:
        there = ", ".join(filter(None, all_names(model, kind))) or "none"
        raise UserError(
            f"The model of the twin of '{robot}' has no {kind} '{missing[0]}', which its twin.py names; it has {there}."
        )
    return np.array(numbers, int)


def all_names(model: mujoco.MjModel, kind: str) -> list[str]:
    """Names of a model's elements of one kind, in its order; empty for one without a name."""
    object_type, count = _KINDS[kind]
    return [mujoco.mj_id2name(model, object_type, number) or "" for number in range(getattr(model, count))]


def selection(indices: np.ndarray) -> slice | np.ndarray:
    """The same elements of an array, as a slice where they follow one another: it makes views instead of copies."""
    if len(indices) and (np.diff(indices) == 1).all():
        return slice(int(indices[0]), int(indices[-1]) + 1)
    return indices
