"""What `daydreamer train` says at its end."""

import pytest

from daydreamer.cli.terminal import Terminal
from daydreamer.cli.train import tell_skipped


@pytest.mark.parametrize(("skipped", "has_learned"), [((), True), ((3, 4), True), ((60, 40), False)])
def test_gradient_steps_that_were_skipped_are_told(record_session, capsys, skipped, has_learned):
    recorder = record_session()
    recorder.write_status(learner={"gradient_steps": 100})
    for count in skipped:
        recorder.events.record("update_skipped", "learner", count=count)
    assert tell_skipped(recorder.session, Terminal()) is has_learned
    said = " ".join(capsys.readouterr().out.split())
    assert (f"{sum(skipped)} of 100 gradient steps were skipped" in said) is bool(skipped)
