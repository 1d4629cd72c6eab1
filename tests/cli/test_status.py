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
    assert f"{advice['title']}: {advice['sentence']}" in shown


def test_people_are_told_who_does_what_how_far_it_is_and_how_to_go_on(record_session, capsys):
    recorder = record_session(minutes=3.0)
    recorder.log(90.0)
    recorder.write_status()
    show_status(recorder.session.path, as_json=False)
    shown = capsys.readouterr().out
    assert shown.startswith("a1 learns walk in its twin  STOPPED ")
    for part in (
        "1.5 of 3 robot minutes",
        "Nothing is known to be wrong",
        f"Go on with: daydreamer resume {recorder.session.path}\n",
    ):
        assert part in shown, part
    figures = {" ".join(line.split()) for line in shown.split("\n\n")[1].splitlines()}
    assert {"upright after 1.0 robot minutes", "walking not yet", "gradient steps 1000", "actor stopped"} <= figures
    # What is not known is not there.
    assert not [line for line in figures if line.endswith(("-", "None"))]


def test_a_running_session_and_a_complete_one(record_session, capsys):
    recorder = record_session(minutes=1.0)
    recorder.log(60.0)
    recorder.write_status({"state": "running", "safety_state": "holding", "watchdogs_raised": {"stale_state": "hold"}})
    show_status(recorder.session.path, as_json=False)
    running = capsys.readouterr().out
    assert "HOLDING" in running and "stale state!" in running and "Go on with" not in running
    recorder.write_status({"state": "stopped", "safety_state": "running"})
    show_status(recorder.session.path, as_json=False)
    assert f"Go on with: daydreamer resume {recorder.session.path} --minutes 10\n" in capsys.readouterr().out
