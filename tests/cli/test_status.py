"""`daydreamer status` as programs and operators read it."""

import json

from daydreamer.cli.status import show_status


def test_advice_is_shown_to_operators_and_programs(record_session, capsys):
    recorder = record_session()
    recorder.write_status(actor={"policy_age_s": 300.0})
    show_status(recorder.session.path, as_json=True)
    status = json.loads(capsys.readouterr().out)
    assert status["policy_age_s"] == 300.0 and status["state"] == "stopped"
    (advice,) = status["advice"]
    assert advice["rule"] == "policy_old" and advice["level"] == "bad" and "300 s old" in advice["sentence"]
    show_status(recorder.session.path, as_json=False)
    shown = capsys.readouterr().out
    assert "policy_age_s" in shown and f"{advice['title']}: {advice['sentence']}" in shown


def test_a_healthy_session_is_said_to_be(record_session, capsys):
    recorder = record_session()
    recorder.write_status()
    show_status(recorder.session.path, as_json=False)
    assert "Nothing is known to be wrong" in capsys.readouterr().out
