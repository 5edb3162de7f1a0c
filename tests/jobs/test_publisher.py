"""Frames on their way from a job to a page, with real threads."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from collections.abc import Iterator

import pytest

from cnnwidgets.jobs import Job, Publisher, Worker

NAME = "cnnwidgets-publisher"


class Page:
    """Notes what it is shown; answers at once, or never."""

    def __init__(self, answers: bool = True, seconds: float = 0.0) -> None:
        self.answers, self.seconds = answers, seconds
        self.frames: list[int] = []
        self.times: list[float] = []
        self.ends: list[tuple[str, str]] = []
        self.publisher: Publisher[int] | None = None

    def follow(self, job: Job[int], **settings: float) -> Publisher[int]:
        self.publisher = Publisher(job, self.show, finished=self.finished, **settings)
        self.publisher.start()
        return self.publisher

    def show(self, frame: int, number: int) -> None:
        time.sleep(self.seconds)
        self.frames.append(frame)
        self.times.append(time.monotonic())
        if self.answers:
            self.publisher.acknowledge(number)

    def finished(self, job: Job[int]) -> None:
        self.ends.append((job.state, threading.current_thread().name))


def run(own: Worker, page: Page, job: Job[int], **settings: float) -> Publisher[int]:
    publisher = page.follow(job, **settings)
    own.submit(job)
    publisher.join(10)
    assert not publisher.is_alive()
    return publisher


def test_frames_are_skipped_never_queued_and_the_first_and_last_are_shown(own: Worker, counter) -> None:
    page = Page()
    job = Job(counter(seconds=0.001, last=400))
    publisher = run(own, page, job, fps=30)
    assert page.frames[-1] == 400 and page.frames == sorted(set(page.frames))
    assert 8 <= len(page.frames) <= 30 * (page.times[-1] - page.times[0]) + 3
    assert publisher.shown == len(page.frames)
    assert page.ends == [("done", NAME)]


def test_every_frame_of_a_slow_run_is_shown(own: Worker, until) -> None:
    page = Page()

    def frames() -> Iterator[int]:
        for number in range(6):
            yield number
            until(lambda: page.frames[-1:] == [number])  # noqa: B023

    run(own, page, Job(frames()), fps=30)
    assert page.frames == [0, 1, 2, 3, 4, 5]


def test_a_page_that_never_answers_gets_the_window_then_two_frames_a_second(own: Worker, counter, until) -> None:
    page = Page(answers=False)
    job = Job(counter())
    publisher = page.follow(job, fps=30)
    own.submit(job)
    time.sleep(1.3)
    assert 3 <= len(page.frames) <= 5
    job.stop()
    publisher.join(5)
    assert page.frames[-1] == job.frame and page.ends == [("stopped", NAME)]


def test_the_last_frame_is_shown_at_once_though_nothing_is_answered(own: Worker, counter) -> None:
    page, told = Page(answers=False), []
    job = Job(counter(seconds=0.01, last=30), on_change=lambda job: told.append(time.monotonic()))
    run(own, page, job)
    assert page.frames[-1] == 30 and page.times[-1] - told[-1] < 0.25


def test_the_last_frame_before_a_pause_is_shown_at_once(own: Worker, counter, until) -> None:
    page = Page(answers=False)
    job = Job(counter())
    publisher = page.follow(job, fps=1)
    own.submit(job)
    until(lambda: job.frames_made > 20)
    job.pause()
    until(lambda: job.state == "paused")
    until(lambda: page.frames[-1] == job.frame, seconds=0.3)
    shown = len(page.frames)
    time.sleep(0.1)
    assert len(page.frames) == shown and publisher.is_alive() and not page.ends
    job.stop()
    publisher.join(5)
    assert page.ends == [("stopped", NAME)] and len(page.frames) == shown


def test_each_pause_is_told_once_after_its_last_frame(own: Worker, counter, until) -> None:
    page, told = Page(), []
    job = Job(counter())

    def paused(job: Job[int]) -> None:
        told.append((job.state, page.frames[-1], threading.current_thread().name))

    publisher = Publisher(job, page.show, paused=paused, fps=5)
    page.publisher = publisher
    publisher.start()
    own.submit(job)
    last = []
    for pauses in (1, 2):
        until(lambda: job.frames_made > 10 * pauses)  # noqa: B023
        job.pause()
        until(lambda: len(told) == pauses)  # noqa: B023
        last.append(job.frame)
        publisher.acknowledge(0)  # wakes it: a pause is not told again
        time.sleep(0.03)
        job.resume()
        until(lambda: job.frame != last[-1])
    job.stop()
    publisher.join(5)
    assert told == [("paused", frame, NAME) for frame in last]


def test_an_error_in_paused_ends_the_job_as_an_error(own: Worker, counter, until) -> None:
    def paused(job: Job[int]) -> None:
        raise OSError("the wire is cut")

    job, ends = Job(counter()), []
    publisher = Publisher(job, lambda frame, number: None, paused=paused, finished=lambda job: ends.append(job.state))
    publisher.start()
    own.submit(job)
    until(lambda: job.frames_made > 3)
    job.pause()
    publisher.join(5)
    assert ends == ["error"] and job.failure.line == "the wire is cut"


def test_a_stopped_job_shows_no_more_frames(own: Worker, counter, until) -> None:
    page = Page(seconds=0.005)
    job = Job(counter(seconds=0.001))
    publisher = page.follow(job, fps=30)
    own.submit(job)
    until(lambda: len(page.frames) > 3)
    job.stop()
    publisher.join(0.3)
    assert not publisher.is_alive() and page.frames[-1] == job.frame
    shown = list(page.frames)
    time.sleep(0.1)
    assert page.frames == shown


def test_a_run_without_frames_only_finishes(own: Worker) -> None:
    page = Page()
    run(own, page, Job(iter([])))
    assert page.frames == [] and page.ends == [("done", NAME)]


def test_after_an_error_in_a_step_the_last_good_frame_is_shown(own: Worker) -> None:
    def frames() -> Iterator[int]:
        yield from range(100)
        raise ValueError("lost its way")

    page = Page()
    run(own, page, job := Job(frames()))
    assert page.frames[-1] == 99 and page.ends == [("error", NAME)] and job.failure.line == "lost its way"


@pytest.mark.parametrize("last", [1, 10**9])
def test_an_error_in_show_ends_the_job_as_an_error(own: Worker, counter, last: int) -> None:
    class Torn(Page):
        def show(self, frame: int, number: int) -> None:
            self.frames.append(frame)
            raise OSError("the wire is cut")

    page = Torn()
    job = Job(counter(last=last))
    run(own, page, job)
    assert job.state == "error" and (job.failure.line, job.failure.kind) == ("the wire is cut", "OSError")
    assert "in show" in job.failure.traceback
    assert len(page.frames) == 1 and page.ends == [("error", NAME)]


def test_an_error_in_finished_is_told_and_finished_is_not_called_again(own: Worker, counter) -> None:
    class Torn(Page):
        def finished(self, job: Job[int]) -> None:
            super().finished(job)
            raise OSError("no room")

    page, told = Torn(), []
    job = Job(counter(last=2), on_change=lambda job: told.append(job.state))
    run(own, page, job)
    assert job.state == "error" and job.failure.line == "no room" and page.ends == [("done", NAME)]
    assert told[-1] == "error"


def test_a_muted_publisher_shows_nothing_more_and_still_finishes(own: Worker, counter, until) -> None:
    page = Page()
    job = Job(counter())
    publisher = page.follow(job, fps=30)
    own.submit(job)
    until(lambda: len(page.frames) > 1)
    publisher.mute()
    time.sleep(0.05)
    shown = len(page.frames)
    job.stop()
    publisher.join(5)
    assert len(page.frames) == shown and page.ends == [("stopped", NAME)]


def test_muting_waits_for_what_is_being_shown_and_not_for_ever(own: Worker, counter, until) -> None:
    began, go_on, told = threading.Event(), threading.Event(), []

    def show(frame: int, number: int) -> None:
        began.set()
        go_on.wait(5)
        told.append("shown")

    job = Job(counter())
    publisher = Publisher(job, show)
    publisher.start()
    own.submit(job)
    assert began.wait(5)
    publisher.mute(timeout=0.05)  # `show` may be waiting for whoever mutes
    told.append("gave up")
    threading.Timer(0.05, go_on.set).start()
    publisher.mute(timeout=5)
    told.append("muted")
    job.stop()
    publisher.join(5)
    assert told == ["gave up", "shown", "muted"]


def test_a_run_may_be_muted_from_its_own_show(own: Worker, counter) -> None:
    page = Page()
    page.show = lambda frame, number: (page.frames.append(frame), page.publisher.mute(5), job.stop())
    began = time.monotonic()
    run(own, page, job := Job(counter()))
    assert len(page.frames) == 1 and time.monotonic() - began < 2


def test_fifty_starts_leave_one_publisher_and_the_last_settings(own: Worker, counter, until) -> None:
    pages, jobs = [], []
    for _ in range(50):
        if jobs:
            jobs[-1].stop()
        pages.append(Page())
        jobs.append(Job(counter()))
        pages[-1].follow(jobs[-1])
        own.submit(jobs[-1])
    until(lambda: [t.name for t in threading.enumerate()].count(NAME) == 1)
    until(lambda: len(pages[-1].frames) > 2)
    assert [page.ends for page in pages] == [[("stopped", NAME)]] * 49 + [[]]
    jobs[-1].stop()


def test_a_publisher_sleeps_while_its_job_is_paused(own: Worker, counter, until, wakings) -> None:
    page = Page(answers=False)
    job = Job(counter())
    publisher = page.follow(job)
    own.submit(job)
    until(lambda: len(page.frames) > 1)
    job.pause()
    until(lambda: job.state == "paused")
    time.sleep(0.05)
    assert wakings(0.3) < 30
    job.stop()
    publisher.join(5)


def test_a_fast_producer_wakes_the_publisher_only_when_it_waits_for_a_frame(own: Worker, counter) -> None:
    job = Job(counter(seconds=0, last=20_000))
    page, asked = Page(), []

    def clock() -> float:
        asked.append(None)
        return time.monotonic()

    page.publisher = Publisher(job, page.show, fps=30, clock=clock)
    page.publisher.start()
    own.submit(job)
    page.publisher.join(20)
    assert job.frame == page.frames[-1] == 20_000
    assert len(asked) < 10 * len(page.frames)


def test_a_finished_run_holds_no_frame_once_released(own: Worker) -> None:
    class Picture:
        pass

    def frames() -> Iterator[Picture]:
        for _ in range(3):
            yield Picture()

    job = Job(frames())
    publisher = Publisher(job, lambda frame, number: None)
    publisher.start()
    own.submit(job)
    publisher.join(5)
    gc.disable()
    try:
        picture = weakref.ref(job.frame)
        assert picture() is not None
        job.release()
        assert picture() is None
    finally:
        gc.enable()
