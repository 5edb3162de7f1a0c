"""What Start, Pause, Resume and Stop do, on whatever a panel runs."""

import signal
import threading
import time

import numpy as np
import pytest

from cnnwidgets.errors import JobFailed
from cnnwidgets.jobs import worker
from cnnwidgets.pictures import load_picture


def on_screen(panel):
    return load_picture(panel.screen.data)


def pause_after(steps, toy, waiting):
    """Start, and pause while the step after these is being made."""
    toy.start()
    toy.reel.let(steps)
    waiting(lambda: toy.reel.made == steps)
    toy.pause()
    toy.reel.let(1)
    waiting(lambda: toy.state == "paused")


def publishers():
    return [thread for thread in threading.enumerate() if thread.name == "cnnwidgets-publisher"]


def test_nothing_runs_before_start(toy):
    assert (toy.state, toy.progress, toy.status, toy.frames_shown, toy.result) == ("idle", 0.0, "", 0, None)
    assert toy.screen.is_empty and worker().jobs == ()


def test_start_returns_at_once_and_running(toy, waiting):
    began = time.monotonic()
    assert toy.start() is None
    assert toy.state == "running" and time.monotonic() - began < 1
    assert toy.result is None
    toy.reel.open()
    waiting(lambda: toy.state == "done")
    assert toy.progress == 1.0 and toy.result.step == 5 and toy.frames_shown >= 2


def test_the_picture_at_the_end_is_exact(toy, shown_at):
    toy.reel.open()
    toy.run()
    assert np.array_equal(on_screen(toy), shown_at(5))
    assert toy.screen.data.startswith(b"\x89PNG")


def test_run_waits_and_returns_the_result(toy):
    toy.reel.open()
    assert toy.run() is toy.result
    assert (toy.state, toy.progress, toy.result.step) == ("done", 1.0, 5)
    assert publishers() == [] and worker().jobs == ()


def test_the_first_frame_is_shown_while_the_run_goes_on(toy, waiting):
    toy.start()
    toy.reel.let(1)
    waiting(lambda: toy.frames_shown == 1)
    assert toy.state == "running" and toy.progress == pytest.approx(0.2) and toy.result.step == 1
    assert toy.screen.data.startswith(b"\xff\xd8"), "live frames travel as JPEG"


def test_paused_means_that_all_is_still_and_the_newest_picture_is_there(toy, reel, waiting):
    toy.reel = reel(100)
    toy.start()
    toy.reel.let(3)
    waiting(lambda: toy.reel.made == 3)
    toy.pause()
    assert toy.state == "running", "the step under way is not over"
    toy.reel.let(1)
    waiting(lambda: toy.state == "paused")
    seen = toy.reel.made, toy.reel.is_computing, toy.frames_shown, toy.result.step
    toy.reel.open()
    time.sleep(0.15)
    assert seen == (4, False, toy.frames_shown, 4) and toy.reel.made == 4
    assert "step 4 of 100" in toy.status


def test_resume_goes_on_with_the_very_next_step(toy, reel, waiting):
    toy.reel = reel(8)
    pause_after(2, toy, waiting)
    toy.resume()
    waiting(lambda: toy.state == "running")
    toy.reel.let(1)
    waiting(lambda: toy.result.step == 4)
    toy.reel.open()
    waiting(lambda: toy.state == "done")
    assert toy.result.step == 8


def test_pause_and_resume_may_follow_each_other_at_any_speed(toy, reel, waiting):
    toy.reel = reel(400)
    toy.reel.open()
    toy.start()
    for _ in range(20):
        toy.pause()
        toy.resume()
    toy.pause()
    waiting(lambda: toy.state == "paused")
    made = toy.reel.made
    time.sleep(0.05)
    assert toy.reel.made == made < 400 and toy.state == "paused"
    toy.resume()
    waiting(lambda: toy.state == "done")


def test_a_pause_is_no_part_of_the_time_that_is_told(toy, reel, waiting):
    toy.reel = reel(3)
    pause_after(1, toy, waiting)
    spent = toy._record.watch.seconds
    time.sleep(0.2)
    assert toy._record.watch.seconds == spent
    toy.resume()
    toy.reel.open()
    waiting(lambda: toy.state == "done")


