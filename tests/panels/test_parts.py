"""The parts that every panel is made of."""

import inspect
import threading

import ipywidgets as widgets
import numpy as np
import pytest

from cnnwidgets import pictures
from cnnwidgets.frame import Frame
from cnnwidgets.panels.base import charts, markup
from cnnwidgets.panels.base.binding import Updating
from cnnwidgets.panels.base.panel import Panel
from cnnwidgets.panels.base.screen import Screen
from cnnwidgets.panels.controls.class_menu import ClassField
from cnnwidgets.panels.controls.menu import Menu
from cnnwidgets.panels.runs import history
from cnnwidgets.panels.runs.history import Record, Speed, Stopwatch
from cnnwidgets.panels.runs.request import Request


class Clock:
    """A clock that stands still until it is told."""

    now = 100.0

    def __call__(self):
        return self.now


def test_a_stopwatch_counts_while_it_is_not_held():
    clock = Clock()
    watch = Stopwatch(clock)
    clock.now += 2
    assert watch.seconds == 2
    watch.hold()
    clock.now += 5
    watch.hold()
    assert watch.seconds == 2
    watch.go()
    clock.now += 1
    watch.go()
    clock.now += 1
    assert watch.seconds == 4
    watch.begin()
    assert watch.seconds == 0


def noted(steps, seconds=1.0, first=10.0, size=8):
    """A record of so many steps, of which the first took long."""
    made, clock = Record(), Clock()
    made.watch = Stopwatch(clock)
    for step in range(1, steps + 1):
        clock.now += first if step == 1 else seconds
        frame = Frame(np.zeros((1, size, size, 3)), step, 100, np.array([step, step + 2.0]))
        made.add(frame, lambda frame: np.full((size, size, 3), frame.step, np.uint8))
    return made


def test_a_record_keeps_the_mean_objective_of_each_step():
    assert noted(3).objective == [2.0, 3.0, 4.0]


def test_pictures_without_a_value_yet_do_not_count():
    made = Record()
    made.add(Frame(np.zeros((1, 4, 4, 3)), 1, 2, np.array([4.0, np.nan])), lambda frame: np.zeros((4, 4, 3), np.uint8))
    assert made.objective == [4.0]


def test_what_comes_after_the_steps_is_passed_on_without_being_watched():
    pulled = []

    def frames():
        for step in range(1, 6):
            pulled.append(step)
            yield Frame(np.zeros((1, 4, 4, 3)), step, 5, np.array([1.0]), is_step=step != 3)

    for are_steps_first, recorded in ((False, 4), (True, 2)):
        made = Record()
        passed = made.watched(frames(), lambda frame: np.zeros((4, 4, 3), np.uint8), are_steps_first)
        assert [frame.step for frame in passed] == [1, 2, 3, 4, 5]
        assert len(made.objective) == recorded
    assert pulled == [1, 2, 3, 4, 5] * 2


def test_the_time_left_does_not_count_how_long_the_first_step_took():
    made = noted(21)
    assert made.pace == pytest.approx(1.0) and made.seconds_left == pytest.approx(79)
    assert noted(1).seconds_left is None and Record().seconds_left is None


def test_pictures_are_kept_evenly_from_the_first_on_and_never_the_last():
    kept = [int(moment.pixels[0, 0, 0]) for moment in noted(100).snapshots]
    assert kept[0] == 1 and 100 not in kept and len(kept) <= history.MOST_KEPT
    assert len(set(np.diff(kept))) == 1


def test_large_pictures_are_kept_less_often(monkeypatch):
    monkeypatch.setattr(history, "KEPT_BYTES", 8 * 8 * 3 * 5)
    assert 4 <= len(noted(100).snapshots) <= 5


def points(svg):
    return [tuple(map(float, point.split(","))) for point in svg.split('points="')[1].split('"')[0].split()]


def test_bars_show_shares_or_numbers_up_to_the_most():
    shares, numbers = markup.bars([("a", 0.5)], None, "x"), markup.bars([("a", 0.5)], None, "x", most=2.0)
    assert "width:50.0%" in shares and "50.0%</span>" in shares
    assert "width:25.0%" in numbers and ">0.50</span>" in numbers
    named = markup.bars([("value of output 'similar': 1", float("nan"))], 0, "x")
    assert "cnnw-track" not in named and "grid-column:1/-1" in named and "similar&#x27;: 1</span>" in named


