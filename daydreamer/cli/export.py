"""`daydreamer export`: what a session has, for other programs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from daydreamer.cli.out_file import require_writable, written
from daydreamer.cli.terminal import Terminal
from daydreamer.errors import UserError
from daydreamer.session.directory import Session
from daydreamer.texts import counted

NEWEST = "newest"


def export(directory: Path, form: str, out: Path, version: str | None, sampled: bool) -> None:
    """Writes `out`, and says what is in it and what could not be read.

    Args:
      form: of `FORMATS`.
      version: of the policy, 'newest' or a number; None takes the newest. For ONNX only, as is `sampled`.

    Raises:
      UserError: there is no such session, format or policy, a library is missing, or `out` cannot be written.
    """
    if form not in FORMATS:
        raise UserError(f"There is no format '{form}'; choose {', '.join(FORMATS)}.")
    if form != "onnx" and (version is not None or sampled):
        raise UserError(f"--version and --sampled are of policies, which --format {form} has none of; leave them out.")
    session = Session.open(directory)
    if form != "onnx" and session.is_offline:
        logs = ", ".join(each.path for each in session.record.logs)
        raise UserError(f"{session.path} has no steps: it learned from what is in {logs}; export that.")
    with written(out):
        lines = FORMATS[form](session, out, version or NEWEST, sampled)
    for line in lines:
        Terminal().print(line, soft_wrap=True)


def _export_onnx(session: Session, out: Path, version: str, sampled: bool) -> list[str]:
    from daydreamer.export.onnx_policy import CHECKED_STEPS, to_onnx
    from daydreamer.policy.policy import Policy
    from daydreamer.policy.snapshot import read_snapshot
    from daydreamer.storage.atomic import write_anywhere

    path = _find_policy(session, version)
    require_writable(out)
    policy = Policy.load(path, session.spec)
    _, metadata = read_snapshot(path, session.spec)
    content, difference = to_onnx(policy, session.spec, metadata.gradient_step, sampled)
    write_anywhere(out, content)
    size = f"{len(content) / 1e6:.1f} MB"
    return [
        f"{out} is policy {policy.version} of {session.path} ({size}). Over {CHECKED_STEPS} steps in onnxruntime it "
        f"differed from it by {difference:.0e} at most."
    ]


def _find_policy(session: Session, version: str) -> Path:
    """The snapshot of that version.

    Raises:
      UserError: there is none, or no such one.
    """
    from daydreamer.policy.snapshot import latest_snapshot, published_snapshots

    published = published_snapshots(session.policy)
    if not published:
        raise UserError(f"{session.path} has no policy yet; go on with it ('{session.resume_command()}').")
    if version == NEWEST:
        return latest_snapshot(session.policy) or published[max(published)]
    if not version.isdecimal() or int(version) not in published:
        there = ", ".join(map(str, sorted(published)))
        raise UserError(f"{session.path} has no policy '{version}'; choose {NEWEST} or one of {there}.")
    return published[int(version)]


def _export_csv(session: Session, out: Path, version: str, sampled: bool) -> list[str]:
    from daydreamer.export.table import write_csv

    count, problems = write_csv(session, out)
    return [f"{out} has {counted(count, 'step')}.", *problems]


def _export_lerobot(session: Session, out: Path, version: str, sampled: bool) -> list[str]:
    from daydreamer.export.lerobot_dataset import VERSION, write_lerobot

    episodes, frames, problems = write_lerobot(session, out)
    return [f"{out} is a LeRobotDataset {VERSION} of {counted(episodes, 'episode')} and {frames} frames.", *problems]


FORMATS: Mapping[str, Callable[[Session, Path, str, bool], list[str]]] = {
    "onnx": _export_onnx,
    "csv": _export_csv,
    "lerobot": _export_lerobot,
}
"""What writes each, and returns what is to be said about it."""