@pytest.mark.parametrize("paused", [False, True])
def test_stop_ends_the_run_and_keeps_the_last_picture(toy, reel, shown_at, waiting, paused):
    toy.reel = reel(100)
    toy.start()
    toy.reel.let(2)
    waiting(lambda: toy.reel.made == 2)
    if paused:
        toy.pause()
        toy.reel.let(1)
        waiting(lambda: toy.state == "paused")
    toy.reel.open()
    toy.stop()
    assert toy.state == "stopped" and toy.reel.closed and not toy.reel.is_computing
    assert np.array_equal(on_screen(toy), shown_at(toy.result.step)) and toy.result.step == toy.reel.made < 100
    assert "The last picture is kept" in toy.status
    shown = toy.frames_shown
    time.sleep(0.1)
    assert toy.frames_shown == shown and publishers() == []


def test_stop_before_the_first_step_leaves_the_earlier_result(toy, reel, shown_at):
    toy.reel.open()
    toy.run()
    toy.reel = reel(9)
    toy.start()
    threading.Timer(0.05, toy.reel.let).start()
    toy.stop()
    assert toy.state == "stopped"
    assert toy.result is not None and np.array_equal(on_screen(toy), shown_at(toy.result.step))


@pytest.mark.parametrize("verb", ["stop", "pause", "resume"])
def test_verbs_are_harmless_where_nothing_runs(toy, verb):
    getattr(toy, verb)()
    assert toy.state == "idle"
    toy.reel.open()
    toy.run()
    getattr(toy, verb)()
    assert toy.state == "done"


def test_fifty_starts_leave_one_run(toy, reel, waiting):
    reels = [reel(400) for _ in range(50)]
    for one in reels:
        toy.reel = one
        one.open()
        toy.start()
        assert toy.state == "running"
    waiting(lambda: len(worker().jobs) == 1 and len(publishers()) == 1)
    assert all(one.closed or one.made == 0 for one in reels[:-1])
    waiting(lambda: toy.frames_shown > 1)
    assert toy.result.steps == 400 and toy.state == "running"
    toy.stop()
    assert reels[-1].closed and toy.result.step == reels[-1].made


def test_starts_from_many_threads_leave_one_run(toy, reel, waiting):
    toy.reel = reel(10_000)
    toy.reel.open()
    starts = [threading.Thread(target=toy.start) for _ in range(12)]
    for thread in starts:
        thread.start()
    for thread in starts:
        thread.join()
    waiting(lambda: len(worker().jobs) == 1 and len(publishers()) == 1)
    assert toy.state == "running"
    toy.stop()
    assert toy.state == "stopped" and worker().jobs == ()


def test_a_run_that_was_replaced_says_nothing_more(toy, reel, waiting):
    toy.reel = old = reel(7)
    toy.start()
    old.let(2)
    waiting(lambda: toy.frames_shown)
    toy.reel = reel(9)
    toy.start()
    old.open()
    toy.reel.let(1)
    waiting(lambda: toy.result.steps == 9)
    time.sleep(0.05)
    assert (toy.frames_shown, toy.result.step, toy._record.objective) == (1, 1, [1.0])


def test_a_frame_that_was_being_painted_when_another_run_began_is_dropped(toy, reel, shown_at, waiting):
    painting, paint = threading.Event(), toy._paint

    def slowly(frame):
        painting.set()
        time.sleep(1 if frame.steps == 7 else 0)
        return paint(frame)

    toy._paint = slowly
    toy.reel = old = reel(7)
    old.let(1)
    toy.start()
    assert painting.wait(5)
    toy.reel = reel(9)
    toy.start()
    old.open()
    time.sleep(1.2)
    assert (toy.frames_shown, toy.result, toy.progress, toy.screen.is_empty) == (0, None, 0, True)
    toy.reel.open()
    waiting(lambda: toy.state == "done")
    assert toy.result.steps == 9


def test_progress_never_goes_back(toy, waiting):
    seen = []
    toy.observe(lambda change: seen.append(change["new"]), "progress")
    toy.reel.open()
    toy.run()
    assert seen == sorted(seen) and seen[-1] == 1.0


def test_the_states_come_in_order(toy, waiting):
    seen = []
    toy.observe(lambda change: seen.append(change["new"]), "state")
    toy.start()
    toy.reel.let(1)
    waiting(lambda: toy.reel.made == 1)
    toy.pause()
    toy.reel.open()
    waiting(lambda: toy.state == "paused")
    toy.resume()
    waiting(lambda: toy.state == "done")
    assert seen == ["running", "paused", "running", "done"]


