"""Jobs on the worker's thread: promptness, fairness, interrupts, the ends of the process."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from cnnwidgets.jobs import Job, Worker, worker

NAME = "cnnwidgets-worker"


def test_every_step_and_the_close_happen_on_the_workers_thread(own: Worker, counter, finish, until) -> None:
    for ending in ("stop", "done", "paused, then stop"):
        frames = counter(last=3 if ending == "done" else 1e9)
        job = Job(frames)
        own.submit(job)
        until(lambda: job.frames_made >= 3)  # noqa: B023
        if ending.startswith("paused"):
            job.pause()
            until(lambda: job.state == "paused")  # noqa: B023
        if ending.endswith("stop"):
            job.stop()
        finish(job)
        assert frames.threads == {NAME} and frames.closed_on == [NAME]


def test_the_thread_is_a_daemon_and_outlives_its_jobs(own: Worker, counter, finish) -> None:
    threads = []
    for _ in range(3):
        job = Job(counter(last=1))
        own.submit(job)
        finish(job)
        threads.append(own._thread)
    assert len(set(threads)) == 1 and threads[0].daemon and threads[0].is_alive()


def test_an_idle_worker_holds_no_job(own: Worker, counter, finish, until) -> None:
    job = Job(counter(last=2))
    own.submit(job)
    finish(job)
    until(lambda: sys.getrefcount(job) == 2)  # the variable and the call
    assert own.jobs == ()


def test_stopped_and_paused_mean_that_no_step_is_under_way(own: Worker, counter, until) -> None:
    busy_when_told = []
    frames = counter(seconds=0.05)
    job = Job(frames, on_change=lambda job: busy_when_told.append((job.state, frames.busy)))
    own.submit(job)
    until(lambda: frames.busy)
    began = time.monotonic()
    job.pause()
    until(lambda: job.state == "paused")
    made = job.frames_made
    time.sleep(0.12)
    assert job.frames_made == made
    job.resume()
    until(lambda: job.frames_made > made and frames.busy)
    job.stop()
    assert job.wait(0.2) and time.monotonic() - began < 0.6
    made = job.frames_made
    time.sleep(0.12)
    assert job.frames_made == made
    assert busy_when_told == [("running", False), ("paused", False), ("running", False), ("stopped", False)]


def test_requesting_returns_at_once_while_a_step_is_long_and_stop_is_final(own: Worker, counter, until, finish) -> None:
    frames = counter(seconds=0.3)
    job = Job(frames)
    own.submit(job)
    until(lambda: frames.busy)
    began = time.monotonic()
    job.pause()
    job.stop()
    job.resume()
    job.pause()
    assert time.monotonic() - began < 0.1 and frames.busy and not job.ended
    finish(job)
    assert job.state == "stopped"


@pytest.mark.parametrize("state", ["waiting", "paused"])
def test_a_job_that_does_not_run_is_stopped_promptly_while_another_does(own: Worker, counter, until, state) -> None:
    other, job = Job(counter()), Job(counter(), visible=False)
    if state == "paused":
        own.submit(job)
        until(lambda: job.frames_made > 0)
        job.pause()
        until(lambda: job.state == "paused")
    own.submit(other)
    own.submit(job)
    until(lambda: other.frames_made > 3)
    assert job.state == state
    job.stop()
    assert job.wait(0.2) and job.state == "stopped" and other.state == "running"


def test_a_paused_job_does_not_block_another(own: Worker, counter, until, finish) -> None:
    paused, other = Job(counter()), Job(counter(last=5))
    own.submit(paused)
    until(lambda: paused.frames_made > 0)
    paused.pause()
    own.submit(other)
    finish(other)
    assert other.state == "done" and paused.state == "paused"
    assert own.jobs == (paused,)


def test_visible_jobs_take_turns_and_hidden_ones_wait(own: Worker, until) -> None:
    order: list[str] = []

    def noting(name: str, last: int) -> Iterator[int]:
        for i in range(last):
            order.append(name)
            time.sleep(0.001)
            yield i

    gate = threading.Event()

    def holding() -> Iterator[int]:
        gate.wait(5)
        yield 0

    first = Job(holding())
    own.submit(first)
    until(lambda: first.state == "running")
    jobs = [Job(noting("hidden", 3), visible=False), Job(noting("a", 4)), Job(noting("b", 4))]
    for job in jobs:
        own.submit(job)
    gate.set()
    assert all(job.wait(5) for job in jobs)
    assert order == ["a", "b"] * 4 + ["hidden"] * 3


def test_a_job_that_becomes_visible_goes_first(own: Worker, counter, until) -> None:
    front, back = Job(counter()), Job(counter(), visible=False)
    own.submit(front)
    until(lambda: front.frames_made > 2)
    own.submit(back)
    until(lambda: front.frames_made > 6)
    assert back.frames_made == 0
    front.visible, back.visible = False, True
    until(lambda: back.frames_made > 3)


def test_fifty_starts_each_stopping_the_one_before_leave_one_job(own: Worker, counter, until, finish) -> None:
    running: set[int] = set()
    most = 0

    def frames(number: int) -> Iterator[int]:
        nonlocal most
        running.add(number)
        most = max(most, len(running))
        try:
            while True:
                time.sleep(0.001)
                yield number
        finally:
            running.discard(number)

    jobs: list[Job[int]] = []
    for number in range(50):
        if jobs:
            jobs[-1].stop()
        jobs.append(Job(frames(number)))
        own.submit(jobs[-1])
        time.sleep(0.002 * (number % 3))
    for job in jobs[:-1]:
        finish(job)
    until(lambda: jobs[-1].frames_made > 3)
    assert [job.state for job in jobs] == ["stopped"] * 49 + ["running"]
    assert most == 1 and running == {49} and jobs[-1].frame == 49
    assert len([t for t in threading.enumerate() if t is own._thread]) == 1


def test_a_failing_job_leaves_the_worker_to_the_next(own: Worker, counter, finish) -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise SystemExit("enough")

    bad, good = Job(broken()), Job(counter(last=2))
    own.submit(bad)
    own.submit(good)
    finish(bad)
    finish(good)
    assert bad.state == "error" and bad.failure.line == "enough" and good.state == "done"


def test_twenty_failures_do_not_pile_up_memory(own: Worker, finish) -> None:
    alive = 0

    class Big:
        def __init__(self) -> None:
            nonlocal alive
            alive += 1

        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    def broken() -> Iterator[Big]:
        held = [Big() for _ in range(10)]
        yield held[0]
        raise ValueError("broken")

    jobs = [Job(broken()) for _ in range(20)]
    for job in jobs:
        own.submit(job)
        assert job.wait(5)
    assert alive == 20  # one last frame each


def test_submitting_twice_or_after_the_end_is_harmless(own: Worker, counter, finish) -> None:
    job = Job(counter(last=20))
    own.submit(job)
    own.submit(job)
    assert own.jobs == (job,)
    finish(job)
    own.submit(job)
    assert own.jobs == () and job.frames_made == 20


def test_run_waits_for_the_end(own: Worker, counter) -> None:
    job = Job(counter(last=3))
    own.run(job)
    assert job.state == "done" and job.frame == 3


def test_an_interrupt_of_run_stops_the_job_and_is_raised_again(own: Worker, counter) -> None:
    frames = counter(seconds=0.02, last=500)
    job = Job(frames)
    timer = threading.Timer(0.1, signal.pthread_kill, (threading.main_thread().ident, signal.SIGINT))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    began = time.monotonic()
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            own.run(job)
    finally:
        signal.signal(signal.SIGINT, before)
    assert job.state == "stopped" and not frames.busy and frames.closed_on == [NAME]
    assert time.monotonic() - began < 1.0
    own.run(again := Job(counter(last=1)))
    assert again.state == "done"
    timer.join()


def test_run_on_the_workers_own_thread_is_refused(own: Worker, counter, finish) -> None:
    inner = Job(counter(last=1))

    def frames() -> Iterator[int]:
        own.run(inner)
        yield 1

    job = Job(frames())
    own.submit(job)
    finish(job)
    assert job.state == "error" and "submit" in job.failure.line and inner.state == "waiting"


def test_close_stops_all_and_a_later_submit_starts_anew(own: Worker, counter, finish) -> None:
    class Slow(Job[int]):
        def stop(self) -> None:
            time.sleep(0.05)  # time in which the thread could end too early
            super().stop()

    running, paused = Job(counter(last=5)), Slow(counter())
    paused.pause()
    own.submit(paused)
    own.submit(running)
    finish(running)
    own.close()
    assert paused.state == "stopped" and own._thread is None
    job = Job(counter(last=1))
    own.submit(job)
    finish(job)
    time.sleep(0.05)
    assert own._thread is not None and own._thread.is_alive()


def test_an_idle_worker_sleeps(own: Worker, counter, until, finish, wakings) -> None:
    job = Job(counter(last=1))
    own.submit(job)
    finish(job)
    paused = Job(counter())
    paused.pause()
    own.submit(paused)
    until(lambda: paused.state == "paused")
    assert wakings(0.3) < 30


def test_the_shared_worker_is_one_and_starts_with_the_first_job(counter) -> None:
    script = """
