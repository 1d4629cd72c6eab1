"""Whoever shows a session says of one in which nobody learns what it plays, and misses no learner."""

import pytest
from rich.console import Console

from daydreamer.cli.progress import LiveView, describe
from daydreamer.cli.status import show_status
from daydreamer.doctor import examine
from daydreamer.report.history import read_history
from daydreamer.report.page import write_report
from daydreamer.report.verdict import judge_session
from daydreamer.session.played import PlayedPolicy
from daydreamer.session.status import StatusWriter, read_status
from daydreamer.telemetry.advice import judge
from daydreamer.telemetry.health import read_health
from daydreamer.telemetry.session_telemetry import TelemetryReader

PLAYS = PlayedPolicy(
    session="/home/you/sessions/monday",
    session_digest="0" * 64,
    version=431,
    gradient_step=12_000,
    env_steps=43_200,
    robot_minutes=36.0,
    chosen="best",
    reward=12.9,
    reward_steps=1180,
)


@pytest.fixture
def session(record_session):
    """That has been played for so long that a learner's reward would be called flat."""
    recorder = record_session(plays=PLAYS)
    recorder.log(100.0)
    recorder.write_metrics(40.0, {"actor/reward": lambda share: 12.0})
    actor = {"state": "running", "policy_version": 431, "policy_age_s": None, "milestones_s": {}}
    StatusWriter(recorder.session, "actor").write(
        {"state": "running", "env_steps": 2000, "control_rate_hz": 20.0, "reward_recent": 12.0} | actor
    )
    return recorder.session


def test_advice_is_not_about_learning(session):
    assert judge(TelemetryReader(session).read()) == []


def test_status_health_and_progress_say_what_it_plays(session, capsys):
    status = read_status(session)
    assert status["plays"] == PLAYS.description
    assert "policy 431 of /home/you/sessions/monday, robot minute 36.0, reward 12.90" in status["plays"]
    show_status(session.path, as_json=False)
    shown = capsys.readouterr().out
    assert "policy 431 of" in shown and "learner" not in shown and "gradient_steps" not in shown
    readings = {reading.name: reading.value for reading in read_health(status, session)}
    assert readings["plays"] == "policy 431 of monday" and not {"policy age", "learns on"} & readings.keys()
    line = describe(status, session, 40.0)
    assert "plays policy 431 of monday" in line and "gradient" not in line and "learner" not in line
    console = Console(width=110, record=True, file=open("/dev/null", "w"))
    console.print(LiveView(session, 40.0).render(status, None))
    assert "policy 431 of monday" in console.export_text()


def test_the_report_tells_what_was_played(session):
    verdict = judge_session(read_history(session))
    assert verdict.learned[0].startswith("It played policy 431 of /home/you/sessions/monday")
    (advice,) = verdict.advice
    assert "'daydreamer evaluate /home/you/sessions/monday'" in advice
    page, _ = write_report(session)
    text = page.read_text()
    assert "What it did" in text and 'id="learning-curve"' in text
    assert "dream-against-reality" not in text and "prediction-error" not in text


def test_the_doctor_misses_the_policy_and_nothing_of_a_learner(session):
    found = list(examine(session))
    assert [finding.part for finding in found if finding.state == "damaged"] == ["policy"]
    assert any("Nobody learns: it plays policy 431 of" in finding.text for finding in found)


def test_the_dashboard_shows_it_without_dreams(session, print_recording, tmp_path):
    pytest.importorskip("rerun")
    from daydreamer.viewer.dashboard import Dashboard

    dashboard = Dashboard(session, 40.0, tmp_path / "session.rrd")
    while dashboard.update():
        pass
    dashboard.close()
    text = print_recording(tmp_path / "session.rrd", "-vvv")
    assert "/robot/now" in text and "/health/card" in text and "/robot/label/dream" not in text