def test_a_long_name_keeps_its_end():
    names = ["encoder_view_conv_1", "conv_1", "encoder"]
    assert [markup.tail(name, 7) for name in names] == ["…conv_1", "conv_1", "encoder"]


def test_a_curve_fills_its_width_by_the_steps_that_are_done():
    drawn = points(charts.curve([0, 1, 4], 5, "objective"))
    assert [x for x, _ in drawn] == [0, 75, 150] and drawn[0][1] > drawn[1][1] > drawn[2][1]


def test_a_curve_has_words_and_few_points():
    svg = charts.curve(list(range(5000)), 5000, "objective")
    assert len(points(svg)) <= 202 and points(svg)[-1][0] == 300
    assert 'role="img" aria-label="objective: from 0 to 5e+03"' in svg


@pytest.mark.parametrize("values", [[], [1.0], [float("nan")] * 3, [float("inf"), 1.0]])
def test_too_little_makes_no_curve(values):
    assert charts.curve(values, 10, "objective") == ""


def test_a_flat_curve_and_one_with_holes_are_drawn():
    assert len(points(charts.curve([2, 2, 2], 3, "x"))) == 3
    assert len(points(charts.curve([1, float("nan"), 2, float("inf"), 3], 5, "x"))) == 3


@pytest.mark.parametrize(("share", "percent"), [(0.0, 0), (0.374, 37), (1.0, 100)])
def test_progress_is_told_to_who_cannot_see_it(share, percent):
    bar = markup.progress(share, "step 3 of 8")
    assert 'role="progressbar"' in bar and f'aria-valuenow="{percent}"' in bar and f"width:{percent}%" in bar
    assert 'aria-valuetext="step 3 of 8"' in bar and ">step 3 of 8<" in bar
    assert "aria-live" not in bar, "nobody wants to hear each step"


def test_a_status_is_spoken():
    assert 'role="status" aria-live="polite"' in markup.status("done")


def test_tiles_fill_their_grid():
    html = markup.tiles(3, 2, 0.2, [(str(n), "1", "") for n in range(5)], 4)
    assert html.count("cnnw-caption") == 5 and html.count("<b>") == 5
    assert html.count("background:") == 1, "the empty place shows the page and not the black of the picture"
    assert html.count("cnnw-chosen") == 1


# The screen.


@pytest.fixture
def screen(opened):
    return opened(Screen(300, lambda number: None, empty="Press Start."))


def test_a_screen_explains_itself_until_there_is_a_picture(screen):
    assert screen.is_empty and "Press Start." in screen._empty.value
    screen.show(np.zeros((8, 8, 3)))
    assert not screen.is_empty and screen._empty.layout.display == "none" and screen._image.layout.display == ""
    screen.explain("Again.")
    assert screen.is_empty and "Again." in screen._empty.value and screen._image.layout.display == "none"


def test_live_pictures_are_jpeg_and_numbered_the_last_is_png(screen):
    picture = np.random.default_rng(0).random((8, 8, 3))
    screen.show(picture, 41)
    assert screen._image.format == "jpeg" and screen._sent.value == 41
    screen.show(picture)
    assert screen._image.format == "png" and screen._sent.value == 41
    assert np.array_equal(pictures.to_uint8(pictures.load_picture(screen.data)), pictures.to_uint8(picture))


def test_what_the_page_has_seen_is_heard(opened):
    heard = []
    screen = opened(Screen(300, heard.append))
    screen._seen.value = 7
    assert heard == [7]


def test_only_clicks_are_watched(opened):
    screen = opened(Screen(300, lambda number: None, lambda x, y: None))
    assert screen._events.watched_events == ["click"] and not screen._events.prevent_default_action


def test_a_picture_shrinks_with_the_page_and_does_not_grow(screen):
    assert (screen.layout.width, screen.layout.max_width) == ("300px", "100%")


def test_a_tall_picture_is_shown_narrower(screen):
    screen.show(np.zeros((80, 20, 3), np.uint8))
    assert screen.layout.width == "112.5px", "1.5 times 300 pixels high"
    screen.show(np.zeros((30, 20, 3), np.uint8))
    assert screen.layout.width == "300px"
    screen.show(np.zeros((80, 20, 3), np.uint8))
    screen.explain("nothing")
    assert (screen.layout.width, screen.layout.height) == ("300px", "300px")


