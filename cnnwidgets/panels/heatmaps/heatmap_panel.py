"""The panel for heatmaps over a photograph, for any class, layer and method."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from cnnwidgets import pictures
from cnnwidgets.explain import targets
from cnnwidgets.explain.class_activation_map import MapSettings
from cnnwidgets.explain.class_activation_maps import MASKS
from cnnwidgets.explain.hidden_region import Hidden
from cnnwidgets.explain.overlays import method_guide
from cnnwidgets.explain.overlays.comparison import Look, Question, look
from cnnwidgets.explain.overlays.held_picture import HeldPicture
from cnnwidgets.explain.sanity_check import randomized
from cnnwidgets.model.arguments import flag, number
from cnnwidgets.model.network import Network, as_network
from cnnwidgets.model.picture_size import Size
from cnnwidgets.panels.base.panel import BUSY
from cnnwidgets.panels.base.spatial import map_layers
from cnnwidgets.panels.heatmaps import captions
from cnnwidgets.panels.heatmaps.controls import HeatControls
from cnnwidgets.panels.heatmaps.hidden_region import HiddenRegion
from cnnwidgets.panels.heatmaps.settings import ASKING, PAINTING, last_layer, spatial
from cnnwidgets.panels.heatmaps.view import HeatView
from cnnwidgets.provenance import snippets
from cnnwidgets.provenance.positions import with_positions


class HeatmapPanel(HeatView):
    """Where a network looks: one heatmap for each input and call, beside the classes that it believes in.

    After the first Start every change is shown at once: another class, layer or method asks the network again; opacity,
    threshold and colors only paint. A click on the picture tells the evidence there and hides that place from the
    network.

    Args:
        net: a Network or a bare Keras model.
        picture: anything that `load_picture` takes; for several inputs a list in the model's own order, or a dict.
        layer: a path; the last layer before the class scores that still has rows and columns, if not given.
        target: a class index or name, or a function of the output; the top class if not given.
        method: of `class_activation_map` or of `attribution`.
        of: what of the class is explained, "logit" or "log_odds".
        against: why the target rather than this class, or these; `None` explains the target alone.
        output: of a model with several, its index or name.
        channels: how many of the layer's channels "score_cam" tries.
        seed: of noise and masks.
        size: at which the network looks, as in `class_activation_map`; the network's own if not given.
        opacity: 0 (only the picture) to 1, of the hottest place.
        threshold: 0..1, the share of the largest value from which on heat is shown.
        colormap: "viridis" "cividis" "magma" "inferno" "gray", or "RdBu_r", which shows what speaks against it too.
        second_method: another method, side by side.
        second_target: another class, side by side.
        second_net: another network, side by side, with its own last layer.
        sanity_check: whether the same map of a copy with shuffled weights stands beside.

    Attributes:
        layer, target, ... sanity_check: as given; set one to change it. A layer that is set chooses a method that is
            right at its depth, unless a method has been set.
        result: list of Heatmap.
        hidden: what hiding a place has changed, or `None`.

    Raises:
        BadTarget, BadModel, BadPicture: what the verbs would raise.

    Example:
        >>> HeatmapPanel(net, picture, target="Egyptian cat")
    """

    def __init__(
        self,
        net: Any,
        picture: object,
        layer: str | None = None,
        target: int | str | Callable[[Any], Any] | None = None,
        method: str = method_guide.AT_THE_END,
        *,
        of: str = "logit",
        against: Any = None,
        output: int | str | None = None,
        channels: int = MASKS,
        seed: int = 0,
        size: Size | None = None,
        opacity: float = 0.7,
        threshold: float = 0.0,
        colormap: str = "viridis",
        second_method: str | None = None,
        second_target: int | str | None = None,
        second_net: Any = None,
        sanity_check: bool = False,
    ) -> None:
        given = MapSettings.given(locals())
        network = as_network(net)
        wanted = targets.named(network, target, output, of, against)
        method_guide.check(method)
        held = HeldPicture(network, picture, size)
        second_net = None if second_net is None else as_network(second_net)
        last = last_layer(network, wanted, method)
        chosen = spatial(network, layer) if layer is not None else last
        opacity, threshold = number("opacity", opacity, 0, 1), number("threshold", threshold, 0, 1)
        sanity_check = flag("sanity_check", sanity_check)
        for name in ("channels", "seed"):
            MapSettings.allowed(name)(name, getattr(given, name))
        pictures.colormap(colormap)
        second_method = None if second_method is None else method_guide.check(second_method)
        super().__init__(network)
        self._held, self._second_net = held, second_net
        self._spatial, self._last_layer = map_layers(network), last
        self._is_method_chosen = method != method_guide.AT_THE_END
        self._remark = ""  # why the method has changed
        self._copies: dict[tuple[Network, int], Network] = {}
        self.controls = HeatControls(network, self._spatial, self._set)
        self.place = HiddenRegion(self._place_typed, self._place_answered, self._shuffled)
        self._setting_names = (*ASKING, *PAINTING)
        self._assign(**{"output": output, **given.recorded(), "layer": chosen})  # first the output: a class is of one
        self._assign(picture=picture, opacity=opacity, threshold=threshold, colormap=colormap)
        self._assign(second_method=second_method, second_target=second_target, sanity_check=sanity_check)
        self._assemble()

    # What runs.

    def _frames(self) -> Iterator[Look]:
        return look(self.questions(), self._held, self._shuffled)

    def _shuffled(self, net: Network, seed: int) -> Network:
        """A copy that knows nothing, made once: runs on the worker's thread."""
        key = net, seed
        if key not in self._copies:
            self._copies = {key: randomized(net, seed)}
        return self._copies[key]

    def _begin(self) -> None:
        """Ask the network, as it is now; whatever is asked already is dropped."""
        self.place.forget()
        super()._begin()

    def _is_busy_beside(self) -> bool:
        return self.place.is_busy

    def _stop_soon(self) -> None:
        super()._stop_soon()
        if self.place.is_busy:
            self.place.forget()

    # What is said.

    def _doing(self, frame: Look) -> str:
        return "Computing: the map gets better with each step."

    def _invitation(self) -> str:
        where = f"at {self.layer}" if self.layer and method_guide.is_map(self.method) else "pixel by pixel"
        return (
            f"Start shows what {self.net.name} predicts, and where it looks, {where}: warm regions are evidence "
            "for the class. A moment for most methods. Then choose another class and see the warm regions move."
        )

    def _note(self) -> str:
        return self._held.note

    def _conclusion(self) -> str:
        asked = self._last.questions[0]
        looked = self._last.picture.looked_at(asked.net, asked.size)
        return f"{captions.conclusion(self._last, self._remark)} {looked}"

    # What is changed.

    def _apply(self, name: str) -> None:
        """Another request is made at once after the first Start; another way of painting needs no network."""
        if name in PAINTING:
            self._repaint()
            return
        self._remark = ""
        if name == "method":
            self._is_method_chosen = True
        elif name == "layer":
            self._fit_method()
        if self._run.job is not None:
            self._begin_again()
        else:
            self._rest()
            self._say(self._noted(self._remark))

    def _fit_method(self) -> None:
        """Take the method that is right at the layer's depth, unless one was chosen, and say so."""
        is_last = self._spatial.index(self.layer) >= self._spatial.index(self._last_layer)
        right = method_guide.AT_THE_END if is_last else method_guide.BEFORE
        if self._is_method_chosen or right == self.method:
            return
        self._assign(method=right)
        place = "the last layer" if is_last else "a layer this early"
        self._remark = f"The method is now {method_guide.label(right)}, which is right at {place}."

    # A place.

    def _clicked(self, x: float, y: float) -> None:
        self._guarded(self._hide_at, x, y)

    def _hide_at(self, x: float, y: float) -> None:
        place = self._shown_tiles.place_at(x, y)
        if place is not None:
            self.place.begin(self._shown_tiles, place)
            self._show_state()

    def _place_typed(self, x: int, y: int, tile: int) -> None:
        self._guarded(lambda: self.place.begin(self._shown_tiles, self._shown_tiles.place(x, y, tile)))
        self._show_state()

    @property
    def hidden(self) -> Hidden | None:
        """What hiding a place has changed."""
        return self.place.hidden

    def hide(self, x: int, y: int, tile: int = 0) -> Hidden:
        """Hide a region from the network, like a click does, and wait for the change.

        Args:
            x: pixels from the picture's left.
            y: pixels from its top.
            tile: which of the maps.

        Raises:
            BadTarget: for a place outside, or before anything is shown.
            JobFailed: when the network cannot be asked.
        """
        self.place.begin(self._shown_tiles, self._shown_tiles.place(x, y, tile))
        return self.place.answer()

    def _place_answered(self) -> None:
        if self.place.traceback:
            self.traceback = self.place.traceback
        self._show_state()
        if self.state not in BUSY:
            self._repaint()

    # What is taken away.

    def _settings(self) -> tuple[str, dict[str, Any]]:
        """Those of what is shown, or of what is being asked."""
        is_new = self._last is None or self.state in BUSY
        asked, picture = (self.questions(), self._held) if is_new else (self._last.questions, self._last.picture)
        verb, settings = asked[0].settings()
        beside = [{**with_positions(q.settings()[1], q.net), **_which(q)} for q in asked[1:]]
        facts = {name: getattr(self, name) for name in PAINTING}
        if not is_new and self._last.step < self._last.steps:
            facts["until"] = self._last.step
        return verb, {**settings, **facts, "picture": picture.digest, "beside": beside}

    def snippet(self) -> str:
        """The Python that makes the same heatmaps without a widget; a function as target is the reader's `target`."""
        verb, settings = self._settings()
        return snippets.write(verb, self.net.name, settings)

    def _name(self) -> str:
        asked = self._last.questions[0]
        parts = [self.net.name, asked.layer if method_guide.is_map(asked.method) else "", asked.method]
        return "-".join(filter(None, [*parts, captions.target_name(asked, self._last)]))

    def close(self) -> None:
        """Stop, and free every widget of the panel."""
        if self.comm is not None:
            self.place.forget()
            if self._polish is not None:
                self._polish.release()
        super().close()


def _which(question: Question) -> dict[str, Any]:
    """The network that is asked, as a recipe tells it."""
    net = question.net
    return {"network": net.name, "fingerprint": net.fingerprint(), "shuffled": question.is_shuffled}
