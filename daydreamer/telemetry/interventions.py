"""How much of a session somebody else than its policy has chosen: an operator, or a teacher."""

from __future__ import annotations

from daydreamer.telemetry.columns import StepColumns

TEACHER_SHARE_TAG, TEACHER_RATE_TAG = "teacher/step_share", "teacher/interventions_per_minute"
"""Of what a scripted teacher that stands by has chosen since the last row of metrics."""

TEACHER = "scripted teacher"
"""By whom such an intervention is, for the record."""


class Interventions:
    """Counts them, step by step.

    Attributes:
      steps: that were added.
      chosen_steps: those of them whose action an operator or a teacher chose.
      count: how often one began to choose.
      episodes: that came to their end.
      taken_over: those of them in which one chose at least once.
    """

    def __init__(self) -> None:
        self.steps = self.chosen_steps = self.count = self.episodes = self.taken_over = 0
        self._intervenes = self._is_taken_over = False

    def add(self, is_first: bool, is_last: bool, intervention: bool) -> None:
        """The next step, see `Step`."""
        if is_first:
            self._intervenes = self._is_taken_over = False
        self.count += intervention and not self._intervenes
        self._intervenes, self._is_taken_over = intervention, self._is_taken_over or intervention
        self.steps += 1
        self.chosen_steps += intervention
        self.episodes += is_last
        self.taken_over += is_last and self._is_taken_over

    def anew(self) -> Interventions:
        """A count that goes on from here, with none of what was added before."""
        counted = Interventions()
        counted._intervenes, counted._is_taken_over = self._intervenes, self._is_taken_over
        return counted

    @property
    def share(self) -> float:
        """Of the steps, that an operator or a teacher chose."""
        return self.chosen_steps / max(1, self.steps)

    def per_minute(self, control_period_s: float) -> float:
        """How often one began to, in a minute of robot time."""
        return self.count / max(1, self.steps) / control_period_s * 60.0

    def sentence(self, who: str, control_period_s: float) -> str:
        """For people; `who` it was, as 'An operator'."""
        times = "one intervention" if self.count == 1 else f"{self.count} interventions"
        rate = self.per_minute(control_period_s)
        return (
            f"{who} chose {self.share:.0%} of the steps, in {times}, {rate:.1f} a robot minute, and in "
            f"{self.taken_over} of {self.episodes} episodes: what those came to is not the policy's alone."
        )


def interventions_in(steps: StepColumns) -> Interventions:
    """Those in consecutive steps."""
    counted = Interventions()
    flags = (steps.is_first, steps.is_last, steps.intervention)
    for is_first, is_last, intervention in zip(*(column.astype(bool).tolist() for column in flags), strict=True):
        counted.add(is_first, is_last, intervention)
    return counted
