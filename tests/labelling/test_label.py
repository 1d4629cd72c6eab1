"""`daydreamer label`: the sheets that an operator looks at, and what becomes of the answers."""

import io
import shutil

import pytest
from PIL import Image
from typer.testing import CliRunner

from daydreamer.cli.main import app
from daydreamer.labelling.episodes import Episode, read_episodes, shown_steps
from daydreamer.labelling.sheet import parse_answer
from daydreamer.robots.arm.sight import ABOVE
from daydreamer.session.directory import Session
from daydreamer.session.labels import read_labels


@pytest.fixture
def unlabelled(labelled, tmp_path):
    copy = shutil.copytree(labelled.path, tmp_path / "session", ignore=shutil.ignore_patterns("labels"))
    return Session.open(copy)


def ask(session, answers, episodes=3):
    options = ["label", str(session.path), "--episodes", str(episodes)]
    return CliRunner().invoke(app, options, input="".join(f"{answer}\n" for answer in answers))


def test_each_answer_is_kept_and_another_time_goes_on_with_what_was_not_asked(unlabelled):
    result = ask(unlabelled, ["", "9-15", "8-14 ?7", "b", "8-14", "s", "q"])
    assert result.exit_code == 0
    assert result.output.count("That is not understood: ") == 2 and "'9-15' is not among 1 to 14" in result.output
    assert "7 successes, 6 without, 1 left out." in result.output and "Sheet 3 of 3: " in result.output
    expected = {(1, number): number >= 7 for number in range(14)}
    assert read_labels(unlabelled, ABOVE) == expected
    sheets = sorted(unlabelled.labels.glob("*.png"))
    assert [sheet.name for sheet in sheets] == [
        "above-0001-000000.png",
        "above-0001-000210.png",
        "above-0001-000434.png",
    ]
    assert Image.open(io.BytesIO(sheets[0].read_bytes())).size == (6 * 198 + 6, 3 * 222 + 6)
    result = ask(unlabelled, ["none"])  # and then the terminal is gone
    assert result.exit_code == 130 and "What was said is kept; the same command goes on." in result.output
    assert read_labels(unlabelled, ABOVE) == expected | {(1, 14 + number): False for number in range(14)}


def test_of_a_long_episode_its_end_is_shown_in_a_row_and_the_rest_in_between():
    steps = shown_steps(Episode(2, 100, 150), 24)
    assert len(steps) == 24 and steps[0] == (2, 100) and steps[-12:] == [(2, 100 + index) for index in range(138, 150)]
    assert shown_steps(Episode(2, 100, 3), 24) == [(2, 100), (2, 101), (2, 102)]


def test_the_episodes_of_a_log_are_found(labelled):
    episodes = read_episodes(labelled)
    assert len(episodes) == 32 and episodes[1] == Episode(1, 14, 14)


@pytest.mark.parametrize(
    "text, successes, unclear",
    [("none", [], []), ("1, 3-4 ?2", [0, 2, 3], [1]), ("?1-4", [], [0, 1, 2, 3]), ("4", [3], [])],
)
def test_an_answer_is_numbers_ranges_and_what_is_unclear(text, successes, unclear):
    answer = parse_answer(text, 4)
    assert (sorted(answer.successes), sorted(answer.unclear)) == (successes, unclear)


@pytest.mark.parametrize("text", ["", " ", " , ", "none 1", "5", "0", "3-2", "x", "1 ?1", "1--2", "-1"])
def test_what_is_no_answer_is_refused(text):
    with pytest.raises(ValueError):
        parse_answer(text, 4)
