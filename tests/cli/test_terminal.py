"""What a stranger's texts do to the operator's terminal: nothing."""

import io
import json
import logging
import re

import pytest
from rich.table import Table
from rich.text import Text

from daydreamer.cli.doctor import doctor
from daydreamer.cli.main import main
from daydreamer.cli.report import report
from daydreamer.cli.status import show_status
from daydreamer.cli.terminal import Terminal
from daydreamer.session.dashboard import dashboard_url
from daydreamer.texts import PrintableFormatter, decode_json, printable

ATTACKS = (
    "\x1b[6n",
    "\x1b]0;title\x07",
    "\x9b6n",
    "\x1b[2J",
    "[/x]",
    "[bold red]no[/bold red]",
    "\u202etxt.exe",
    "\x7f\b\r",
)
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]")


@pytest.mark.parametrize("attack", ATTACKS)
def test_nothing_that_is_printed_is_obeyed(attack):
    output = io.StringIO()
    console = Terminal(file=output, width=200)
    console.print(attack)
    console.print(Text(f"a {attack} b"))
    table = Table(f"h {attack}")
    table.add_row(f"cell {attack}")
    console.print(table)
    assert not OBEYED.search(output.getvalue())
    assert printable(attack) in output.getvalue() and printable(f"cell {attack}") in output.getvalue()


def test_style_of_our_own_still_colours():
    output = io.StringIO()
    Terminal(file=output, force_terminal=True, width=200).print(Text("\x1b[6n", style="red"))
    assert output.getvalue() == "\x1b[31m\\x1b[6n\x1b[0m\n"


def test_log_records_are_not_obeyed():
    record = logging.makeLogRecord({"msg": "x \x1b[6n"})
    assert PrintableFormatter().format(record) == "x \\x1b[6n"


def test_json_that_is_nested_too_deep_is_refused():
    assert decode_json('{"a": "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["}') == {"a": "[" * 46}
    for content in ("[" * 100_000, "[" * 40 + "]" * 40, '{"a":' * 100_000):
        with pytest.raises(ValueError, match="nested"):
            decode_json(content)


def test_json_that_opens_one_text_after_another_is_looked_at_once():
    with pytest.raises(ValueError, match="malformed|truncated|[Ii]nvalid"):
        decode_json('"\\' * (1 << 20))  # which took days


@pytest.fixture
def hostile(record_session):
    """A session every text of which is an attack, with checksums that fit."""
    recorder = record_session(preset="tiny")
    recorder.log(30.0)
    evil = "".join(ATTACKS)
    recorder.write_status(
        actor={
            "safety_state": evil,
            "safety_cause": evil,
            "watchdogs_raised": {evil: evil},
            "milestones_s": {evil: 1.0},
        },
        learner={"state": "failed", "device": evil},
    )
    for kind, fields in (
        (evil, {}),
        ("fault", {"error": evil}),
        ("watchdog", {"name": evil}),
        ("milestone", {"name": evil, "robot_seconds": 1.0}),
        ("log_problem", {"text": evil}),
        ("safety_state", {"after": "damping", "cause": evil}),
    ):
        recorder.events.record(kind, evil, **fields)
    recorder.events.record("fault", "learner", error=evil)
    url = json.dumps({"url": f"http://127.0.0.1:9090/{evil}", "process": [1, "x", 1]})
    (recorder.session.status / "dashboard.json").write_text(url)
    return recorder.session


def test_no_command_hands_a_strangers_text_to_the_terminal(hostile, capsys, monkeypatch):
    show_status(hostile.path, as_json=False)
    doctor(hostile.path, as_json=False)
    report(hostile.path)
    output = capsys.readouterr().out
    assert not OBEYED.search(output) and "\\x1b[6n" in output and "[/x]" in output
    show_status(hostile.path, as_json=True)
    assert not OBEYED.search(capsys.readouterr().out.replace("\x7f", ""))
    assert dashboard_url(hostile) is None
    (hostile.path / "session.yaml").write_text("a: \x1b]\n")
    monkeypatch.setattr("sys.argv", ["daydreamer", "status", str(hostile.path)])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2 and not OBEYED.search(capsys.readouterr().err)


@pytest.mark.parametrize("url", ["http://example.com:9090/", "http://127.0.0.1.example.com:1/", "file:///etc/passwd"])
def test_an_address_of_elsewhere_is_not_shown(record_session, url):
    from daydreamer.session.status import ProcessIdentity

    session = record_session().session
    identity = ProcessIdentity.of_this_process()
    place = {"url": url, "process": {name: getattr(identity, name) for name in ("pid", "boot_id", "process_start")}}
    (session.status / "dashboard.json").write_text(json.dumps(place))
    assert dashboard_url(session) is None
    (session.status / "dashboard.json").write_text(json.dumps(place | {"url": "http://127.0.0.1:9090/"}))
    assert dashboard_url(session) == "http://127.0.0.1:9090/"
