"""A job driven by hand, step by step."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from cnnwidgets.jobs import Job


def numbers(last: int) -> Iterator[int]:
    yield from range(1, last + 1)


def test_a_job_goes_from_waiting_over_running_to_done() -> None:
    seen: list[tuple[str, int]] = []
    job = Job(numbers(2), on_change=lambda job: seen.append((job.state, job.frames_made)))
    assert job.state == "waiting" and not job.ended
    for _ in range(3):
        job.advance()
    assert seen == [("running", 0), ("done", 2)]
    assert job.ended and job.frame == 2 and job.wait(0)


def test_only_the_newest_frame_is_kept_and_taken_once() -> None:
    job = Job(numbers(9))
    assert not job.fresh
    for _ in range(5):
        job.advance()
    assert job.fresh and job.take() == 5 and not job.fresh
    assert job.frame == 5 and job.frames_made == 5


def test_a_paused_job_makes_no_frames_until_it_resumes() -> None:
    job = Job(numbers(9))
    job.advance()
    job.pause()
    assert job.ready
    job.advance()
    assert job.state == "paused" and not job.ready
    job.advance()
    assert job.frames_made == 1
    job.resume()
    assert job.ready
    job.advance()
    assert job.state == "running" and job.frames_made == 2


def test_requests_may_be_repeated_and_stop_is_final(counter) -> None:
    frames, seen = counter(), []
    job = Job(frames, on_change=lambda job: seen.append(job.state))
    job.advance()
    for _ in range(3):
        job.pause()
    job.advance()
    for _ in range(3):
        job.stop()
        job.resume()
        job.pause()
    for _ in range(3):
        job.advance()
    assert seen == ["running", "paused", "stopped"]
    assert frames.count == 1 and len(frames.closed_on) == 1


def test_a_job_that_was_never_submitted_can_be_stopped() -> None:
    job = Job(numbers(2))
    job.stop()
    assert job.wait(0) and job.state == "stopped" and job.frames_made == 0


def test_an_error_is_kept_as_text_with_its_family() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise ZeroDivisionError("one by nothing\nand more")

    job = Job(broken())
    job.advance()
    job.advance()
    assert job.state == "error" and job.frame == 1
    assert job.failure.line == "one by nothing" and job.failure.kind == "ZeroDivisionError"
    assert job.failure.types[:2] == ("ZeroDivisionError", "ArithmeticError")
    assert "in broken" in job.failure.traceback and "and more" in job.failure.traceback


@pytest.mark.parametrize("error", [SystemExit(3), GeneratorExit(), MemoryError()])
def test_whatever_a_step_raises_is_an_error_and_raises_nothing(error: BaseException) -> None:
    class Broken:
        def __iter__(self) -> Broken:
            return self

        def __next__(self) -> int:
            raise error

    job = Job(Broken())
    job.advance()
    assert job.state == "error" and job.failure.kind == type(error).__name__ and job.failure.line


def test_an_interrupt_that_reaches_a_step_stops_the_job() -> None:
    def interrupted() -> Iterator[int]:
        yield 1
        raise KeyboardInterrupt

    job = Job(interrupted())
    job.advance()
    job.advance()
    assert job.state == "stopped" and job.failure is None


def test_an_error_while_closing_is_told() -> None:
    def clinging() -> Iterator[int]:
        try:
            yield 1
        finally:
            raise OSError("cannot let go")

    job = Job(clinging())
    job.advance()
    job.stop()
    assert job.state == "error" and job.failure.line == "cannot let go"


def test_an_error_in_on_change_ends_the_job_as_an_error_and_the_end_is_told() -> None:
    told = []

    def on_change(job: Job[int]) -> None:
        told.append(job.state)
        raise RuntimeError("nobody home")

    job = Job(numbers(3), on_change=on_change)
    job.advance()
    assert job.wait(0) and job.state == "error" and job.failure.line == "nobody home"
    assert told == ["running", "error"]


def test_the_first_of_two_errors_is_told() -> None:
    job = Job(numbers(3))
    job.fail(ValueError("first"))
    job.fail(ValueError("second"))
    assert job.state == "error" and job.failure.line == "first"


def test_failing_after_the_end_turns_it_into_an_error() -> None:
    seen = []
    job = Job(numbers(0), on_change=lambda job: seen.append(job.state))
    job.advance()
    job.fail(ValueError("could not be shown"))
    assert seen == ["running", "done", "error"] and job.failure.line == "could not be shown"


class Big:
    """Something whose memory matters."""


@pytest.mark.parametrize("ending", ["stop", "done", "error"])
def test_an_ended_job_holds_nothing_of_its_iterator(ending: str) -> None:
    alive: list[weakref.ref[object]] = []
    when_told: list[bool] = []

    def frames() -> Iterator[int]:
        big = Big()
        alive.append(weakref.ref(big))
        yield 1
        if ending == "error":
            raise ValueError("held")

    def on_change(job: Job[int]) -> None:
        if job.ended:
            when_told.append(all(held() is None for held in alive))

    gc.disable()  # it must be gone by counting references alone: cycles would wait for long
    try:
        iterator = frames()
        alive.append(weakref.ref(iterator))
        job = Job(iterator, on_change=on_change)
        del iterator
        job.advance()
        assert all(held() is not None for held in alive) and len(alive) == 2
        if ending == "stop":
            job.stop()
        job.advance()
        assert job.ended and when_told == [True]
    finally:
        gc.enable()


def test_a_released_job_holds_no_frame() -> None:
    job = Job(iter([Big(), Big()]))
    job.advance()
    frame = weakref.ref(job.take())
    assert frame() is not None
    job.release()
    assert frame() is None and job.frame is None and job.state == "stopped"


def test_the_repr_is_short() -> None:
    assert repr(Job(numbers(1))) == "Job(waiting, 0 frames)"
