"""Named overrides of a session's configuration, for the tasks of the Burger. Whoever tunes learning changes these."""

from __future__ import annotations

from typing import Any

from daydreamer.config import merge

IN_A_ROOM, IN_AN_ARENA = "in_a_room", "in_an_arena"
"""How the twin's world begins."""

_ROBOT: dict[str, Any] = {
    "twin": {
        "camera": True,
        # turtlebot3_node drives on by the last command for ever.
        "command_timeout_s": 0.0,
        # A state comes every 50 ms, often over a wireless network.
        "state_rate_hz": 100.0,
    },
    "actor": {"state_timeout_s": 0.3},
}

REACH_OVERRIDES = merge(_ROBOT, {"twin": {"initial_state": IN_A_ROOM}})
FROM_ABOVE_OVERRIDES = merge(_ROBOT, {"twin": {"initial_state": IN_AN_ARENA}})

_SMALL: dict[str, Any] = {
    "model": {
        "deterministic": 128,
        "hidden": 64,
        "units": 64,
        # Where its post or its green sheet is says all there is to see (benchmarks/README.md).
        "hues": True,
        "image_loss": "none",
        "head_layers": 2,
    },
    "learner": {
        "batch_size": 8,
        "batch_length": 16,
        "imagination_starts": 64,
        "replay_capacity": 50_000,
        # What an action does is seen in the latents, through which no gradient of the dynamics goes.
        "actor_gradient": "reinforce",
    },
}
"""What both tasks have in common: 128 positions to a gradient step."""

REACH_DEFAULT = merge(
    _SMALL,
    {
        "model": {"noise_correlation": 0.5},
        "actor": {"random_s": 60.0},
        "learner": {
            "train_ratio": 64.0,  # 2.5 gradient steps a second at 5 Hz
            "minimum_s": 40.0,
            "imagination_horizon": 10,
            "actor_delay_updates": 100,
            "discount": 0.97,
        },
    },
)

FROM_ABOVE_DEFAULT = merge(
    _SMALL,
    {
        "model": {"noise_correlation": 0.0},
        # As published: 1,000 random steps, each of them anew.
        "actor": {"random_s": 500.0, "random_hold_s": 0.5},
        "learner": {
            "train_ratio": 256.0,  # four gradient steps a second at 2 Hz
            "minimum_s": 100.0,
            "imagination_horizon": 10,
            "discount": 0.97,
        },
    },
)

TINY: dict[str, Any] = {
    "model": {"deterministic": 32, "hidden": 32, "stochastic": 4, "classes": 4, "units": 32},
    "actor": {"random_s": 5.0},
    "learner": {
        "batch_size": 4,
        "batch_length": 8,
        "imagination_starts": 16,
        "minimum_s": 5.0,
        "replay_capacity": 10_000,
    },
}
