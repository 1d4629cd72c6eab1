"""The SO-101 as every task of it has it: what it senses on its own topics, what it is told, and what keeps it whole."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from daydreamer.contract.embodiment import Embodiment, PlausibilityCheck
from daydreamer.contract.signals import TEMPERATURE, camera_signal, effort_signal, health_signals, joint_signals
from daydreamer.errors import UserError
from daydreamer.robots.arm.plausibility import CubeCheck
from daydreamer.robots.arm.sight import ABOVE
from daydreamer.robots.camera_check import CameraCheck
from daydreamer.robots.so101.constants import CAMERA_STALE_S, JOINTS, LIMITS, READY_RAD, REST_RAD, TABLE
from daydreamer.robots.so101.plausibility import EffortCheck
from daydreamer.safety.limiter import CommandLimiter

WRIST = "wrist"
"""Signal of the camera on the gripper, of arms that have one: on `wrist/image_raw`, or `wrist/image_raw/compressed`."""


def make_embodiment(extra_cameras: Sequence[str] = ()) -> Embodiment:
    """The arm with the camera above, and with further ones.

    Args:
      extra_cameras: nothing, or `WRIST`.

    Raises:
      UserError: there is no such camera.
    """
    if unknown := sorted(set(extra_cameras) - {WRIST}):
        raise UserError(
            f"The SO-101 has no camera '{unknown[0]}' for twin.extra_cameras; choose [{WRIST}], or leave it out."
        )
    cameras = (ABOVE, *dict.fromkeys(extra_cameras))
    return Embodiment(
        name="so101",
        signals={
            **joint_signals(len(JOINTS)),
            **effort_signal(len(JOINTS)),
            TEMPERATURE: health_signals()[TEMPERATURE],
            **{camera: camera_signal(CAMERA_STALE_S) for camera in cameras},
        },
        setpoint_kind="joint_position",
        setpoint_names=JOINTS,
        limits=LIMITS,
        make_guard=CommandLimiter,
        poses={"rest": REST_RAD, "ready": READY_RAD},
        make_checks=functools.partial(_make_checks, cameras),
    )


def _make_checks(cameras: Sequence[str], config: object) -> Sequence[PlausibilityCheck]:
    return EffortCheck(), *map(CameraCheck, cameras), CubeCheck(TABLE)
