"""The SO-101 as every task of it has it: what it senses on its own topics, what it is told, and what keeps it whole."""

from __future__ import annotations

from collections.abc import Sequence

from daydreamer.contract.embodiment import Embodiment, PlausibilityCheck
from daydreamer.contract.signals import TEMPERATURE, camera_signal, effort_signal, health_signals, joint_signals
from daydreamer.robots.camera_check import CameraCheck
from daydreamer.robots.so101.constants import CAMERA_STALE_S, JOINTS, LIMITS, READY_RAD, REST_RAD
from daydreamer.robots.so101.plausibility import CubeCheck, EffortCheck
from daydreamer.safety.limiter import CommandLimiter

ABOVE = "above"
"""Signal of the camera before and above the trays: it sends on `above/image_raw`, or `above/image_raw/compressed`."""


def _make_checks(config: object) -> Sequence[PlausibilityCheck]:
    return EffortCheck(), CameraCheck(ABOVE), CubeCheck(ABOVE)


EMBODIMENT = Embodiment(
    name="so101",
    signals={
        **joint_signals(len(JOINTS)),
        **effort_signal(len(JOINTS)),
        TEMPERATURE: health_signals()[TEMPERATURE],
        ABOVE: camera_signal(CAMERA_STALE_S),
    },
    setpoint_kind="joint_position",
    setpoint_names=JOINTS,
    limits=LIMITS,
    make_guard=CommandLimiter,
    poses={"rest": REST_RAD, "ready": READY_RAD},
    make_checks=_make_checks,
)