import threading
from cnnwidgets.jobs import Job, worker
assert threading.active_count() == 1
job = Job(iter([1]))
worker().submit(job)
assert job.wait(5) and threading.active_count() == 2 and worker() is worker()
"""
    run_script(script)
    assert worker() is worker()


def test_a_process_ends_cleanly_while_a_job_runs() -> None:
    script = """
import sys, time
from cnnwidgets.jobs import Job, worker, Publisher
def frames():
    try:
        while True:
            time.sleep(0.1)
            yield 1
    finally:
        print("closed", flush=True)
job = Job(frames())
Publisher(job, lambda frame, number: None).start()
worker().submit(job)
time.sleep(0.3)
"""
    began = time.monotonic()
    assert run_script(script) == "closed\n"
    assert time.monotonic() - began < 5


def test_a_forked_child_has_a_worker_of_its_own() -> None:
    script = """
import itertools, os, warnings
from cnnwidgets.jobs import Job, worker
warnings.simplefilter("ignore")
parents = Job(itertools.count())
worker().submit(parents)
for _ in range(20):
    child = os.fork()
    if child == 0:
        job = Job(iter([1, 2]))
        worker().submit(job)
        os._exit(0 if job.wait(5) and job.frame == 2 else 1)
    assert os.waitpid(child, 0)[1] == 0
assert parents.state == "running"
"""
    run_script(script)


def run_script(script: str) -> str:
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return done.stdout
