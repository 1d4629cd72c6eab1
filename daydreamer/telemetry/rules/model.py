"""Whether the world model learns what the robot does."""

from __future__ import annotations

import numpy as np

from daydreamer.telemetry.rules import Advice
from daydreamer.telemetry.session_telemetry import PREDICTION_HORIZON_S, SessionTelemetry

LEARNED_S = 600.0
"""Robot time of predictions before their trend is judged. Models of this size halve their error within minutes; ten
of them are a sixth of the session."""

POOR_RATIO = 0.8
"""A model whose predictions are off by more than this share of what 'nothing changes' would be off is of little use:
behaviour that is learned inside it does not carry over."""

FALLEN = 0.95
"""The last third's error over the first third's at or above which the error has not fallen."""

SKIPPED_UPDATES = 3
"""Gradient steps skipped because they were not finite. One may be a freak batch."""


COLLAPSED_RANK = 2.0
"""Directions that the embedding of an image varies in (RankMe). Where something is in a picture takes two at least; a
young encoder has ten and more."""

RANK_S = 60.0
"""Robot time of ranks that are judged."""


def is_poor(telemetry: SessionTelemetry) -> bool | None:
    """Whether the model's recent predictions are of little use; None if there are none."""
    ratio = telemetry.predictions.last(LEARNED_S / 2).ratio
    return None if ratio is None else ratio >= POOR_RATIO


def model_not_learning(telemetry: SessionTelemetry) -> Advice | None:
    """The error of the predictions is high and does not fall."""
    predictions = telemetry.predictions
    if len(predictions) < 3 or np.ptp(predictions.robot_s) < LEARNED_S:
        return None
    first, _, last = (third.ratio for third in predictions.split(3))
    if first is None or last is None or last < POOR_RATIO or last < FALLEN * first:
        return None
    return Advice(
        rule="model_not_learning",
        level="bad",
        title="Model error not falling",
        finding=f"{PREDICTION_HORIZON_S:.0f} s ahead the model is wrong by {last:.0%} of what guessing 'nothing "
        f"changes' is wrong by, and {np.ptp(predictions.robot_s) / 60:.0f} minutes ago it was {first:.0%}.",
        cure="Look for a sensor that is delayed or wrongly scaled first; then raise learner.train_ratio or "
        "learner.learning_rate, or enlarge model.units and model.deterministic.",
    )


def updates_skipped(telemetry: SessionTelemetry) -> Advice | None:
    """Losses or gradients are not finite."""
    skipped = sum(event["count"] for event in telemetry.events if event["kind"] == "update_skipped")
    if skipped < SKIPPED_UPDATES:
        return None
    return Advice(
        rule="updates_skipped",
        level="bad",
        title="Learning diverges",
        finding=f"{skipped} gradient steps were not finite and were skipped.",
        cure="Look for a sensor that sends absurd "
        "values, and lower learner.learning_rate, learner.actor_learning_rate and learner.critic_learning_rate.",
    )


def representation_collapsed(telemetry: SessionTelemetry) -> Advice | None:
    """The encoder makes nearly the same of every image."""
    rank = telemetry.series("learner/model/image_rank")
    if not len(rank) or np.ptp(rank.robot_s) < RANK_S or np.mean(rank.last(RANK_S)) >= COLLAPSED_RANK:
        return None
    return Advice(
        rule="representation_collapsed",
        level="bad",
        title="Images all alike to the model",
        finding=f"What the encoder makes of the images varies in {np.mean(rank.last(RANK_S)):.1f} directions only: the "
        "model is blind, whatever the camera sees.",
        cure="See that the camera is not covered and shows what matters; then set model.image_loss to 'pixels', which "
        "cannot be satisfied by images that are all alike.",
    )


RULES = (updates_skipped, model_not_learning, representation_collapsed)
