"""A network as a drawing: what is drawn, how a layer is chosen by click, keys and search, and what opens."""

import re

import numpy as np
import pytest
import traitlets

import cnnwidgets as cw
from cnnwidgets.errors import BadModel, BadPicture, BadTarget
from cnnwidgets.model.backend import keras
from cnnwidgets.model.network import Network
from cnnwidgets.panels.network_map.network_map import NetworkMap
from tests.tiny_networks import MODELS, seeded

L = keras.layers


def fire():
    x = picture = keras.Input((64, 64, 3), name="picture")
    x = L.Conv2D(8, 3, name="squeeze")(x)
    left, right = L.Conv2D(8, 1, name="left")(x), L.Conv2D(8, 3, padding="same", name="right")(x)
    x = L.ReLU(name="relu")(L.Concatenate(name="both")([left, right]))
    return keras.Model(picture, L.GlobalAveragePooling2D(name="gap")(x), name="fire")


@pytest.fixture(scope="module")
def nets():
    made = {name: Network(seeded(MODELS[name]())) for name in ("nested", "siamese", "twice", "subclassed")}
    return made | {"fire": Network(seeded(fire()))}


def drawn(map_):
    return {item.path or f"{item.kind} {item.name}": item for item in map_._scene.items}


def event(map_, path, kind="click"):
    return {"type": kind, "target": {"id": f"{map_._prefix}-{drawn(map_)[path].index}"}}


def click(map_, path, kind="click"):
    map_._clicked(event(map_, path, kind))
    map_._keys.heard({"target": {"id": map_._keys.ids[0]}})  # what the label does next


def arrow(map_, step, shift=False):
    map_._keys.heard({"target": {"id": map_._keys.ids[(map_._keys._at + step) % 3]}, "shiftKey": shift})


def test_layers_inputs_and_outputs_are_drawn_with_names(nets, opened):
    map_ = opened(NetworkMap(nets["fire"]))
    assert list(drawn(map_)) == ["picture", "squeeze", "left", "right", "both", "relu", "gap", "output gap"]
    for name in ("picture", "squeeze", "right", "62 x 62 x 8"):
        assert name in map_._drawing.value
    assert drawn(map_)["picture"].kind == "input"


def test_wider_is_a_larger_map_and_higher_more_channels(opened):
    x = picture = keras.Input((64, 64, 3), name="picture")
    for i, (units, stride) in enumerate([(8, 1), (8, 4), (64, 1)]):
        x = L.Conv2D(units, 3, stride, "same", name=f"conv{i}")(x)
    map_ = opened(NetworkMap(keras.Model(picture, L.GlobalAveragePooling2D()(x))))
    sizes = {}
    for path, item in drawn(map_).items():
        found = re.search(
            rf'id="{map_._prefix}-{item.index}"[^>]* width="([\d.]+)" height="([\d.]+)"', map_._drawing.value
        )
        sizes[path] = tuple(map(float, found.groups()))
    assert sizes["conv0"][0] > sizes["conv1"][0] == sizes["conv2"][0] and sizes["conv1"][1] < sizes["conv2"][1]


def test_the_last_convolution_is_chosen_at_first_and_what_is_around_it_is_open(nets, opened):
    map_ = opened(NetworkMap(nets["nested"]))
    assert map_.layer == "backbone/conv" and map_.opened == ("backbone",)
    assert {"backbone/conv", "backbone/deep.v2"} <= set(drawn(map_)) and "backbone/deep.v2/conv" not in drawn(map_)


def test_a_click_chooses_and_the_line_tells(nets, opened):
    map_ = opened(NetworkMap(nets["fire"]))
    click(map_, "left")
    assert map_.layer == "left"
    assert "left · conv · 62 x 62 x 8 · 72 parameters. Chosen." in map_._line.value


def test_pointing_tells_and_chooses_nothing(nets, opened):
    map_ = opened(NetworkMap(nets["fire"], layer="left"))
    map_._moved(event(map_, "both", "mousemove"))
    assert map_.layer == "left" and "both · merge · 62 x 62 x 16 · 0 parameters." in map_._line.value
    map_._moved({"target": {"id": "somewhere else"}})
    map_._moved({"target": {"id": f"{map_._prefix}-99999"}})
    assert "both" in map_._line.value


def test_pointing_is_throttled_and_sends_only_what_changed(nets, opened, page):
    map_ = opened(NetworkMap(nets["fire"], layer="left"))
    assert 66 <= map_._moves.wait <= 100
    map_._moved(event(map_, "both", "mousemove"))
    before = len(page.sent)
    for _ in range(10):
        map_._moved(event(map_, "both", "mousemove"))
    assert len(page.sent) == before


def test_what_is_not_a_layer_is_told_and_not_chosen(nets, opened):
    map_ = opened(NetworkMap(nets["fire"], layer="left"))
    click(map_, "output gap")
    click(map_, "picture")
    assert map_.layer == "left" and "picture · input · 64 x 64 x 3" in map_._line.value