def buttons(panel):
    return {name: (button.description, button.disabled) for name, button in panel._buttons.by_name.items()}


def test_the_buttons_say_what_can_be_done(toy, waiting):
    off, on = True, False
    assert [disabled for _, disabled in buttons(toy).values()] == [on, off, off, off, off, on]
    toy.start()
    assert buttons(toy)["pause"] == ("Pause", on) and buttons(toy)["stop"] == ("Stop", on)
    toy.reel.let(1)
    waiting(lambda: toy.reel.made == 1)
    toy._buttons["pause"].click()
    toy.reel.let(1)
    waiting(lambda: toy.state == "paused")
    assert buttons(toy)["pause"] == ("Resume", on)
    toy._buttons["pause"].click()
    waiting(lambda: toy.state == "running")
    assert buttons(toy)["pause"] == ("Pause", on)
    toy._buttons["stop"].click()
    toy.reel.open()
    waiting(lambda: toy.state == "stopped")
    assert [disabled for _, disabled in buttons(toy).values()] == [on, off, off, on, on, on]
    labels = {label for label, _ in buttons(toy).values()}
    assert {"Start", "Pause", "Stop", "Save", "Copy code"} <= labels


def test_the_stop_button_does_not_wait(toy, waiting):
    toy.start()
    began = time.monotonic()
    toy._buttons["stop"].click()
    assert time.monotonic() - began < 0.5 and toy.state == "running"
    toy.reel.open()
    waiting(lambda: toy.state == "stopped")


def test_an_interrupt_of_run_stops_it(toy, reel):
    toy.reel = reel(10_000)
    toy.reel.open()
    interrupt = threading.Timer(0.3, signal.pthread_kill, (threading.main_thread().ident, signal.SIGINT))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    interrupt.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            toy.run()
    finally:
        signal.signal(signal.SIGINT, before)
    interrupt.join()
    assert toy.state == "stopped" and toy.reel.closed and publishers() == []
    assert toy.result.step == toy.reel.made < 10_000


def test_run_raises_what_went_wrong(toy, reel):
    toy.reel = reel(5, ValueError("the cat sat on the kernel"), 3)
    toy.reel.open()
    with pytest.raises(JobFailed, match="the cat sat on the kernel"):
        toy.run()
    assert toy.result.step == 2


def test_a_user_may_start_again_from_an_observer(toy, reel, waiting):
    def again(change):
        if change["new"] == "done":
            toy.unobserve(again, "state")
            toy.reel = reel(3)
            toy.reel.open()
            toy.start()

    toy.observe(again, "state")
    toy.reel.open()
    toy.start()
    waiting(lambda: toy.state == "done" and toy.result.steps == 3)


def test_a_user_may_stop_from_an_observer(toy, reel, waiting):
    toy.reel = reel(10_000)
    toy.observe(lambda change: toy.stop() if change["new"] == 2 else None, "frames_shown")
    toy.reel.open()
    toy.start()
    waiting(lambda: toy.state == "stopped")
    assert toy.result.step == toy.reel.made


@pytest.mark.parametrize("name", ["cnnwidgets-mine", "main"])
def test_stop_waits_on_any_thread_of_the_users_whatever_its_name(toy, reel, name):
    toy.reel = reel(10_000)
    toy.reel.open()
    toy.start()
    states = []
    thread = threading.Thread(target=lambda: (toy.stop(), states.append(toy.state)), name=name)
    thread.start()
    thread.join()
    assert states == ["stopped"]


def test_stop_does_not_wait_on_the_workers_thread(toy, reel, waiting):
    """A function of the user's, such as one for the step size, may stop its own run."""
    toy.reel = reel(10_000)
    frames, spent = toy.reel.frames, []

    def stopping():
        for frame in frames():
            began = time.monotonic()
            toy.stop()
            spent.append(time.monotonic() - began)
            yield frame

    toy.reel.frames = stopping
    toy.reel.open()
    toy.start()
    waiting(lambda: toy.state == "stopped")
    assert len(spent) == 1 and spent[0] < 1


def test_a_long_run_keeps_few_pictures(toy, reel):
    toy.reel = reel(300)
    toy.reel.open()
    toy.run()
    assert 12 <= len(toy._record.snapshots) <= 16
    assert len(toy._record.objective) == 300
