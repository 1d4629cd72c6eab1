"""What `daydreamer.load(DIR)` gives a notebook."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daydreamer.config import SessionConfig
from daydreamer.errors import UserError
from daydreamer.export.table import flat_columns
from daydreamer.session.directory import Session
from daydreamer.session.events import read_events
from daydreamer.session.status import read_status
from daydreamer.spec import RobotSpec
from daydreamer.telemetry.columns import StepColumns, read_columns
from daydreamer.telemetry.scalars import ScalarReader

if TYPE_CHECKING:
    import pandas


class LoadedSession:
    """What a session has on disk, read when it is first asked for and kept from then on; nothing is written.

    One that runs is read as far as it has come; load it again for what has come since.

    Attributes:
      path: of its directory.
      config: its settings.
      spec: what its robot senses and does.
      problems: what could not be read so far, one sentence each.
    """

    def __init__(self, session: Session):
        self._session = session
        self.path: Path = session.path
        self.config: SessionConfig = session.config
        self.spec: RobotSpec = session.spec
        self.problems: list[str] = list(session.problems)

    def __repr__(self) -> str:
        return f"<session {self.path}: {self.config.robot} {self.config.task}, {self.config.body}>"

    @functools.cached_property
    def status(self) -> dict[str, Any]:
        """What `daydreamer status --json` prints, but for the advice."""
        return read_status(self._session)

    @functools.cached_property
    def columns(self) -> StepColumns:
        """All steps as NumPy arrays in their own shapes, images included."""
        return read_columns(self._session, problems=self.problems)

    @functools.cached_property
    def steps(self) -> pandas.DataFrame:
        """All steps, without images: a row for each, a column for each number, as `daydreamer export` writes them."""
        frame = _pandas().DataFrame
        return frame(flat_columns(read_columns(self._session, images=False, problems=self.problems), self.spec))

    @functools.cached_property
    def events(self) -> pandas.DataFrame:
        """What happened and when: `wall_s`, `kind`, `source`, and what belongs to any kind."""
        return _pandas().DataFrame(read_events(self._session.events))

    @functools.cached_property
    def metrics(self) -> pandas.DataFrame:
        """All scalars: a row for each point with `tag`, `wall_s`, `step` and `value`."""
        pandas = _pandas()
        reader = ScalarReader(self._session.metrics)
        curves = [
            pandas.DataFrame({"tag": tag, "wall_s": each.wall_s, "step": each.step, "value": each.value})
            for tag, each in reader.read().items()
        ]
        self.problems += reader.problems.values()
        return pandas.concat(curves, ignore_index=True) if curves else _no_metrics(pandas)


def _no_metrics(pandas: Any) -> pandas.DataFrame:
    return pandas.DataFrame({"tag": [], "wall_s": [], "step": [], "value": []})


def _pandas() -> Any:
    try:
        import pandas
    except ImportError as error:
        raise UserError(
            "Data frames need pandas; install it with pip install 'daydreamer[notebook]'. Without it there are the "
            "same steps as NumPy arrays in .columns."
        ) from error
    return pandas
