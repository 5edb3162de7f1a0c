"""What goes wrong while something runs: it is said, the last good picture stays, the next run works."""

import gc
import os
import random
import traceback
import warnings
import weakref
from pathlib import Path

import matplotlib
import numpy as np
import pytest

import cnnwidgets as cw
from cnnwidgets.jobs import CacheWarning, cache
from cnnwidgets.model.backend import keras, tf
from cnnwidgets.model.network import Network
from cnnwidgets.model.tracing.compiled import compiled
from tests.tiny_networks import snapshot

# An error at any place.


def in_the_run(panel, monkeypatch):
    frames = panel._frames

    def broken():
        for number, frame in enumerate(frames()):
            if number:
                raise ValueError("the cat sat")
            yield frame

    monkeypatch.setattr(panel, "_frames", broken)


def in_the_painting(panel, monkeypatch):
    paint = panel._paint

    def broken(frame):
        if frame.step > 1:
            raise ValueError("the cat sat")
        return paint(frame)

    monkeypatch.setattr(panel, "_paint", broken)


def in_the_sending(panel, monkeypatch):
    put, count = panel.screen.put, []

    def broken(*arguments):
        count.append(1)
        if len(count) > 1:
            raise ValueError("the cat sat")
        put(*arguments)

    monkeypatch.setattr(panel.screen, "put", broken)


@pytest.mark.parametrize("break_it", [in_the_run, in_the_painting, in_the_sending])
def test_an_error_anywhere_is_said_and_start_works_again(panel_of, net, photo, opened, waiting, break_it):
    panel = opened(panel_of(net, photo))
    with pytest.MonkeyPatch.context() as patch:
        break_it(panel, patch)
        panel.start()
        waiting(lambda: panel.state == "error")
        assert panel.status == "ValueError: the cat sat. The details are in panel.traceback."
        assert "Traceback" in panel.traceback and "the cat sat" in panel.traceback
        panel.stop()  # until all is still
    kept = panel.result
    assert kept is not None
    panel.run()
    assert panel.state == "done" and panel.traceback == "" and panel.result is not kept


# What the disk does.


def test_a_cache_that_cannot_be_written_costs_one_warning(net, opened, tmp_path, monkeypatch):
    (tmp_path / "full").write_text("a file where the folder should be")
    monkeypatch.setenv("CNNWIDGETS_CACHE_DIR", str(tmp_path / "full"))
    monkeypatch.setattr(cache, "_warned", False)
    gallery = opened(cw.FilterGallery(net, "conv1", range(3), 16, 2))
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for seed in range(3):
            gallery.seed = seed
            gallery.run()
            assert gallery.state == "done"
    assert [one.category for one in told if issubclass(one.category, CacheWarning)] == [CacheWarning]
    assert [path.name for path in tmp_path.iterdir()] == ["full"]


