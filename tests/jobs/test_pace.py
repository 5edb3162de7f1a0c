"""When a frame may be sent, by a clock that the test moves."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cnnwidgets.jobs.publisher import Pace

TICK = 1 / 1024  # exact in binary, so that sums of it are


def sent_times(
    pace: Pace, seconds: float, answer: Callable[[float, int], None] = lambda now, number: None
) -> list[float]:
    """When frames go out to a publisher that always has a new one."""
    times = []
    for tick in range(int(seconds / TICK)):
        now = tick * TICK
        if pace.delay(now) <= 0:
            times.append(now)
            answer(now, pace.sent(now))
    return times


@pytest.mark.parametrize(("fps", "frames"), [(15, 15), (30, 30), (1000, 30), (2, 2)])
def test_a_page_that_answers_at_once_gets_so_many_frames_a_second_and_30_at_most(fps: float, frames: int) -> None:
    pace = Pace(fps)
    times = sent_times(pace, 10, lambda now, number: pace.acknowledged(number, now))
    assert len(times) == pytest.approx(10 * frames, rel=0.04)
    assert min(b - a for a, b in zip(times, times[1:], strict=False)) >= 1 / frames


def test_without_an_answer_the_window_is_filled_and_then_two_frames_go_a_second() -> None:
    times = sent_times(Pace(15, window=2), 9)
    gaps = [b - a for a, b in zip(times, times[1:], strict=False)]
    assert gaps[0] == pytest.approx(1 / 15, abs=2 * TICK)
    assert all(gap == pytest.approx(0.5, abs=2 * TICK) for gap in gaps[1:])


def test_after_ten_silent_seconds_one_frame_goes_in_two() -> None:
    times = [t for t in sent_times(Pace(), 60) if t > 10]
    gaps = [b - a for a, b in zip(times, times[1:], strict=False)]
    assert len(times) == 25 and all(gap == pytest.approx(2.0, abs=2 * TICK) for gap in gaps)


def test_a_late_answer_opens_the_window_again_and_ends_the_silence() -> None:
    pace = Pace()
    numbers: list[int] = []
    sent_times(pace, 30, lambda now, number: numbers.append(number))
    assert pace.delay(30.5) > 0
    pace.acknowledged(numbers[-1], 30.5)
    assert pace.delay(30.5) <= 0
    pace.sent(30.5)
    assert pace.delay(30.5) == pytest.approx(1 / 15)


def test_an_answer_counts_for_the_frames_before_it_but_not_after() -> None:
    pace = Pace(window=2)
    first, second, third = pace.sent(0), pace.sent(1), pace.sent(2)
    pace.acknowledged(second, 2)
    assert pace.delay(2) == pytest.approx(1 / 15)  # one under way
    fourth = pace.sent(2)
    pace.acknowledged(first, 2)
    assert pace.delay(2) == pytest.approx(0.5)  # two: the first was counted already
    pace.acknowledged(third, 2)
    assert pace.delay(2) == pytest.approx(1 / 15)
    pace.acknowledged(fourth, 2)
    assert pace.delay(2 + 20) < 0  # none is due, so nobody is silent


def test_silence_is_counted_from_the_last_answer() -> None:
    pace = Pace()
    first, _ = pace.sent(0), pace.sent(0)
    pace.acknowledged(first, 5)
    assert pace.delay(14.9) == pytest.approx(1 / 15 - 14.9)
    pace.sent(15.1)
    assert pace.delay(15.1) == pytest.approx(2.0)


def test_an_answer_to_another_run_is_ignored() -> None:
    earlier, pace, later = Pace(), Pace(), Pace()
    before = earlier.sent(0)
    pace.sent(0)
    pace.sent(0)
    after = later.sent(0)
    for number in (before, after, 0, -1, 10**9):
        pace.acknowledged(number, 0)
    assert pace.delay(0) == pytest.approx(0.5)


def test_a_slow_run_with_a_prompt_page_is_no_silence() -> None:
    pace = Pace()
    for now in (0, 20, 40):
        assert pace.delay(now) <= 0
        pace.acknowledged(pace.sent(now), now + 0.1)
    pace.sent(60)
    pace.sent(60)
    assert pace.delay(60) == pytest.approx(0.5)


def test_a_round_trip_of_a_tenth_of_a_second_still_gives_fifteen_frames() -> None:
    pace, due = Pace(15, window=2), []
    count = 0
    for tick in range(int(10 / TICK)):
        now = tick * TICK
        while due and due[0][0] <= now:
            pace.acknowledged(due.pop(0)[1], now)
        if pace.delay(now) <= 0:
            due.append((now + 0.1, pace.sent(now)))
            count += 1
    assert count == pytest.approx(150, rel=0.04)


@pytest.mark.parametrize("fps", [0, -1, float("nan")])
def test_no_frames_a_second_is_refused(fps: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        Pace(fps)
