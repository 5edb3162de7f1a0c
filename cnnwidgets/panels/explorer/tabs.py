"""The tabs of an Explorer: the panel of each, its part of the shared selection, and the time to its first picture.

Where that is short, the panel starts without being asked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cnnwidgets.errors import CnnWidgetsError
from cnnwidgets.explain.overlays.held_picture import HeldPicture
from cnnwidgets.model.layers import spatial_layers
from cnnwidgets.model.network import Network
from cnnwidgets.model.sizes.canvas import Canvas, picture_shape
from cnnwidgets.model.sizes.picture_size import fed_size
from cnnwidgets.model.tracing.cost import forward_flops
from cnnwidgets.panels.adversarial.adversarial_panel import AdversarialPanel
from cnnwidgets.panels.base.panel import Panel
from cnnwidgets.panels.deepdream.deepdream_panel import DeepDreamPanel
from cnnwidgets.panels.explorer.choice import Choice
from cnnwidgets.panels.feature_maps.feature_map_panel import FeatureMapPanel
from cnnwidgets.panels.galleries.class_gallery import ClassGallery
from cnnwidgets.panels.galleries.filter_gallery import FilterGallery
from cnnwidgets.panels.galleries.ready_tiles import PAGE
from cnnwidgets.panels.heatmaps.heatmap_panel import HeatmapPanel
from cnnwidgets.panels.unit_attribution.unit_attribution_panel import UnitAttributionPanel

SOON = 1.0  # seconds: a longer run waits for Start
SPEED = 1e11  # floating point operations a second: two CPU cores
TILE = 64  # pixels: the side of a tile in a gallery, where the network does not fix it


@dataclass(frozen=True)
class Cost:
    """What the first picture costs.

    Attributes:
        layer: seconds for each layer, to compile it.
        passes: how many forward passes it takes.
        of_tiles: whether these are of tiles of a gallery, and not of the photograph.
    """

    layer: float
    passes: int
    of_tiles: bool = False


FORWARD = Cost(0.0015, 1)
GRADIENT = Cost(0.017, 3)  # the gradient costs two more forward passes
SIXTEEN_TILES = Cost(0.017, 3 * 16, of_tiles=True)


def is_soon(cost: Cost, net: Network, held: HeldPicture) -> bool:
    """Whether the first picture takes under a second on two CPU cores."""
    try:
        return cost.layer * len(net.layers) + cost.passes * _pass(net, held, cost.of_tiles) / SPEED < SOON
    except CnnWidgetsError:  # the panel says what is wrong, when it is started
        return False


def _pass(net: Network, held: HeldPicture, of_tiles: bool) -> float:
    """Floating point operations of a forward pass; those for the photograph follow from those for a tile by area."""
    which = net.picture_inputs[0]
    height, width, channels = picture_shape(net, None, TILE, which)
    spent = forward_flops(net, "", Canvas((height, width, channels), which))
    if of_tiles:
        return spent
    rows, columns = fed_size(held.photos[0].shape[:2], net.inputs[which], net.checked_size(None))
    return spent * (rows * columns) / (height * width)


FIRST_CLASSES = ("goldfish", "tabby", "cheeseburger", "volcano")  # where a network knows them


@dataclass(frozen=True)
class Kind:
    """A tab.

    Attributes:
        title: of the tab.
        shows: what one sees there, as the end of a sentence.
        make: the panel for a choice.
        follow: brings the panel up to date with the choice.
        gives: the traits of the panel, by the names of the choices that they change.
        first_picture: what it costs; `None` where a run is long, and so waits for Start.
    """

    title: str
    shows: str
    make: Callable[[Choice], Panel]
    follow: Callable[[Any, Choice], None]
    gives: Mapping[str, str]
    first_picture: Cost | None = None


def _filters(choice: Choice) -> FilterGallery:
    panel = FilterGallery(choice.net, choice.layer, atlas=choice.atlas)
    panel.enlarged_from.offer(choice.held.given)
    return panel


def _offer_photograph(panel: FilterGallery, photograph: Any) -> None:
    """Let units be brought out in this photograph; in the one before it, that one is replaced."""
    before = panel.enlarged_from.offered
    if before is not photograph:
        panel.enlarged_from.offer(photograph)
        if before is not None and panel.photograph is before:
            panel.photograph = photograph


def _follow_filters(panel: FilterGallery, choice: Choice) -> None:
    _set(panel, "layer", choice.layer)
    _offer_photograph(panel, choice.held.given)
    panel.unit_page.follow(choice.layer, choice.unit, choice.held.given)
    unit = choice.unit
    if unit is None or unit == panel.unit:
        return
    if unit not in panel.units:
        first = unit // PAGE * PAGE
        panel.units = tuple(range(first, min(first + PAGE, panel.net.layer(panel.layer).units)))
    panel.unit = unit


def _maps(choice: Choice) -> FeatureMapPanel:
    seen = spatial_layers(choice.net)
    layer = choice.layer if choice.layer in seen else None
    return FeatureMapPanel(choice.net, choice.picture, layer, atlas=choice.atlas)


def _follow_maps(panel: FeatureMapPanel, choice: Choice) -> None:
    _set(panel, "picture", choice.picture)
    if choice.layer in panel.layers:
        _set(panel, "layer", choice.layer)
        if choice.unit is not None:
            _set(panel, "unit", choice.unit)
    _set(panel, "position", choice.position)


def _heat(choice: Choice) -> HeatmapPanel:
    panel = HeatmapPanel(choice.net, choice.picture, target=choice.target)
    _follow_heat(panel, choice)
    return panel


def _follow_heat(panel: HeatmapPanel, choice: Choice) -> None:
    _set(panel, "picture", choice.picture)
    if choice.layer in spatial_layers(choice.net):
        _set(panel, "layer", choice.layer)
    _set(panel, "target", choice.target)
    _set(panel, "position", choice.position)


def _units(choice: Choice) -> UnitAttributionPanel:
    panel = UnitAttributionPanel(choice.net, choice.picture, target=choice.target, atlas=choice.atlas)
    _follow_units(panel, choice)
    return panel


def _follow_units(panel: UnitAttributionPanel, choice: Choice) -> None:
    _set(panel, "picture", choice.picture)
    if choice.layer in panel.layers:
        _set(panel, "layer", choice.layer)
        _set(panel, "unit", choice.unit)
    _set(panel, "target", choice.target)
    _set(panel, "place", choice.position)
    panel.unit_page.follow(choice.layer, choice.unit, choice.held.given)


def _follow_dream(panel: DeepDreamPanel, choice: Choice) -> None:
    _set(panel, "picture", choice.picture)
    panel.weights.suggest(choice.layer)


def _classes(choice: Choice) -> ClassGallery:
    net = choice.net
    known = [i for i in range(net.outputs[0].classes) if net.class_names and net.class_name(i) in FIRST_CLASSES]
    first = known or list(range(min(4, net.outputs[0].classes)))
    wanted = [] if choice.target is None else [choice.target]
    return ClassGallery(net, list(dict.fromkeys(wanted + first)))


def _follow_classes(panel: ClassGallery, choice: Choice) -> None:
    if choice.target is None:
        return
    if choice.target not in panel.classes:
        panel.classes = (*panel.classes, choice.target)
    _set(panel, "unit", choice.target)


def _follow_adversarial(panel: AdversarialPanel, choice: Choice) -> None:
    _set(panel, "picture", choice.picture)
    _set(panel, "target", choice.target)


def _set(panel: Panel, name: str, value: Any) -> None:
    """Set what differs; arrays are the same only where they are one."""
    old = getattr(panel, name)
    if old is not value and (name == "picture" or old != value):
        setattr(panel, name, value)


KINDS = (
    Kind(
        "Filters",
        "what units respond to",
        _filters,
        _follow_filters,
        {"layer": "layer", "unit": "unit"},
        SIXTEEN_TILES,
    ),
    Kind(
        "Feature maps",
        "where units are active in the photograph",
        _maps,
        _follow_maps,
        {"layer": "layer", "unit": "unit", "position": "position"},
        FORWARD,
    ),
    Kind(
        "Where it looks",
        "heatmaps for a class",
        _heat,
        _follow_heat,
        {"layer": "layer", "target": "target", "position": "position"},
        GRADIENT,
    ),
    Kind(
        "Which units",
        "the units that carried the decision",
        _units,
        _follow_units,
        {"layer": "layer", "unit": "unit", "target": "target", "position": "place"},
        GRADIENT,
    ),
    Kind(
        "DeepDream",
        "the photograph, with more of what the network sees in it",
        lambda c: DeepDreamPanel(c.net, c.picture),
        _follow_dream,
        {},
    ),
    Kind("Classes", "pictures that maximize classes", _classes, _follow_classes, {"target": "unit"}),
    Kind(
        "Fool it",
        "a small change that alters the prediction",
        lambda c: AdversarialPanel(c.net, c.picture, c.target),
        _follow_adversarial,
        {"target": "target"},
    ),
)