def test_a_damaged_entry_is_painted_anew(net, opened, tmp_path):
    gallery = opened(cw.FilterGallery(net, "conv1", range(3), 16, 2))
    made = gallery.run().pictures
    (entry,) = (tmp_path / "cache").iterdir()
    whole = entry.read_bytes()
    for damage in (whole[: len(whole) // 2], b"", b"text", whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:]):
        entry.write_bytes(damage)
        again = opened(cw.FilterGallery(net, "conv1", range(3), 16, 2))
        again.seed, again.seed = 1, 0  # looks into the cache
        assert again.state == "idle" and again.result is None and not entry.exists()
        assert np.array_equal(again.run().pictures, made)


# What memory does.


def short_of_memory(monkeypatch, times, kind=tf.errors.ResourceExhaustedError):
    """Let a convolution find no memory so many times."""
    call, left = keras.layers.Conv2D.call, [None] * times

    def short(layer, inputs):
        if left:
            left.pop()
            words = "OOM when allocating tensor with shape[9,8,7]"
            raise kind(words) if kind is MemoryError else kind(None, None, words)
        return call(layer, inputs)

    monkeypatch.setattr(keras.layers.Conv2D, "call", short)


def test_too_little_memory_is_said_with_what_helps_and_the_next_run_works(panel_of, build, photo, opened, monkeypatch):
    panel = opened(panel_of(Network(build(), "unit"), photo))
    with monkeypatch.context() as patch, pytest.raises(cw.JobFailed, match="not enough memory.*9 x 8 x 7.*smaller"):
        short_of_memory(patch, times=2)  # a gallery tries a second time
        panel.run()
    assert panel.state == "error"
    panel.run()
    assert panel.state == "done"


# A gallery tries a second time at half the batch; everything else fails at once.
EIGHT = (
    "visualize_units", "visualize_classes", "ascend", "grad_cam", "smoothgrad", "occlusion", "feature_maps",
    "deepdream", "adversarial", "random_search", "predict",
)  # fmt: skip


@pytest.mark.parametrize("verb", EIGHT)
@pytest.mark.parametrize("kind", [tf.errors.ResourceExhaustedError, MemoryError])
def test_a_verb_without_memory_says_so_in_words_and_works_again(build, photo, monkeypatch, verb, kind):
    net = Network(build(), "unit")
    net.layers  # noqa: B018  # the survey is not what is measured

    def done():
        made = VERBS[verb](net, photo, False)
        return list(made) if hasattr(made, "__next__") else made

    with monkeypatch.context() as patch, pytest.raises(cw.JobFailed) as told:
        short_of_memory(patch, 2 if verb.startswith("visualize") else 1, kind)
        done()
    assert str(told.value) == (
        "There is not enough memory for an array of 9 x 8 x 7 numbers. "
        "Take smaller pictures, fewer at once, or stop other kernels."
    )
    shown = "".join(traceback.format_exception(told.value))
    assert "OOM when" not in shown and "ResourceExhausted" not in shown and shown.count("Traceback") == 1
    assert done()


def test_memory_that_runs_out_in_the_device_itself_is_told_alike():
    """TensorFlow's own words, which come with a traceback of the graph."""
    graph = compiled(lambda count: tf.random.normal([count, count, 1024]))
    with pytest.raises(cw.JobFailed, match="for an array of 1000000 x 1000000 x 1024 numbers. Take smaller") as told:
        graph(tf.constant(1_000_000))
    assert "\n" not in str(told.value)
    assert graph(tf.constant(2)).shape == (2, 2, 1024)


def test_a_gallery_tries_once_more_at_half_the_batch_says_so_and_keeps_nothing(build, opened, monkeypatch, tmp_path):
    gallery = opened(cw.FilterGallery(Network(build(), "unit"), "conv1", range(4), 16, 2))
    usual = gallery._plan.batch
    with monkeypatch.context() as patch:
        short_of_memory(patch, times=1)
        made = gallery.run()
    assert gallery.state == "done" and f"{usual // 2} at a time" in gallery.status and "not cached" in gallery.status
    assert np.isfinite(made.pictures).all() and gallery.recipe_of().settings["batch"] == usual // 2
    assert not (tmp_path / "cache").exists() or not list((tmp_path / "cache").iterdir())
    gallery.run()
    assert "not cached" not in gallery.status and gallery.recipe_of().settings["batch"] == usual


# What happens to the model meanwhile.


def test_weights_that_are_set_during_a_run_count_from_the_next_step(build, opened, waiting):
    model = build()
    net = Network(model, "unit")
    gallery = opened(cw.FilterGallery(net, "conv1", range(3), 16, 2000))
    gallery.start()
    waiting(lambda: gallery.frames_shown > 1)
    before = gallery.recipe_of().key()
    model.set_weights([2 * weight for weight in model.get_weights()])
    shown = gallery.frames_shown
    waiting(lambda: gallery.frames_shown > shown)
    gallery.stop()
    assert gallery.state == "stopped" and np.isfinite(gallery.result.pictures).all()
    assert gallery.recipe_of().key() != before


def test_a_deleted_model_runs_to_the_end_and_is_given_back(build):
    net = Network(build(), "unit")
    model = weakref.ref(net.model)
    gallery = cw.FilterGallery(net, "conv1", range(3), 16, 30)
    gallery.start()
    del net
    gc.collect()
    gallery.run()
    assert gallery.state == "done" and gallery.result.pictures.std() > 0
    gallery.close()
    del gallery
    gc.collect()
    assert model() is None


# What a verb may never change, whatever becomes of it.


MAPS = (
    "grad_cam",
    "grad_cam_plus_plus",
    "hirescam",
    "xgrad_cam",
    "layer_cam",
    "score_cam",
    "ablation_cam",
    "eigen_cam",
)
PIXELS = ("gradient", "gradient_x_input", "smoothgrad", "integrated_gradients", "guided_backprop", "occlusion", "rise")


def unit(is_bad):
    return 99 if is_bad else 1


def layer(is_bad):
    return "nope" if is_bad else "conv2"


VERBS = {
    "visualize_units": lambda net, photo, bad: cw.visualize_units(net, "conv2", [unit(bad), 3], 16, 2),
    "textbook": lambda net, photo, bad: cw.visualize_units(net, "conv2", [unit(bad)], 16, 2, "textbook"),
    "natural": lambda net, photo, bad: cw.visualize_units(net, "conv2", [unit(bad)], 16, 2, "natural"),
    "visualize_classes": lambda net, photo, bad: cw.visualize_classes(net, [unit(bad)], 16, 2),
    "ascend": lambda net, photo, bad: cw.ascend(net, cw.objectives.channel("conv2", unit(bad)), 16, 3),
    "feature_maps": lambda net, photo, bad: cw.feature_maps(net, photo, [layer(bad)]),
    "top_units": lambda net, photo, bad: cw.top_units(net, photo, layer(bad)),
    "top_patches": lambda net, photo, bad: cw.top_patches(net, [photo], "conv2", unit(bad)),
    "receptive_field": lambda net, photo, bad: cw.receptive_field(net, layer(bad)),
    "deepdream": lambda net, photo, bad: cw.deepdream(net, photo, layer(bad), 1, steps=3),
    "adversarial": lambda net, photo, bad: cw.adversarial(net, photo, unit(bad), steps=3),
    "random_search": lambda net, photo, bad: cw.adversarial(net, photo, unit(bad), steps=3, method="random_search"),
    "predict": lambda net, photo, bad: net.predict(None if bad else photo),
    **{
        method: lambda net, photo, bad, method=method: cw.class_activation_map(net, photo, "conv2", unit(bad), method)
        for method in MAPS
    },
    **{
        method: lambda net, photo, bad, method=method: cw.attribution(net, photo, unit(bad), method)
        for method in PIXELS
    },
}  # fmt: skip


def surroundings():
    """What of the session belongs to the user."""
    numpys = np.random.get_state()
    return (
        random.getstate(), numpys[1].tobytes(), numpys[2], tf.random.get_global_generator().state.numpy().tobytes(),
        keras.config.dtype_policy().name, keras.config.floatx(), keras.config.image_data_format(),
        keras.config.is_traceback_filtering_enabled(), tf.config.functions_run_eagerly(), tf.executing_eagerly(),
        matplotlib.get_backend(), list(warnings.filters), dict(os.environ), Path.cwd(), np.geterr(),
    )  # fmt: skip


def broken_device(*_arguments, **_keywords):
    raise RuntimeError("the device is gone")


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_leaves_model_and_session_as_they_were(build, photo, monkeypatch, verb):
    model = build()
    net = Network(model, "unit")
    net.layers  # noqa: B018  # the survey is not what is measured
    before, around = snapshot(model), surroundings()

    def unchanged():
        return snapshot(model) == before and surroundings() == around

    made = VERBS[verb](net, photo, False)
    if hasattr(made, "__next__"):
        next(made)
        assert unchanged(), "between two steps"
        made.close()
        assert unchanged(), "after a stop"
        list(VERBS[verb](net, photo, False))
    assert unchanged(), "after success"
    with pytest.raises(cw.CnnWidgetsError):
        wrong = VERBS[verb](net, photo, True)
        list(wrong) if hasattr(wrong, "__next__") else None
    assert unchanged(), "after a wrong setting"
    net.traces.clear()
    with monkeypatch.context() as patch:
        patch.setattr(keras.layers.Conv2D, "call", broken_device)
        with pytest.raises(RuntimeError):
            failed = VERBS[verb](net, photo, False)
            list(failed) if hasattr(failed, "__next__") else None
    assert unchanged(), "after an error inside the model"


@pytest.mark.parametrize("verb", ["ascend", "deepdream", "adversarial"])
def test_an_interrupt_between_two_steps_leaves_all_as_it_was(build, photo, verb):
    model = build()
    net = Network(model, "unit")
    before = snapshot(model)
    with pytest.raises(KeyboardInterrupt):
        for frame in VERBS[verb](net, photo, False):
            if frame.step == 2:
                raise KeyboardInterrupt
    assert snapshot(model) == before
    list(VERBS[verb](net, photo, False))
