"""A session in words: what it learned, what was wrong, what to try."""

from __future__ import annotations

import dataclasses

import numpy as np

from daydreamer.report.history import SessionHistory
from daydreamer.telemetry.interventions import TEACHER, interventions_in
from daydreamer.telemetry.quantities import known_mean, of_columns
from daydreamer.telemetry.rules.model import POOR_RATIO
from daydreamer.texts import counted, printable_line

COMPARED_S = 300.0
"""The first and the last so many seconds are compared; a session that is shorter than two of them, by halves."""

HELD_LONG_S = 5.0
"""From here on a milestone is something that is held, and not done in a moment."""

GOOD_RATIO = 0.5
"""Error over that of 'nothing changes' below which a model may be called good."""

HARDLY = 0.05
"""A change of the reward by a smaller share is no change."""


@dataclasses.dataclass(frozen=True)
class Verdict:
    """Sentences; each list may be empty but `learned` and `advice`."""

    learned: list[str]
    wrong: list[str]
    advice: list[str]


def judge_session(history: SessionHistory) -> Verdict:
    if history.session.is_offline:
        return _judge_offline(history)
    if not len(history.steps):
        return Verdict(
            ["Nothing was experienced: there is not one logged step."],
            [each.sentence for each in history.advice],
            [f"Look into {history.session.path / 'log'}: robot or twin did not get going."],
        )
    return Verdict(_learned(history), _wrong(history), _advice(history))


def _judge_offline(history: SessionHistory) -> Verdict:
    """A verdict on a session without a step of its own."""
    learned = [f"It learned offline from {each.sentence}." for each in history.session.record.logs]
    path = printable_line(str(history.session.path), 200)
    advice = f"No robot has moved: how good its policy is, 'daydreamer evaluate {path}' says."
    return Verdict(learned, [each.sentence for each in history.advice], [advice])


def _learned(history: SessionHistory) -> list[str]:
    plays = history.session.plays
    sentences = [f"It played {plays.description}."] if plays else []
    if (parent := history.session.record.parent) is not None:
        sentences.append(f"It did not begin at nothing, but with {parent.sentence}.")
    if history.session.teacher:
        sentences.append(f"Nobody learned: {history.session.teacher} showed the task.")
    sentences += [f"It learned also from {shown.sentence}." for shown in history.session.record.demonstrations]
    interventions = interventions_in(history.steps)
    if interventions.chosen_steps and not history.session.teacher:
        sentences.append(interventions.sentence(_who_intervened(history), history.session.spec.control_period_s))
    milestones = history.session.presentation.milestones
    if history.milestones_s:
        did = {milestone.name: milestone.did for milestone in milestones}
        parts = [f"{did[name]} after {seconds / 60:.1f}" for name, seconds in history.milestones_s.items()]
        sentences.append(f"The robot {_join(parts)} of {history.minutes:.1f} robot minutes.")
    elif milestones and of_columns(history.steps, milestones[0].quantity) is not None:
        for_long = " for long" if milestones[0].hold_s >= HELD_LONG_S else ""
        sentences.append(f"In {history.minutes:.1f} robot minutes the robot has not yet {milestones[0].did}{for_long}.")
    rows = min(round(COMPARED_S * history.session.spec.control_rate_hz), len(history.steps) // 2)
    if rows:
        minutes = rows * history.session.spec.control_period_s / 60
        first, last = (float(known_mean(part)) for part in (history.reward[:rows], history.reward[-rows:]))
        change = "hardly changed" if abs(last - first) <= HARDLY * abs(first) else "rose" if last > first else "fell"
        sentences.append(
            f"The mean reward per step {change}: from {_number(first)} in the first {minutes:.1f} minutes to "
            f"{_number(last)} in the last."
        )
        for figure, values in history.figures:
            subject = f"it {figure.did}" if figure.did else f"the {figure.name} was"
            mean = figure.amount(float(known_mean(values[-rows:])))
            sentences.append(f"In the last {minutes:.1f} minutes {subject} {mean} on average.")
    ratio = history.telemetry.predictions.last(COMPARED_S).ratio
    if ratio is not None:
        quality = "well" if ratio < GOOD_RATIO else "fairly" if ratio < POOR_RATIO else "poorly"
        sentences.append(
            f"The world model predicted {quality} of late, while it learned: one second ahead its error was "
            f"{ratio:.0%} of that of guessing that nothing changes."
        )
    return sentences


def _number(reward: float) -> str:
    """With two digits that say something: what is paid once an episode is little a step."""
    return f"{reward:.2g}" if 0.0 < abs(reward) < 0.1 else f"{reward:.2f}"


def _who_intervened(history: SessionHistory) -> str:
    who = {event.get("by") for event in history.telemetry.events if event["kind"] == "intervention"}
    if TEACHER not in who:
        return "An operator"
    return "A scripted teacher" if who == {TEACHER} else "An operator or a scripted teacher"


def _wrong(history: SessionHistory) -> list[str]:
    sentences = [f"{each.title}. {each.finding}" for each in history.advice]
    for occurrence, times_s in history.occurrences_s:
        times = "once" if len(times_s) == 1 else f"{len(times_s)} times"
        sentences.append(f"It {occurrence.did} {times}, last at minute {times_s[-1] / 60:.1f}.")
    crashes = [event for event in history.telemetry.events if event["kind"] == "fault"]
    if crashes:
        sentences.append(
            f"Recorded: {counted(len(crashes), 'process fault')}, the last in the {crashes[-1]['source']}: "
            f"{crashes[-1].get('error', 'no reason given')}"
        )
    flagged = np.count_nonzero(history.steps.safety_flags)
    if flagged:
        kinds = _join([f"{name.replace('_', ' ')} {count}" for name, count in history.safety_counts.items()])
        sentences.append(
            f"Safety touched {flagged} of {len(history.steps)} commands ({flagged / len(history.steps):.1%}): {kinds}."
        )
    return sentences


def _advice(history: SessionHistory) -> list[str]:
    if (plays := history.session.plays) is not None:
        sentences = [f"{each.title}: {each.cure}" for each in history.advice]
        evaluate = (
            f"How good it is, on other robots too, 'daydreamer evaluate {printable_line(plays.session, 200)}' says."
        )
        return [*sentences, evaluate]
    if history.session.teacher:
        learn = f"Learn from it with --demonstrations {printable_line(str(history.session.path), 200)}."
        return [*(f"{each.title}: {each.cure}" for each in history.advice), learn]
    going_on = f"Go on with '{history.session.resume_command(60)}'"
    sentences = [f"{each.title}: {each.cure}" for each in history.advice]
    goal = history.session.presentation.goal
    if goal is not None and goal.name in history.milestones_s:
        reached = f"It {goal.does}" if goal.does else f"It has reached '{goal.name}'"
        sentences.append(
            f"{reached}: repeat it with other seeds and set the sessions side by side with 'daydreamer compare'."
        )
    elif history.minutes < history.session.presentation.verdict_minutes:
        sentences.append(f"{history.minutes:.1f} minutes are too few to judge by. {going_on}.")
    elif not history.advice:
        sentences.append(f"Nothing is known to be wrong; it needs more time. {going_on}.")
    if not history.dreams:
        sentences.append(
            "There is no recorded prediction to judge the world model by; set learner.dream_period_s above 0 next time."
        )
    return sentences


def _join(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
