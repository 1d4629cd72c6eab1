"""Named overrides of a session's configuration, for the tasks of the SO-101. Whoever tunes learning changes these."""

from __future__ import annotations

from typing import Any

from daydreamer.config import merge
from daydreamer.robots.so101.constants import STATE_PERIOD_S, STIFFNESS_N_M_RAD

OVERRIDES: dict[str, Any] = {
    "twin": {
        "camera": True,
        "stiffness_n_m_rad": STIFFNESS_N_M_RAD,
        "state_rate_hz": 1.0 / STATE_PERIOD_S,
    },
    # The tool moves in straight lines at a limited speed, which a filter of the joints would bend.
    "actor": {"low_pass_cutoff_hz": 0.0},
    "safety": {
        "ramp_pose": "ready",
        # Its steps are larger than an arm's tremor, and a gripper that holds something does not move at all.
        "encoder_stuck_s": 60.0,
        # It lies down, and takes its load off whatever is in its way.
        "implausible_action": "damp",
    },
}

_SMALL: dict[str, Any] = {
    "model": {"deterministic": 128, "hidden": 64, "units": 64, "image_loss": "barlow"},
    "learner": {
        "batch_size": 8,
        "batch_length": 32,
        "imagination_starts": 128,
        "imagination_horizon": 15,
        "replay_capacity": 50_000,
        "actor_gradient": "reinforce",
    },
}

PICK_PLACE_DEFAULT = merge(
    _SMALL,
    {
        "model": {"noise_correlation": 0.0},
        # As published: 2,000 random steps, each of them anew.
        "actor": {"random_s": 1000.0, "random_hold_s": 0.5},
        "learner": {
            "train_ratio": 128.0,
            "minimum_s": 200.0,
            "discount": 0.97,
            "recent_share": 0.25,
            "recent_s": 600.0,
        },
    },
)

PICK_PLACE_FINE_DEFAULT = merge(
    _SMALL,
    {
        "model": {"noise_correlation": 0.5},
        "actor": {"random_s": 60.0, "random_hold_s": 0.5},
        "learner": {
            "train_ratio": 32.0,  # 1.25 gradient steps a second
            "minimum_s": 60.0,
            "discount": 0.985,
            "recent_share": 0.25,
            "recent_s": 300.0,
        },
    },
)
"""What has been carried over from `pick_place` and from the Burger; nothing has been tried."""

TINY: dict[str, Any] = {
    "model": {"deterministic": 32, "hidden": 32, "stochastic": 4, "classes": 4, "units": 32},
    "actor": {"random_s": 10.0, "random_hold_s": 0.5},
    "learner": {
        "batch_size": 4,
        "batch_length": 8,
        "imagination_starts": 16,
        "minimum_s": 10.0,
        "replay_capacity": 10_000,
        "actor_gradient": "reinforce",
    },
}