def test_a_long_status_ends_between_words():
    line = markup.one_line("word " * 100)
    assert line.endswith("word…") and len(line) <= 300
    assert markup.one_line("a short\nline") == "a short line"


def test_the_constructor_of_a_panel_calls_no_method_that_a_subclass_may_override(net, opened):
    def refusing(name):
        def refuse(*_arguments):
            raise AssertionError(f"{name} was called before the subclass has set its own")

        return refuse

    classes = Panel.__mro__[: Panel.__mro__.index(widgets.VBox)]
    methods = {name for one in classes for name, value in vars(one).items() if inspect.isfunction(value)}
    methods = {name for name in methods if not name.startswith("__")}
    assert {"_frames", "_body", "_rest", "_fill_controls", "_show_state"} <= methods
    toy = type("Toy", (Panel,), {name: refusing(name) for name in methods})(net)
    toy.screen.close()


def test_a_menu_offers_none_and_any_other_choice():
    menu = Menu([("none", None), ("one", 1), ("a pair", (2, 3))])
    seen = []
    menu.observe(lambda change: seen.append(change["new"]), "choice")
    assert menu.choice is None and menu.index == 0
    menu.index = 2
    menu.choice = 1
    assert (menu.choice, menu.index, seen) == (1, 1, [(2, 3), 1])
    menu.offer([("one", 1), ("none", None)], 1)
    assert (menu.choice, menu.index, menu.label) == (1, 0, "one")
    menu.offer([("two", 2), ("none", None)], 2)
    assert (menu.choice, menu.label) == (2, "two")
    menu.offer([("none", None), ("two", 2)], 2)
    assert (menu.choice, menu.index) == (2, 1)
    menu.close()


@pytest.mark.parametrize(
    ("text", "choice"),
    [("", None), ("cat", "cat"), (" 7 ", 7), ("cat; 7", ["cat", 7]), ("Egyptian cat;", "Egyptian cat"), (";", None)],
)
def test_a_class_field_reads_names_indices_and_lists(net, text, choice):
    field = ClassField(net, "Class", "A class")
    field.value = text
    assert field.choice == choice
    field.choice = [1, "bee"]
    assert field.value == "1; bee"
    field.choice = None
    assert field.value == ""
    field.close()


def test_the_speed_of_a_machine_is_assumed_until_a_run_has_shown_it():
    speed = Speed(first=2.0, overhead=0.5, least=100)
    assert speed.seconds(3e10, 4) == 2 + 4 * 1.5
    speed.learn(99, 1.0)
    speed.learn(1e9, None)
    assert speed.seconds(3e10, 4) == 8
    speed.learn(1e9, 0.5)
    assert speed.seconds(2e9, 4) == 2 + 4 * 1.5


# One result at a time from the worker, and the guard against one's own changes.


def test_a_request_has_one_result_and_is_idle_afterwards():
    results, failures = [], []
    request = Request(results.append, failures.append)
    request.begin(lambda: 42)
    request.wait()
    assert results == [42] and not failures and not request.is_busy


def test_a_request_that_fails_says_how():
    results, failures = [], []
    request = Request(results.append, failures.append)
    request.begin(lambda: {}["nothing"])
    request.wait()
    assert not results and failures[0].kind == "KeyError" and "nothing" in failures[0].traceback


def test_only_the_latest_request_has_a_result_and_a_dropped_one_none():
    results, go = [], threading.Event()
    request = Request(results.append, results.append)
    request.begin(lambda: go.wait(10))
    request.begin(lambda: "second")
    go.set()
    request.wait()
    assert results == ["second"]
    request.begin(lambda: go.wait(10))
    request.drop()
    assert not request.is_busy and results == ["second"]


def test_updating_nests_ends_with_an_error_and_is_of_one_thread():
    updating, elsewhere = Updating(), []
    with updating:
        with updating:
            pass
        assert updating
        thread = threading.Thread(target=lambda: elsewhere.append(bool(updating)))
        thread.start()
        thread.join()
    assert not updating and elsewhere == [False]
    try:
        with updating:
            raise ValueError
    except ValueError:
        assert not updating
