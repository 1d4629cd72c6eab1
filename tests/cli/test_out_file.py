"""Files that a command is to write."""

import pytest

from daydreamer.cli.evaluate import evaluate
from daydreamer.cli.out_file import require_writable
from daydreamer.errors import UserError


def test_what_cannot_be_written_is_found_out_before(tmp_path):
    there = tmp_path / "there.png"
    there.write_text("stays")
    require_writable(there)
    require_writable(tmp_path / "new.png")
    for wrong in (tmp_path, tmp_path / "nowhere" / "new.png", there / "new.png"):
        with pytest.raises(UserError, match=f"^{wrong} cannot be written .*; choose another --out"):
            require_writable(wrong)
    assert list(tmp_path.iterdir()) == [there] and there.read_text() == "stays"


@pytest.mark.parametrize(("name", "error"), [("new.pdf", "ends in .png or .svg"), ("nowhere/new.png", "another --out")])
def test_an_evaluation_knows_it_before_it_looks_for_a_session(tmp_path, name, error):
    options = {"version": "best", "episodes": 1, "seconds": None, "robots": 1, "seed": 0, "workers": 1}
    options |= {"samples": False, "twin_file": None, "overrides": (), "as_json": False}
    with pytest.raises(UserError, match=error):
        evaluate([tmp_path / "no session"], out=tmp_path / name, **options)
