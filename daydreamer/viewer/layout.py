"""Where everything is on the dashboard: one page for a glance, details in tabs behind it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import rerun as rr
import rerun.blueprint as rrb

from daydreamer.contract.portrayal import Portrayal
from daydreamer.presentation import Figure, Presentation
from daydreamer.spec import RobotSpec
from daydreamer.telemetry.quantities import is_known, known_figures
from daydreamer.viewer.titles import LiveTitles

TIMELINE = "robot_time"
DREAM_SPAN_S = 30.0
"""How much of reality is shown with the predictions drawn over it: the last three of them."""
FUTURE_SHARE = 0.35
"""Of that span, shown in addition for the legend."""

ERROR_RANGE = (0.0, 2.0)


def blueprint(spec: RobotSpec, presentation: Presentation, portrayal: Portrayal, learns: bool = True) -> rrb.Blueprint:
    """The dashboard of a session of this robot and task; of one that does not learn without dreams and losses."""
    views = [
        _plot(
            f"dream/signals/{key}",
            f"{title}, dots: dream" if learns else title,
            limits,
            DREAM_SPAN_S,
            legend=None if key in portrayal.single_lines else rrb.Corner2D.RightTop,
        )
        for key, (title, limits) in portrayal.plots.items()
    ]
    cameras = [key for key, space in spec.observation.items() if space.is_image]
    if portrayal.skeleton_m is not None:
        views.insert(0, _robot("Robot now; dream (orange) over reality" if learns else "Robot now"))
    elif cameras:  # what it sees takes the place of what it looks like
        views.insert(0, rrb.Tabs(*(_view_now(key) for key in cameras), name="Now"))
    if cameras and learns:
        views.append(rrb.Tabs(*(_camera(key) for key in cameras), name="Camera"))
    if learns:
        title = "Prediction error / that of 'nothing changes'"
        views.append(_plot("dream/error", title, ERROR_RANGE, legend=rrb.Corner2D.RightTop))
    health = rrb.Horizontal(
        rrb.Spatial2DView(origin="health/card", name="Health"),
        rrb.Tabs(
            _plot("health/control", "Control period (ms), mean and longest", legend=None),
            _plot("health/timing", "Control step (ms), p50 and p99", legend=None),
            *(_of_learning() if learns else ()),
            name="Curves",
        ),
        _events(),
        column_shares=[5, 3, 2],
        name="Health",
    )
    return _page(
        rrb.Spatial2DView(origin="banner", name="Session"),
        rrb.Horizontal(*_learning(spec, presentation), name="Learning"),
        rrb.Horizontal(*views, name="Robot and dream"),
        health,
        row_shares=[1.0, 2.2, 2.0, 2.2],
    )


def live_blueprint(
    spec: RobotSpec, presentation: Presentation, portrayal: Portrayal, titles: LiveTitles
) -> rrb.Blueprint:
    """The page of a robot that is driven live."""
    cameras = [key for key, space in spec.observation.items() if space.is_image]
    views: list[rrb.View | rrb.Container] = [_view_now(key) for key in cameras]
    if portrayal.skeleton_m is not None:
        views.insert(0, _robot(titles.robot))
    curves = [_plot("dream/reward", titles.reward, presentation.reward_range, DREAM_SPAN_S, legend=None)]
    curves += [
        _plot(figure_path(figure), _capitalised(figure.title), figure.plot_range, DREAM_SPAN_S, legend=None)
        for figure in known_figures(presentation, spec)
    ]
    signals = [
        _plot(f"dream/signals/{key}", title, limits, DREAM_SPAN_S, legend=None)
        for key, (title, limits) in portrayal.plots.items()
    ]
    return _page(
        rrb.Horizontal(*views, name=titles.name),
        rrb.Horizontal(rrb.Vertical(*curves), rrb.Vertical(*signals), _events(), column_shares=[3, 3, 2]),
        row_shares=[3.0, 2.0],
    )


def _page(*rows: rrb.Container | rrb.View, row_shares: Sequence[float]) -> rrb.Blueprint:
    """Rows one below the other, and nothing of Rerun's own around them."""
    return rrb.Blueprint(
        rrb.Vertical(*rows, row_shares=row_shares),
        rrb.TimePanel(state="collapsed", timeline=TIMELINE, play_state="following"),
        rrb.BlueprintPanel(state="hidden"),
        rrb.SelectionPanel(state="hidden"),
        rrb.TopPanel(state="hidden"),
        auto_views=False,
        auto_layout=False,
    )


