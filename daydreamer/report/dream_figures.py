"""The pictures of a report that tell how well the world model knows the robot."""

from __future__ import annotations

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from daydreamer.report import style
from daydreamer.report.figures import Missing
from daydreamer.report.history import SessionHistory
from daydreamer.telemetry.dreams import REWARD, Dream
from daydreamer.telemetry.predictions import PredictionErrors, error_ratio, judged_keys
from daydreamer.telemetry.session_telemetry import PREDICTION_HORIZON_S

LARGEST_RATIO = 2.0
"""Where error axes end: what is twice as wrong as guessing, as a model is before it has learned, is just wrong."""

CURVES = 6
"""Error curves in one picture that can still be told apart."""

SMOOTHED_DREAMS = 6
"""Of the running mean of errors: a minute of a live session."""


def prediction_error(history: SessionHistory) -> Figure:
    """Error by horizon at several times of the session, and one second ahead over the session.

    Raises:
      Missing: nothing was recorded.
    """
    if not history.dreams:
        raise Missing("No predictions were recorded: learner.dream_period_s was 0, or learning had not begun.")
    figure, ((by_horizon, over_time),) = style.new_figure(1, 2, sharey=True)
    shown = [history.dreams[index] for index in np.unique(np.linspace(0, len(history.dreams) - 1, CURVES).astype(int))]
    for place, dream in zip(np.linspace(0.0, 0.85, len(shown)), shown, strict=True):
        label = f"minute {_minute(history, dream):.1f}"
        by_horizon.plot(dream.horizon_s, _error_ratio(history, dream), color=colormaps["viridis"](place), label=label)
    style.level(by_horizon, 1.0, "guessing that nothing changes")
    by_horizon.set_xlabel("predicted ahead (s)")
    by_horizon.set_ylabel("error / error of that guess")
    by_horizon.set_xlim(left=0.0)
    by_horizon.set_ylim(0.0, LARGEST_RATIO)
    by_horizon.legend(frameon=False, fontsize=8, ncols=2)
    _draw_over_time(over_time, history)
    return figure


def _draw_over_time(axes: Axes, history: SessionHistory) -> None:
    predictions = history.telemetry.predictions
    if not len(predictions):  # no metrics: take what dreams were read
        predictions = _predictions(history)
    minutes = predictions.robot_s / 60.0
    axes.plot(minutes, predictions.running(1), color=style.BLUE, alpha=0.3)
    axes.plot(minutes, predictions.running(SMOOTHED_DREAMS), color=style.BLUE, linewidth=1.8)
    style.level(axes, 1.0, "of no use above")
    axes.set_xlabel("robot time (min)")
    axes.set_title(f"{PREDICTION_HORIZON_S:.0f} s ahead, over the session")
    axes.set_xlim(left=0.0)


def dream_against_reality(history: SessionHistory) -> Figure:
    """What the model dreamed early and late in the session, over what then happened.

    Raises:
      Missing: nothing was recorded.
    """
    if not history.dreams:
        raise Missing("No predictions were recorded, so that dream and reality cannot be compared.")
    late = history.dreams[-1]
    chosen = [late] if len(history.dreams) == 1 else [history.dreams[min(1, len(history.dreams) - 2)], late]
    keys = [key for key, space in history.session.spec.observation.items() if not space.is_image and key in late.truth]
    keys.append(REWARD)
    figure, axes = style.new_figure(len(keys), len(chosen), height_in=0.8 + 1.15 * len(keys), sharex=True, sharey="row")
    for row, key in enumerate(keys):
        element = int(np.argmax(_elements(late.truth[key]).std(axis=0)))
        axes[row, 0].set_ylabel(_signal_name(history, key, element), rotation=0, ha="right", va="center")
        for column, dream in enumerate(chosen):
            _draw_signal(axes[row, column], dream, key, element)
        low, high = (limit([_elements(dream.truth[key])[:, element] for dream in chosen]) for limit in (np.min, np.max))
        # Dreams of a model that has learned nothing yet go anywhere; reality says what scale is of interest.
        margin = max(0.3 * (high - low), 0.02)
        axes[row, 0].set_ylim(low - margin, high + margin)
    for column, dream in enumerate(chosen):
        axes[0, column].set_title(f"minute {_minute(history, dream):.1f}, {dream.gradient_step} gradient steps")
        axes[-1, column].set_xlabel("seconds from where the dream begins")
    axes[0, 0].legend(frameon=False, loc="upper left", ncols=2, fontsize=8)
    return figure


def _draw_signal(axes: Axes, dream: Dream, key: str, element: int) -> None:
    times_s = (np.arange(dream.context_steps + dream.horizon_steps) - dream.context_steps + 1) / dream.control_rate_hz
    axes.plot(times_s, _elements(dream.truth[key])[:, element], color=style.BLACK, linewidth=1, label="happened")
    predicted = _elements(dream.prediction[key])[:, element]
    axes.plot(times_s[dream.context_steps :], predicted, color=style.ORANGE, label="dreamed")
    axes.axvspan(times_s[0], 0.0, color="#eeeeee", linewidth=0)


def _elements(values: np.ndarray) -> np.ndarray:
    """`[steps, elements]`."""
    return values.reshape(len(values), -1)


def _predictions(history: SessionHistory) -> PredictionErrors:
    """The errors of the dreams that were read, at the horizon that predictions are judged at."""
    step = max(1, history.session.spec.steps(PREDICTION_HORIZON_S)) - 1
    keys = [key for key in judged_keys(history.session) if all(key in dream.error for dream in history.dreams)]
    error, unchanged = (
        {
            key: np.array([of(dream)[key][min(step, dream.horizon_steps - 1)] for dream in history.dreams])
            for key in keys
        }
        for of in (lambda dream: dream.error, lambda dream: dream.unchanged_error)
    )
    robot_s = np.array([60.0 * _minute(history, dream) for dream in history.dreams])
    return PredictionErrors(robot_s, error, unchanged)


def _error_ratio(history: SessionHistory, dream: Dream) -> np.ndarray:
    """`[H]`, see `error_ratio`; NaN where nothing changed."""
    keys = [key for key in judged_keys(history.session) if key in dream.error]
    ratio = error_ratio(*({key: each[key] for key in keys} for each in (dream.error, dream.unchanged_error)))
    return np.full(dream.horizon_steps, np.nan) if ratio is None else ratio


def _minute(history: SessionHistory, dream: Dream) -> float:
    return dream.env_steps * history.session.spec.control_period_s / 60.0


def _signal_name(history: SessionHistory, key: str, element: int) -> str:
    spec = history.session.spec
    if key == REWARD or not spec.observation[key].shape:
        return key
    of_joint = spec.observation[key].size == len(spec.joint_names)
    return f"{key}\n{spec.joint_names[element] if of_joint else f'[{element}]'}"
