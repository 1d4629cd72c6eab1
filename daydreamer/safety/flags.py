"""What safety has done to a command, as the log keeps it."""

from __future__ import annotations

SAFETY_FLAGS = {
    "position_clipped": 1,
    "rate_clipped": 2,
    "state_stale": 4,
    "holding": 8,
    "damping": 16,
    "action_not_finite": 32,
    "torque_clipped": 64,
    "workspace_clipped": 128,
    "not_following": 256,
}
"""By bit. 'not_following' is the one that says nothing of the command: the joints seemed not to obey it, as when the
robot's own stop is pressed, and such a step is not learned from."""
