"""All layers of a network in a list: searched, filtered, nested ones indented."""

import pytest
import traitlets

import cnnwidgets as cw
from cnnwidgets.errors import BadModel, BadTarget
from cnnwidgets.model.backend import keras
from cnnwidgets.model.network import Network
from cnnwidgets.panels.layer_picker import KINDS, LayerPicker

L = keras.layers


@pytest.fixture
def picker(net, opened):
    return opened(LayerPicker(net))


@pytest.fixture(scope="module")
def nested():
    inside = keras.Input((None, None, 3), name="inside")
    deep = keras.Model(inside, L.Conv2D(6, 3, name="conv")(inside), name="deep")
    outside = keras.Input((None, None, 3), name="outside")
    backbone = keras.Model(outside, L.Conv2D(5, 3, name="conv")(deep(outside)), name="backbone")
    picture = keras.Input((None, None, 3), name="picture")
    x = L.GlobalAveragePooling2D(name="gap")(backbone(picture))
    return Network(keras.Model(picture, L.Dense(3, name="logits")(x), name="nested"))


def rows(picker):
    return {path: row for row, path in picker._list.options}


def test_it_lists_every_layer_that_is_called_in_order(picker, net):
    assert picker.shown == ("conv1", "conv2", "gap", "logits") == tuple(rows(picker))


def test_a_row_tells_kind_shape_and_parameters(picker):
    row = rows(picker)["conv2"].split()
    assert row == ["conv2", "conv", "H", "x", "W", "x", "20", "1,100", "parameters"]
    assert len({len(row) for row in rows(picker).values()}) == 1, "columns stand under each other"


def test_the_last_convolution_is_chosen_at_first(picker):
    assert picker.layer == "conv2" == picker._list.value


def test_it_tells_about_the_chosen_layer(picker):
    said = picker._line.value
    assert "conv2: a convolution: slides small filters over its input. 20 channels, output H x W x 20" in said
    assert "1,100 parameters. 4 of 4 layers listed." in said


def test_a_choice_in_the_list_is_the_layer(picker):
    picker._list.value = "conv1"
    assert picker.layer == "conv1" and "6 channels" in picker._line.value


def test_the_layer_may_be_set_by_an_unambiguous_last_part(nested, opened):
    picker = opened(LayerPicker(nested, "deep/conv"))
    assert picker.layer == "backbone/deep/conv" == picker._list.value
    picker.layer = "backbone/conv"
    assert picker._list.value == "backbone/conv"


@pytest.mark.parametrize("layer", ["nope", "conv"])
def test_an_unknown_or_ambiguous_layer_is_refused(nested, opened, layer):
    with pytest.raises(BadTarget):
        LayerPicker(nested, layer)
    picker = opened(LayerPicker(nested))
    with pytest.raises(BadTarget):
        picker.layer = layer
    assert picker.layer == "backbone/conv"


def test_a_refused_picker_leaves_no_widget_behind(net, page, living):
    with pytest.raises(BadTarget):
        LayerPicker(net, "nope")
    with pytest.raises(BadModel):
        LayerPicker("squeezenet")
    assert living() == []


@pytest.mark.parametrize(
    ("search", "kind", "shown"),
    [
        ("conv", "all layers", ("conv1", "conv2")),
        ("CONV 2", "all layers", ("conv2",)),
        ("", "convolutions", ("conv1", "conv2")),
        ("", "dense", ("logits",)),
        ("", "poolings", ("gap",)),
        ("2", "dense", ()),
        ("   ", "all layers", ("conv1", "conv2", "gap", "logits")),
        ("[", "all layers", ()),
    ],
)
def test_search_and_kind_leave_what_fits(picker, search, kind, shown):
    picker._search.value, picker._kind.value = search, kind
    assert picker.shown == shown == tuple(rows(picker))
    assert picker.layer == "conv2", "what is chosen stays chosen, listed or not"
    assert picker._list.value == ("conv2" if "conv2" in shown else None)