def _of_learning() -> Iterator[rrb.TimeSeriesView]:
    yield _plot("health/learner", "Gradient steps/s", legend=None)
    # What starts high and falls has room above its end.
    yield _plot("health/loss", "Losses", legend=rrb.Corner2D.RightTop)
    yield _plot("health/model", "KL and entropy", legend=rrb.Corner2D.RightTop)
    yield _plot("health/behavior", "Actor and critic", legend=rrb.Corner2D.RightTop)
    yield _plot("health/gradient", "Gradient norm", legend=None)


def figure_path(figure: Figure) -> str:
    """Where the curve of a headline figure is drawn."""
    return f"learning/figures/{figure.quantity.replace('/', '-')}"


def _learning(spec: RobotSpec, presentation: Presentation) -> Iterator[rrb.TimeSeriesView]:
    # A robot that falls takes this curve to any corner: no legend.
    yield _plot("learning/reward", _reward_title(spec, presentation), presentation.reward_range, legend=None)
    if spec.reward_terms:
        yield _plot("learning/terms", "Reward terms", presentation.terms_range, legend=rrb.Corner2D.LeftBottom)
    for figure in known_figures(presentation, spec):
        yield _plot(figure_path(figure), _capitalised(figure.title), figure.plot_range, legend=None)


def _reward_title(spec: RobotSpec, presentation: Presentation) -> str:
    parts = ["Reward per step"]
    if presentation.compared_reward != "reward" and is_known(presentation.compared_reward, spec):
        parts.append(f"orange: {presentation.compared_as or 'as compared'}")
    if presentation.milestones:
        parts.append("dots: milestones")
    return "; ".join(parts)


def _capitalised(words: str) -> str:
    return words[:1].upper() + words[1:]


def _plot(
    origin: str,
    name: str,
    limits: tuple[float, float] | None = None,
    span_s: float | None = None,
    *,
    legend: rrb.Corner2D | None,
) -> rrb.TimeSeriesView:
    """Everything below `origin` over the whole session, or over the last `span_s`.

    Args:
      legend: where curves do not go; None where the name says what is shown.
    """
    begin, now = rr.TimeRangeBoundary.infinite(), rr.TimeRangeBoundary.cursor_relative()
    end = now
    if span_s is not None:
        begin = rr.TimeRangeBoundary.cursor_relative(seconds=-span_s)
        # What has not happened yet leaves room for the legend.
        end = rr.TimeRangeBoundary.cursor_relative(seconds=FUTURE_SHARE * span_s if legend else 0.0)
    return rrb.TimeSeriesView(
        origin=origin,
        name=name,
        plot_legend=rrb.PlotLegend(legend, visible=legend is not None),
        axis_y=rrb.ScalarAxis(range=limits) if limits else None,
        axis_x=rrb.TimeAxis(view_range=rr.TimeRange(begin, end)),
        time_ranges=[rr.VisibleTimeRange(TIMELINE, start=begin, end=now)],
    )


def _robot(name: str) -> rrb.Spatial3DView:
    return rrb.Spatial3DView(
        origin="robot",
        name=name,
        line_grid=rrb.LineGrid3D(visible=True, spacing=0.25),
        eye_controls=rrb.EyeControls3D(
            position=(0.75, -1.15, 0.65), look_target=(0.0, 0.0, 0.1), eye_up=(0.0, 0.0, 1.0)
        ),
    )


def _events() -> rrb.TextLogView:
    columns = rrb.TextLogColumns(timeline_columns=[TIMELINE], text_log_columns=["LogLevel", "Body"])
    return rrb.TextLogView(origin="events", name="Events", columns=columns)


def camera_path(key: str) -> str:
    """Where the newest picture of a camera is shown."""
    return f"robot/camera/{key}"


def _view_now(key: str) -> rrb.Spatial2DView:
    return rrb.Spatial2DView(origin=camera_path(key), name=f"{key} now")


def _camera(key: str) -> rrb.Horizontal:
    names = {"truth": "Camera", "prediction": "Dreamt", "error": "Difference"}
    views = (rrb.Spatial2DView(origin=f"dream/camera/{key}/{name}", name=title) for name, title in names.items())
    return rrb.Horizontal(*views, name=key)
