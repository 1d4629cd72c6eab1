"""Named overrides of a session's configuration, for the tasks of arms. Whoever tunes learning changes these."""

from __future__ import annotations

from typing import Any

from daydreamer.config import merge

OVERRIDES: dict[str, Any] = {
    "twin": {"camera": True},
    # The tool moves in straight lines at a limited speed, which a filter of the joints would bend.
    "actor": {"low_pass_cutoff_hz": 0.0},
    "safety": {
        "ramp_pose": "ready",
        # Its steps are larger than an arm's tremor, and a gripper that holds something does not move at all.
        "encoder_stuck_s": 60.0,
    },
}

RARE_GRASPS: dict[str, Any] = {
    "model": {
        "deterministic": 128,
        "hidden": 64,
        "units": 64,
        "hues": True,
        "image_loss": "none",
        "memory": False,
        "stochastic": 1,
        "classes": 4,
        "head_layers": 2,
    },
    "learner": {
        "batch_size": 8,
        "batch_length": 32,
        "imagination_starts": 128,
        "imagination_horizon": 15,
        "replay_capacity": 50_000,
        "actor_gradient": "reinforce",
        "free_nats": 0.0,  # a grasp or none is 0.7 nats at most
        # Between holding something and holding nothing there is nothing, which disturbances would make of it.
        "imagination_noise": 0.0,
        # Where nobody has been much is promised, and the policy, once there, does nothing else.
        "shown_scale": 1.0,
        "recent_share": 0.25,
    },
}
"""For tasks where what a grasp depends on is all measured, by joints and hues, and grasps are rare, see
docs/learning.md."""

PICK_PLACE_DEFAULT = merge(
    RARE_GRASPS,
    {
        "model": {"noise_correlation": 0.0},
        # As published: 2,000 random steps, each of them anew.
        "actor": {"random_s": 1000.0, "random_hold_s": 0.5},
        "learner": {
            "train_ratio": 512.0,  # four gradient steps a second at 2 Hz
            "minimum_s": 200.0,
            "discount": 0.97,
            "recent_s": 600.0,
        },
    },
)

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
