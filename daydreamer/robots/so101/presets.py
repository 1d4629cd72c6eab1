"""Named overrides of a session's configuration, beside those of every arm's. Whoever tunes learning changes these."""

from __future__ import annotations

from typing import Any

from daydreamer.config import merge
from daydreamer.robots.arm.presets import RARE_GRASPS
from daydreamer.robots.so101.constants import STATE_PERIOD_S, STIFFNESS_N_M_RAD

OVERRIDES: dict[str, Any] = {
    "twin": {"stiffness_n_m_rad": STIFFNESS_N_M_RAD, "state_rate_hz": 1.0 / STATE_PERIOD_S},
    # It lies down, and takes its load off whatever is in its way.
    "safety": {"implausible_action": "damp"},
}

PICK_PLACE_FINE_DEFAULT = merge(
    RARE_GRASPS,
    {
        # With all of its noise it misses every other cube that it would have placed (benchmarks/README.md).
        "model": {"noise_correlation": 0.5, "acting_noise": 0.3},
        "actor": {"random_s": 60.0, "random_hold_s": 0.5},
        "learner": {
            "train_ratio": 102.4,  # four gradient steps a second
            "minimum_s": 60.0,
            "discount": 0.985,
            "recent_s": 300.0,
        },
    },
)
"""As of `pick_place`, at ten steps a second."""
