"""Where everything is on the dashboard: one page for a glance, details in tabs behind it."""

from __future__ import annotations

import rerun as rr
import rerun.blueprint as rrb

from daydreamer.robots.portrayal import Portrayal
from daydreamer.spec import RobotSpec

TIMELINE = "robot_time"
DREAM_SPAN_S = 30.0
"""How much of reality is shown with the predictions drawn over it: the last three of them."""

SPEED_RANGE_M_S = (-0.2, 0.6)
ERROR_RANGE = (0.0, 2.0)


def blueprint(spec: RobotSpec, portrayal: Portrayal) -> rrb.Blueprint:
    """The dashboard of a session of this robot."""
    learning = rrb.Horizontal(
        _plot("learning/reward", "Reward per step", portrayal.reward_range),
        _plot("learning/terms", "Reward terms", (-1.0, 1.0), legend=rrb.Corner2D.LeftBottom),
        _plot("learning/speed", "Forward speed (m/s)", SPEED_RANGE_M_S),
        name="Learning",
    )
    views = [
        _plot(f"dream/signals/{key}", f"{title}, dots: dream", limits, DREAM_SPAN_S)
        for key, (title, limits) in portrayal.plots.items()
    ]
    if portrayal.skeleton_m is not None:
        views.insert(0, _robot())
    cameras = [key for key, space in spec.observation.items() if space.is_image]
    if cameras:
        views.append(rrb.Tabs(*(_camera(key) for key in cameras), name="Camera"))
    views.append(
        _plot("dream/error", "Prediction error / that of 'nothing changes'", ERROR_RANGE, legend=rrb.Corner2D.RightTop)
    )
    health = rrb.Horizontal(
        rrb.Spatial2DView(origin="health/card", name="Health"),
        rrb.Tabs(
            _plot("health/control", "Control period (ms)"),
            _plot("health/timing", "Control step (ms)"),
            _plot("health/learner", "Learner speed"),
            _plot("health/loss", "Losses"),
            _plot("health/model", "KL and entropy"),
            _plot("health/behavior", "Actor and critic"),
            _plot("health/gradient", "Gradient norm"),
            name="Curves",
        ),
        _events(),
        column_shares=[5, 3, 2],
        name="Health",
    )
    return rrb.Blueprint(
        rrb.Vertical(
            rrb.Spatial2DView(origin="banner", name="Session"),
            learning,
            rrb.Horizontal(*views, name="Robot and dream"),
            health,
            row_shares=[1.0, 1.9, 2.0, 2.5],
        ),
        rrb.TimePanel(state="collapsed", timeline=TIMELINE, play_state="following"),
        rrb.BlueprintPanel(state="hidden"),
        rrb.SelectionPanel(state="hidden"),
        rrb.TopPanel(state="hidden"),
        auto_views=False,
        auto_layout=False,
    )


def _plot(
    origin: str,
    name: str,
    limits: tuple[float, float] | None = None,
    span_s: float | None = None,
    legend: rrb.Corner2D = rrb.Corner2D.LeftTop,
) -> rrb.TimeSeriesView:
    """Everything below `origin` over the whole session, or over the last `span_s`."""
    now = rr.TimeRangeBoundary.cursor_relative()
    begin = rr.TimeRangeBoundary.infinite()
    if span_s is not None:
        begin = rr.TimeRangeBoundary.cursor_relative(seconds=-span_s)
    return rrb.TimeSeriesView(
        origin=origin,
        name=name,
        plot_legend=rrb.PlotLegend(legend),
        axis_y=rrb.ScalarAxis(range=limits) if limits else None,
        axis_x=rrb.TimeAxis(view_range=rr.TimeRange(begin, now)),
        time_ranges=[rr.VisibleTimeRange(TIMELINE, start=begin, end=now)],
    )


def _robot() -> rrb.Spatial3DView:
    return rrb.Spatial3DView(
        origin="robot",
        name="Robot now; dream (orange) over reality",
        line_grid=rrb.LineGrid3D(visible=True, spacing=0.25),
        eye_controls=rrb.EyeControls3D(
            position=(0.75, -1.15, 0.65), look_target=(0.0, 0.0, 0.1), eye_up=(0.0, 0.0, 1.0)
        ),
    )


def _events() -> rrb.TextLogView:
    columns = rrb.TextLogColumns(timeline_columns=[TIMELINE], text_log_columns=["LogLevel", "Body"])
    return rrb.TextLogView(origin="events", name="Events", columns=columns)


def _camera(key: str) -> rrb.Horizontal:
    names = {"truth": "Camera", "prediction": "Dreamt", "error": "Difference"}
    views = (rrb.Spatial2DView(origin=f"dream/camera/{key}/{name}", name=title) for name, title in names.items())
    return rrb.Horizontal(*views, name=key)
