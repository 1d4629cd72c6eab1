"""Named overrides of the session's configuration for robots that do `QuadrupedWalkTask`."""

from __future__ import annotations

from typing import Any

OVERRIDES: dict[str, Any] = {
    "actor": {"fallen_reward": 7.0, "recovered_reward": 8.0, "rhythm_hz": (1.5, 2.5)},
    # A legged robot that acts with all of its noise falls of it: a young policy nine times in two minutes, and once
    # without. Rhythms and what gets it up explore as well (benchmarks/README.md).
    "model": {"acting_noise": 0.3},
}
"""For every preset. The A1's reward is about 5 on the back, at most 6.7 on the belly, 9 on the feet; the Go2's is
the same to a tenth in the same poses. Rhythms: see `ActorConfig.rhythm_hz`."""

FOLLOW_OVERRIDES: dict[str, Any] = {"actor": {"rhythm_s": 600.0}}
"""Of the task `follow`, beside those: there are four ways to go to be found, and not one."""

PRESETS: dict[str, dict[str, Any]] = {
    "default": {},
    # A thousand imagined steps for each real one, on two cores: networks and batches for which a gradient step costs a
    # third, and four times as many of them. As many steps are replayed as by default before the actor learns.
    "dreams": {
        "model": {"deterministic": 128, "hidden": 64, "bins": 41},
        "learner": {"batch_size": 32, "batch_length": 8, "train_ratio": 270.0, "actor_delay_updates": 500},
    },
    "image": {"twin": {"camera": True}, "model": {"stochastic": 16, "classes": 16}},
    # Small enough that a test or a first try learns within a minute; too small to learn to walk.
    "tiny": {
        "model": {"deterministic": 32, "hidden": 32, "stochastic": 4, "classes": 4, "units": 32},
        "actor": {"random_s": 2},
        "learner": {
            "batch_size": 4,
            "batch_length": 8,
            "imagination_starts": 16,
            "minimum_s": 3.0,
            "publish_period_s": 1.0,
            "checkpoint_period_s": 10.0,
        },
    },
}