def test_choosing_does_not_draw_again_so_that_the_focus_stays(nets, opened, page):
    map_ = opened(NetworkMap(nets["fire"]))
    before = map_._drawing.value
    page.sent.clear()
    click(map_, "left")
    assert map_._drawing.value is before
    assert sum(len(str(data)) for _, data in page.sent) < 3000


def test_arrows_follow_the_connections(nets, opened):
    map_ = opened(NetworkMap(nets["fire"], layer="squeeze"))
    seen = []
    for _ in range(5):
        arrow(map_, 1)
        seen.append(map_.layer)
    assert seen == ["left", "both", "relu", "gap", "gap"], "an output is not a layer"
    for expected in ("relu", "both", "left", "squeeze", "squeeze"):
        arrow(map_, -1)
        assert map_.layer == expected


def test_shift_and_an_arrow_goes_to_the_branch_beside(nets, opened):
    map_ = opened(NetworkMap(nets["fire"], layer="left"))
    arrow(map_, 1, shift=True)
    assert map_.layer == "right"
    arrow(map_, 1, shift=True)
    assert map_.layer == "right"
    arrow(map_, -1, shift=True)
    assert map_.layer == "left"


def test_arrows_lead_into_open_models_and_past_closed_ones(nets, opened):
    map_ = opened(NetworkMap(nets["nested"], layer="gap"))
    assert map_.opened == ()
    arrow(map_, -1)
    assert map_.layer == "backbone"
    map_._keys.heard({"target": {"id": f"{map_._prefix}-enter"}})
    assert map_.opened == ("backbone",)
    arrow(map_, 1)
    assert map_.layer == "backbone/deep.v2"
    arrow(map_, 1)
    assert map_.layer == "backbone/conv"
    arrow(map_, 1)
    assert map_.layer == "gap"
    arrow(map_, -1)
    assert map_.layer == "backbone/conv"


def test_a_click_after_arrows_is_no_arrow(nets, opened):
    map_ = opened(NetworkMap(nets["fire"], layer="squeeze"))
    arrow(map_, 1)
    click(map_, "relu")
    assert map_.layer == "relu"
    arrow(map_, 1)
    assert map_.layer == "gap"


def test_a_double_click_or_enter_opens_and_closes(nets, opened):
    map_ = opened(NetworkMap(nets["nested"], layer="gap"))
    click(map_, "backbone", "dblclick")
    assert map_.opened == ("backbone",) and "backbone/conv" in drawn(map_)
    click(map_, "backbone/deep.v2", "dblclick")
    assert "backbone/deep.v2/conv" in drawn(map_)
    click(map_, "backbone", "dblclick")
    assert map_.opened == (), "what is inside closes with it"
    map_._all.value = True
    assert set(map_.opened) == {"backbone", "backbone/deep.v2"}


def test_a_layer_set_inside_a_closed_model_opens_it(nets, opened):
    map_ = opened(NetworkMap(nets["nested"], layer="gap"))
    map_.layer = "deep.v2/conv"
    assert map_.layer == "backbone/deep.v2/conv" and map_.opened == ("backbone", "backbone/deep.v2")


def test_a_shared_model_is_drawn_once_with_each_use(nets, opened):
    map_ = opened(NetworkMap(nets["siamese"], layer="difference"))
    assert list(drawn(map_)) == ["left", "right", "encoder", "difference", "same", "output same"]
    edges = [(e.start.name, e.end.name, e.use) for e in map_._scene.top.edges]
    assert edges[:4] == [
        ("left", "encoder", "0"), ("right", "encoder", "1"), ("encoder", "difference", "0"),
        ("encoder", "difference", "1"),
    ]  # fmt: skip
    assert "encoder ×2" in map_._drawing.value and "used 2 times" in map_.sentence(drawn(map_)["encoder"])
    map_.opened = ("encoder",)
    assert sum(path.startswith("encoder/") for path in drawn(map_)) == 2


def test_a_layer_that_takes_its_own_output_has_a_connection_back(nets, opened):
    map_ = opened(NetworkMap(nets["twice"]))
    assert [(e.start.path, e.end.path, e.use) for e in map_._scene.top.back] == [("conv", "conv", "1")]
    assert 'class="back"' in map_._drawing.value


def test_a_model_without_a_graph_is_drawn(nets, opened):
    map_ = opened(NetworkMap(nets["subclassed"]))
    assert {"conv", "block", "block/deep_conv", "gap", "logits", "output output"} <= set(drawn(map_)) | {
        "output output"
    }
    assert len(map_._scene.top.edges) == 5


def search(map_, words, enter=True):
    map_._search.value = words
    if enter:
        map_._search._handle_custom_msg({"event": "submit"}, [])


@pytest.mark.parametrize(
    ("words", "layer"), [("RIGHT", "right"), ("l u", "relu"), ("zebra", "squeeze"), ("", "squeeze"), ("gap", "gap")]
)
def test_enter_in_the_search_chooses_the_first_layer_found(nets, opened, words, layer):
    map_ = opened(NetworkMap(nets["fire"], layer="squeeze"))
    search(map_, words)
    assert map_.layer == layer


