"""Named overrides of a session's configuration, beside those of every arm's. Whoever tunes learning changes these."""

from __future__ import annotations

from typing import Any

OVERRIDES: dict[str, Any] = {
    "twin": {
        "stiffness_n_m_rad": 5000.0,  # of its largest joints, ours: it is where it is told to be
        "state_rate_hz": 100.0,  # of 500 that it has, more than anybody asks for
    },
    # Its brakes hold it where it is; there is nowhere it had better lie.
    "safety": {"implausible_action": "hold"},
}