def press_enter(picker):
    picker._search._handle_custom_msg({"event": "submit"}, [])


@pytest.mark.parametrize(
    ("search", "layer"), [("conv", "conv1"), ("2", "conv2"), ("conv2", "conv2"), ("zebra", "conv2"), ("", "conv1")]
)
def test_enter_takes_the_first_layer_that_is_left(picker, search, layer):
    picker._search.value = search
    press_enter(picker)
    assert picker.layer == layer


def test_enter_takes_the_layer_of_that_very_name(opened):
    x = picture = keras.Input((None, None, 3), name="picture")
    for name in ("conv10", "conv1"):
        x = L.Conv2D(3, 3, name=name)(x)
    picker = opened(LayerPicker(keras.Model(picture, L.GlobalAveragePooling2D()(x)), "conv10"))
    picker._search.value = " conv1"
    press_enter(picker)
    assert picker.layer == "conv1"


def test_nothing_left_says_what_to_do(picker):
    picker._search.value = "zebra"
    assert "No layer matches. Clear the search" in picker._line.value


def test_the_search_is_cleared_and_everything_is_back(picker):
    picker._search.value = "zebra"
    picker._search.value = ""
    assert len(picker.shown) == 4 and picker._list.value == "conv2"


def test_nested_layers_are_indented_below_their_model(nested, opened):
    picker = opened(LayerPicker(nested))
    names = {path: row[: row.index("  ", len(row) - len(row.lstrip()))] for path, row in rows(picker).items()}
    depth = {path: len(name) - len(name.lstrip()) for path, name in names.items()}
    assert depth["gap"] == depth["backbone"] == 0 < depth["backbone/conv"] == depth["backbone/deep"]
    assert depth["backbone/deep/conv"] == 2 * depth["backbone/conv"]
    assert names["backbone/deep/conv"].strip() == "conv"
    assert list(names).index("backbone") < list(names).index("backbone/deep") < list(names).index("backbone/deep/conv")


def test_what_is_found_by_search_is_named_in_full(nested, opened):
    picker = opened(LayerPicker(nested))
    picker._search.value = "conv"
    assert {row.split()[0] for row in rows(picker).values()} == {"backbone/conv", "backbone/deep/conv"}


def test_two_pickers_are_linked(net, opened):
    one, other = opened(LayerPicker(net)), opened(LayerPicker(net))
    traitlets.link((one, "layer"), (other, "layer"))
    one._list.value = "conv1"
    assert other.layer == other._list.value == "conv1"


def test_what_a_linked_panel_refuses_is_said_in_the_picker(net, opened):
    picker = opened(LayerPicker(net))
    gallery = opened(cw.FilterGallery(net, "conv1", size=16))

    def pass_on(change):
        gallery.layer = change["new"] + "x"

    picker.observe(pass_on, "layer")
    picker._list.value = "conv1"
    assert "no layer &#x27;conv1x&#x27;" in picker._line.value and "cnnw-error" in picker._line.value


def test_every_kind_of_layer_can_be_filtered():
    from cnnwidgets.model.layers import _KINDS

    assert {kind for kind, _ in _KINDS} - {"input"} <= set(KINDS.values())


def test_a_bare_model_will_do(build, opened):
    assert opened(LayerPicker(build())).layer == "conv2"


def test_a_model_without_convolutions_has_a_layer_too(opened):
    model = keras.Sequential([keras.Input((4, 4, 3)), L.Flatten(name="flat"), L.Dense(2, name="logits")])
    assert opened(LayerPicker(model)).layer == "logits"


def test_the_repr_is_one_short_line(picker):
    assert repr(picker) == "LayerPicker('small', layer='conv2')"


def test_the_list_has_a_name_for_who_cannot_see_it(picker):
    controls = picker._search, picker._kind, picker._list
    assert [control.description for control in controls] == ["Search", "Kind", "Layers"]