def test_the_search_finds_layers_in_closed_models_and_marks_what_is_drawn(nets, opened):
    map_ = opened(NetworkMap(nets["nested"], layer="gap"))
    search(map_, "backbone", enter=False)
    assert [item.path for item in map_.found] == ["backbone"] and "1 match the search" in map_._line.value
    assert f"#{map_._prefix}-{drawn(map_)['backbone'].index}{{opacity:1" in map_._marks.value
    search(map_, "deep conv")
    assert map_.layer == "backbone/deep.v2/conv"


def test_maps_and_pickers_are_linked(nets, opened):
    map_, picker = opened(NetworkMap(nets["nested"])), opened(cw.LayerPicker(nets["nested"]))
    link = traitlets.link((map_, "layer"), (picker, "layer"))
    click(map_, "gap")
    assert picker.layer == "gap"
    picker.layer = "backbone/deep.v2/conv"
    assert map_.layer == "backbone/deep.v2/conv" in drawn(map_)
    link.unlink()


def test_what_a_linked_panel_refuses_is_told(nets, opened):
    map_ = opened(NetworkMap(nets["fire"], layer="left"))

    def refuse(_change):
        raise BadTarget("There is <b>no</b> such layer here.")

    map_.observe(refuse, "layer")
    click(map_, "right")
    assert "There is &lt;b&gt;no&lt;/b&gt; such layer here." in map_._line.value and "cnnw-error" in map_._line.value


def test_with_a_picture_each_layer_with_rows_carries_a_small_map(nets, opened):
    map_ = opened(NetworkMap(nets["fire"]))
    assert "data:image" not in map_._drawing.value
    map_.picture = np.random.default_rng(0).random((64, 64, 3)).astype(np.float32)
    map_._run.wait()
    assert set(map_._maps) == {"squeeze", "left", "right", "both", "relu"}
    assert map_._drawing.value.count("data:image/png") == 5
    map_.picture = None
    assert "data:image" not in map_._drawing.value


def test_the_small_map_is_the_one_with_the_highest_value(nets):
    from cnnwidgets.activations.strongest_maps import strongest_maps

    picture = np.random.default_rng(0).random((64, 64, 3)).astype(np.float32)
    net = nets["fire"]
    found = strongest_maps(net, ["left", "both"], net.arrays(picture))
    for path, plane in found.items():
        maps = cw.feature_maps(net, picture, path)[path]
        np.testing.assert_allclose(plane, maps[..., maps.max((0, 1)).argmax()], atol=1e-6)


def test_names_of_strangers_are_escaped(opened):
    picture = keras.Input((8, 8, 3), name="picture")
    x = L.Conv2D(2, 1, name="conv")(picture)
    net = Network(keras.Model(picture, L.GlobalAveragePooling2D(name="gap")(x)))
    for info in net.inputs:
        object.__setattr__(info, "name", "<img src=x onerror=alert(1)>")
    map_ = opened(NetworkMap(net))
    assert "<img" not in map_._drawing.value and "&lt;img" in map_._drawing.value


@pytest.mark.parametrize("layer", ["nope", "conv"])
def test_an_unknown_or_ambiguous_layer_is_refused(nets, opened, layer):
    with pytest.raises(BadTarget):
        NetworkMap(nets["nested"], layer=layer)
    map_ = opened(NetworkMap(nets["nested"]))
    with pytest.raises(BadTarget):
        map_.layer = layer
    assert map_.layer == "backbone/conv"


@pytest.mark.parametrize(("name", "value"), [("layer", 3), ("opened", "backbone"), ("opened", 3), ("opened", ["nope"])])
def test_a_wrong_value_is_refused_in_a_sentence(nets, opened, name, value):
    map_ = opened(NetworkMap(nets["nested"]))
    before = getattr(map_, name)
    with pytest.raises(BadTarget):
        setattr(map_, name, value)
    assert getattr(map_, name) == before and "cnnw-error" in map_._line.value


def test_a_picture_that_does_not_fit_is_refused_and_the_old_one_stays(nets, opened):
    with pytest.raises(BadPicture):
        NetworkMap(nets["fire"], np.zeros((3, 3)) - 1)
    map_ = opened(NetworkMap(nets["fire"]))
    with pytest.raises(BadPicture):
        map_.picture = "nowhere.jpg"
    assert map_.picture is None


def test_a_refused_or_closed_map_leaves_no_widget_behind(nets, page, living):
    with pytest.raises(BadTarget):
        NetworkMap(nets["fire"], layer="nope")
    with pytest.raises(BadModel):
        NetworkMap("squeezenet")
    assert living() == []
    map_ = NetworkMap(nets["nested"])
    map_.close()
    assert living() == []


def test_a_bare_model_will_do_and_the_repr_is_short(opened):
    map_ = opened(NetworkMap(fire(), layer="left"))
    assert repr(map_) == "NetworkMap('fire', layer='left')"
