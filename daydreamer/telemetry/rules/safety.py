"""Whether something keeps the robot from moving at all."""

from __future__ import annotations

import collections
from typing import Any

from daydreamer.telemetry.rules import Advice
from daydreamer.telemetry.session_telemetry import SessionTelemetry

TRIPS, TRIP_WINDOW_S = 5, 600.0
"""So many trips of one watchdog in ten minutes: each ends an episode, and what causes them is not chance."""

_CURES = {
    "emergency_stopped": "See that nobody is near the robot, release the emergency stop and reset it, then resume.",
    "damping": "It goes on by itself once the cause is gone; see whether the robot's state still arrives.",
    "holding": "Resume it, or see to the cause.",
}

_CURES_BY_WATCHDOG = {
    "state_stale": "See whether the robot's driver runs and what it sends arrives; it goes on by itself once it does.",
    "state_lost": "See whether the robot's driver runs and what it sends arrives; it goes on by itself once it does.",
    "image_stale": "See whether the camera's node runs, and whether its pictures arrive, are new and can be read; it "
    "goes on by itself once they are.",
    "implausible": "See to what is named; it goes on by itself once that is in order.",
}
"""Where a watchdog says more of what to do than the state to which it has led."""

_LATCHED = "It waits for you: look at the robot, mend what the cause names, then resume."


def robot_stopped(telemetry: SessionTelemetry) -> Advice | None:
    """The safety supervisor keeps the robot from acting."""
    changes = [event for event in telemetry.events if event["kind"] == "safety_state"]
    state = changes[-1].get("after") if changes else None
    if state not in _CURES:
        return None
    set_out = max((change["wall_s"] for change in changes if change.get("after") == "ramping"), default=0.0)
    latched = any(event["kind"] == "latched" and event["wall_s"] >= set_out for event in telemetry.events)
    cause = str(changes[-1].get("cause") or "not stated")
    trips = [event for event in telemetry.events if event["kind"] == "watchdog" and event["name"] == cause]
    trip: dict[str, Any] = trips[-1] if trips else {}
    subject = f", {trip['subject']}" if trip.get("subject") else ""
    cure = str(trip.get("cure") or "") or _CURES_BY_WATCHDOG.get(cause) or _CURES[state]
    return Advice(
        rule="robot_stopped",
        level="bad",
        title=f"Robot {state.replace('_', ' ')}",
        finding=f"Nothing is experienced while the robot is {state.replace('_', ' ')} (cause: {cause}{subject}).",
        cure=_LATCHED if latched and state != "emergency_stopped" else cure,
    )


def watchdog_trips(telemetry: SessionTelemetry) -> Advice | None:
    """A watchdog interrupts the robot again and again."""
    trips = [event for event in telemetry.events if event["kind"] == "watchdog"]
    recent = [event["name"] for event in trips if event["wall_s"] > telemetry.events[-1]["wall_s"] - TRIP_WINDOW_S]
    name, count = max(collections.Counter(recent).items(), key=lambda item: item[1], default=("", 0))
    if count < TRIPS:
        return None
    last = next(event for event in reversed(trips) if event["name"] == name)
    return Advice(
        rule="watchdog_trips",
        level="warn",
        title="Watchdog trips often",
        finding=f"Watchdog '{name}' tripped {count} times in ten minutes (last at {last.get('value')}, its limit is "
        f"{last.get('threshold')}), and each time the robot is interrupted.",
        cure="Mend the cause rather than the limit.",
    )


RULES = (robot_stopped, watchdog_trips)
