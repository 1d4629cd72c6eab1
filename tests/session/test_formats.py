"""Sessions that earlier versions recorded are read, judged and gone on with; a fixture for each format, as it was made.

`formats/1.tar.xz` is `daydreamer train walk --preset tiny --steps 400 --train-ratio 8` of commit 363d3d8;
`formats/2.tar.xz` the same of 120629b with `--set learner.withheld=0.25 --set model.convolution_depth=8`.
"""

import contextlib
import tarfile
from pathlib import Path

import pytest

from daydreamer.cli.progress import describe
from daydreamer.doctor import examine
from daydreamer.experience.tail import ExperienceTail
from daydreamer.learner.learner import Learner
from daydreamer.policy.policy import Policy
from daydreamer.policy.snapshot import latest_snapshot
from daydreamer.report.history import read_history
from daydreamer.report.page import write_report
from daydreamer.session.directory import Session
from daydreamer.session.status import read_status

FORMATS = Path(__file__).parent / "formats"
STEPS, GRADIENT_STEPS = 400, 100
OPEN_LOOP_SHARE = {"1.tar.xz": 0.5, "2.tar.xz": 0.25}
"""Of `learner.withheld`, as it was called in both."""


@pytest.fixture(scope="module", params=sorted(FORMATS.iterdir()), ids=lambda path: path.name)
def path(request, tmp_path_factory):
    place = tmp_path_factory.mktemp("format") / "session"
    with tarfile.open(request.param) as archive:
        archive.extractall(place, filter="data")
    return place


def test_everybody_reads_it_without_complaint(path):
    session = Session.open(path)
    assert list(session.problems) == [] and not session.unknown
    tail = ExperienceTail(session.experience, session.spec)
    steps = tail.read()
    assert tail.problems == [] and [step.sequence for step in steps] == list(range(STEPS))
    status = read_status(session)
    assert (status["env_steps"], status["gradient_steps"], status["problems"]) == (STEPS, GRADIENT_STEPS, [])
    (figure,) = session.presentation.figures
    assert status["figures_recent"].keys() == {figure.quantity}
    assert f"{figure.number(status['figures_recent'][figure.quantity])} m/s forward" in describe(status, session, 1.0)
    assert read_history(session).problems == []
    assert [finding.text for finding in examine(session) if finding.state == "damaged"] == []
    page, verdict = write_report(session)
    assert page.is_file() and verdict.learned


def test_a_setting_has_its_name_of_today(path, request):
    name = request.node.callspec.params["path"].name
    assert Session.open(path).config.learner.open_loop_share == OPEN_LOOP_SHARE[name]


def test_it_goes_on(path):
    session = Session.open(path)
    session.require_resumable()
    policy = Policy.load(latest_snapshot(session.policy), session.spec)
    assert policy.version == 1
    events = []
    with contextlib.closing(Learner(session, lambda kind, **fields: events.append((kind, fields)))) as learner:
        assert events == [("restored", {"gradient_step": GRADIENT_STEPS, "env_steps": STEPS})]
        assert (learner.updates, learner.env_steps) == (GRADIENT_STEPS, STEPS)
