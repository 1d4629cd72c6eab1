"""Processes that simulate robots side by side, one of which dies."""

import dataclasses
import os
import signal

import pytest

from daydreamer.errors import UserError
from daydreamer.evaluation.crew import run_trials


@dataclasses.dataclass(frozen=True)
class Deadly:
    """A trial whose process does not come back from it."""

    def __setstate__(self, state):
        os.kill(os.getpid(), signal.SIGKILL)

    def __getstate__(self):
        return {}


def test_a_process_that_dies_is_named_with_its_cure():
    with pytest.raises(UserError, match="has died; if memory is short, take fewer --workers"):
        run_trials([Deadly()], 1, lambda outcome: None, lambda: False)
