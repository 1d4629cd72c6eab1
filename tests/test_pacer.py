import pytest

from daydreamer.pacer import Pacer


def test_commands_in_time_miss_nothing_and_the_grid_does_not_drift():
    pacer = Pacer(0.05, start_s=100.0)
    for tick in range(1000):
        assert pacer.tick_s == pytest.approx(100.0 + 0.05 * tick, abs=1e-9)
        pacer.begin(pacer.tick_s + 0.001)
        pacer.finish(pacer.tick_s + 0.049)
    assert pacer.deadline_misses == pacer.skipped_ticks == 0


def test_a_command_after_the_next_tick_is_missed_and_the_next_tick_is_not_moved():
    pacer = Pacer(0.05, start_s=0.0)
    pacer.begin(0.0)
    pacer.finish(0.07)
    assert pacer.deadline_misses == 1
    assert pacer.tick_s == pytest.approx(0.05)
    pacer.begin(0.07)
    assert pacer.skipped_ticks == 0


def test_ticks_slept_through_are_skipped_not_bunched():
    pacer = Pacer(0.05, start_s=0.0)
    pacer.begin(0.0)
    pacer.finish(0.01)
    pacer.begin(0.27)
    assert pacer.tick_s == pytest.approx(0.25)
    assert pacer.skipped_ticks == pacer.deadline_misses == 4
    pacer.finish(0.28)
    assert pacer.tick_s == pytest.approx(0.30)
    assert pacer.deadline_misses == 4
