"""The machine is measured."""

from __future__ import annotations

from typing import Annotated

import typer

from daydreamer.cli.commands.options import Json


def bench(
    what: Annotated[str, typer.Argument(help="learner, actor or replay.")],
    workload: Annotated[
        str | None,
        typer.Option(
            help="'reference': DreamerV3's size1m on a vector of 33, imagining from every replayed step; "
            "'default': what walk runs; 'tiny': its preset of that name, to see whether this machine can do it at all; "
            "'image': of a robot with a camera. Without it: reference for the learner, default for the rest."
        ),
    ] = None,
    seconds: Annotated[float, typer.Option(help="How long the learner is timed, once it is compiled.")] = 20.0,
    json: Json = False,
) -> None:
    """Measure this machine: gradient steps, policy calls, or steps through log and replay."""
    from daydreamer.cli.bench import bench

    bench(what, as_json=json, workload=workload, learner_s=seconds)
