"""What quadrupeds that do `QuadrupedWalkTask` have in common in the registry."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

from daydreamer.config import SessionConfig, merge
from daydreamer.contract.portrayal import Portrayal
from daydreamer.contract.task import Task
from daydreamer.contract.wishes import Wishables
from daydreamer.robots.quadruped.description import Quadruped
from daydreamer.robots.quadruped.follow import QuadrupedFollowTask
from daydreamer.robots.quadruped.presets import FOLLOW_OVERRIDES, OVERRIDES, PRESETS
from daydreamer.robots.quadruped.replayed import replayed_measurement
from daydreamer.robots.quadruped.signals import signals
from daydreamer.robots.quadruped.skeleton import skeleton_m
from daydreamer.robots.quadruped.task import QuadrupedWalkTask
from daydreamer.robots.registry import TaskEntry


def portrayal(robot: Quadruped) -> Portrayal:
    """How it is drawn: as lines from its joint angles, with its joints, its attitude and its speed."""
    return Portrayal(
        plots={
            "joints": ("Joints that move most (degrees)", (-165.0, 120.0)),
            "attitude": ("Attitude (degrees)", (-90.0, 180.0)),
            "speed": ("Forward speed (m/s)", (-0.6, 1.0)),
        },
        signals=functools.partial(signals, robot),
        skeleton_m=functools.partial(skeleton_m, robot),
        single_lines=frozenset({"speed"}),
        needs=frozenset({"gravity_up", "joint_position", "velocity"}),
    )


def wishables(robot: Quadruped) -> Wishables:
    """See `make_wishables`."""
    from daydreamer.robots.quadruped.wishes import make_wishables  # JAX, which only those who wish need

    return make_wishables(robot)


def follow_entry(robot: Quadruped, overrides: Mapping[str, Any] | None = None) -> TaskEntry:
    """The task of going as is wished for, see `walk_entry`."""

    def make(config: SessionConfig) -> Task:
        return QuadrupedFollowTask(
            robot, camera=config.twin.camera, seed=config.seed if config.actor.draws_wishes else None
        )

    walk = walk_entry(robot, merge(FOLLOW_OVERRIDES, overrides or {}))
    return dataclasses.replace(walk, make=make, summary="stand up, and go as cmd_vel says")


def walk_entry(robot: Quadruped, overrides: Mapping[str, Any] | None = None) -> TaskEntry:
    """The task of walking, for one of them; `overrides` are of the configuration, beside those that all have."""

    def make(config: SessionConfig) -> Task:
        return QuadrupedWalkTask(robot, camera=config.twin.camera)

    return TaskEntry(
        make=make,
        summary="roll over, stand up and walk forward",
        presets=PRESETS,
        overrides=merge(OVERRIDES, overrides or {}),
        portrayal=portrayal(robot),
        replayed=functools.partial(replayed_measurement, robot),
        wishables=functools.partial(wishables, robot),
    )
