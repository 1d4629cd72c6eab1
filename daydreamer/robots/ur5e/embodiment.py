"""The UR5e as every task of it has it: what it senses on its own topics, what it is told, and what keeps it whole."""

from __future__ import annotations

from collections.abc import Sequence

from daydreamer.contract.embodiment import Embodiment, PlausibilityCheck
from daydreamer.contract.signals import camera_signal, joint_signals
from daydreamer.robots.arm.plausibility import CubeCheck
from daydreamer.robots.arm.sight import ABOVE
from daydreamer.robots.camera_check import CameraCheck
from daydreamer.robots.ur5e.constants import CAMERA_STALE_S, JOINTS, LIMITS, READY_RAD, REST_RAD, TABLE
from daydreamer.safety.limiter import CommandLimiter


def make_embodiment() -> Embodiment:
    """The arm with the camera above."""
    return Embodiment(
        name="ur5e",
        signals={**joint_signals(len(JOINTS)), ABOVE: camera_signal(CAMERA_STALE_S)},
        setpoint_kind="joint_position",
        setpoint_names=JOINTS,
        limits=LIMITS,
        make_guard=CommandLimiter,
        poses={"rest": REST_RAD, "ready": READY_RAD},
        make_checks=_make_checks,
    )


def _make_checks(config: object) -> Sequence[PlausibilityCheck]:
    return CameraCheck(ABOVE), CubeCheck(TABLE)
