"""Adversarial perturbations within a budget: by gradients, or by random search as a baseline."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnnwidgets.errors import BadModel, BadTarget, quoted
from cnnwidgets.frame import Array, Frame
from cnnwidgets.model.arguments import number
from cnnwidgets.model.backend import tf
from cnnwidgets.model.network import Network, as_network
from cnnwidgets.model.outputs.output_info import check_classes
from cnnwidgets.model.outputs.output_info import find as find_output
from cnnwidgets.model.outputs.predictions import Prediction
from cnnwidgets.model.settings import SEED, STEPS, Settings, setting
from cnnwidgets.model.sizes.canvas import Canvas
from cnnwidgets.model.sizes.picture_size import Size
from cnnwidgets.model.tracing.compiled import compiled
from cnnwidgets.model.unlocked_property import unlocked_property
from cnnwidgets.visualize import objectives
from cnnwidgets.visualize.ascent import maximize
from cnnwidgets.visualize.canvas_choice import canvas_around
from cnnwidgets.visualize.gradient_step import Ascent
from cnnwidgets.visualize.objectives import Objective
from cnnwidgets.visualize.optimizers import MomentumSign
from cnnwidgets.visualize.parametrizations import Pixels
from cnnwidgets.visualize.terms.objective_values import Values, both, checked, random_note, values_of

SHARE = 0.5  # of the budget, that one step goes: a quarter leaves some targets out of reach in 10 steps


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class AdversarialFrame(Frame):
    """A Frame of an adversarial example: an 8-bit picture inside the budget, and its predictions.

    `values` are the log-odds, before this step, of what is maximized.

    Attributes:
        original: [1, H, W, C] float32, the picture before any step, in 8 bits and at the network's size.
        class_index: the target; where there is none, the class that the picture is pushed away from.
        is_targeted: whether there is a target.
        predict: what the network says to pictures, every class, best first.
    """

    original: Array
    class_index: int
    is_targeted: bool
    predict: Callable[[Array], list[Prediction]]

    @unlocked_property
    def predictions(self) -> tuple[Prediction, ...]:
        """Every class, best first, for this very picture; the network runs when this is first read."""
        return tuple(self.predict(self.pictures))

    @property
    def prediction(self) -> Prediction:
        """The top class of this picture."""
        return self.predictions[0]

    @property
    def probability(self) -> float:
        """Of `class_index`, 0 to 1."""
        return next(p.probability for p in self.predictions if p.index == self.class_index)

    @property
    def succeeded(self) -> bool:
        """Whether the top class is the target; where there is none, whether it is another than before."""
        return (self.prediction.index == self.class_index) == self.is_targeted


def adversarial(
    net: Network | Any,
    picture: object,
    target: int | str | None = None,
    epsilon: float = 2 / 255,
    steps: int = 10,
    *,
    method: str = "momentum_sign",
    output: int | str | None = None,
    size: Size | None = None,
    seed: int = 0,
) -> Iterator[AdversarialFrame]:
    """Perturb a picture, by at most `epsilon` in any pixel, until the network sees something else.

    What is maximized is the log-odds of the target against all other classes.

    Args:
        net: a Network or a bare Keras model.
        picture: a path, bytes, a PIL image or an array; for a model of several inputs a list or dict of them: the first
            picture is perturbed.
        target: a class index or name; `None` pushes away from the top class.
        epsilon: the budget, in units of 0..1, rounded to whole gray levels of 255, at least one.
        steps: 1 to 2048; a run never ends early.
        method: "momentum_sign" follows the gradient (Dong et al., arXiv:1710.06081; with one step that of Goodfellow et
            al., arXiv:1412.6572); "random_search" draws noise of the same size and keeps the best, for comparison.
        output: of a model with several, its index or name.
        size: at which the network looks, if not its own: pixels of the longer side, (height, width) into which the
            picture fits, or "picture" for the picture's own, up to 1,024 px.
        seed: of the random search; the same seed, machine, versions and settings give the same bytes.

    Yields:
        AdversarialFrame: one for each step. Its pictures have the size at which the network looks, since a perturbation
            does not survive being brought to another one: `net.predict(frame.pictures[0])`, at the same `size`, agrees.

    Raises:
        BadTarget: for a class, method or number that cannot be, or a network that tells no classes; before any
            computing.
        BadPicture: for what is not a picture, or too small for the network.
        BadModel: for a network whose output is not finite.

    Example:
        >>> *_, frame = adversarial(net, "cat.jpg", target="goldfish", epsilon=2 / 255)
        >>> frame.prediction.name
        'goldfish'
    """
    return AdversarialSettings.given(locals()).check(net, picture).frames()


def _checked_epsilon(name: str, epsilon: object) -> float:
    share = number(name, epsilon, 0, 1, above=True)
    if round(share * 255) < 1:
        raise BadTarget(f"epsilon must be at least one gray level, 1 / 255, got {quoted(epsilon)}.")
    return share


def _checked_method(_name: str, method: object) -> str:
    if isinstance(method, str) and method in METHODS:
        return method
    raise BadTarget(f"There is no method {quoted(method)}. Choose one of: {', '.join(METHODS)}.")


@dataclass(frozen=True, eq=False)
class AdversarialSettings(Settings):
    """The settings of `adversarial`."""

    target: int | str | None = None
    epsilon: float = setting(2 / 255, _checked_epsilon)
    steps: int = setting(10, STEPS)
    method: str = setting("momentum_sign", _checked_method)
    output: int | str | None = None
    size: Size | None = None
    seed: int = setting(0, SEED)

    def check(self, net: Network | Any, picture: object) -> AdversarialPlan:
        """Check a perturbation.

        Raises:
            BadTarget, BadPicture, BadModel: what `adversarial` raises.
        """
        net = as_network(net)
        index = find_output(self.output, net.outputs)
        check_classes(net.outputs[index], "be mistaken for")
        if net.outputs[index].classes < 2:
            raise BadTarget(
                f"The output {quoted(net.outputs[index].name)} has only one class, so there is nothing to misclassify "
                "it as. Choose another output or network."
            )
        wanted = None if self.target is None else net.class_index(self.target, index)
        found = self.checked()
        inputs = net.arrays(picture, self.size)
        net.check_room(inputs)
        canvas = canvas_around(net, objectives.class_logit(0, output=index), inputs)
        original = _in_eight_bits(inputs[canvas.which]).numpy()
        predict = functools.partial(_predictions, net, inputs, canvas.which, index)
        chosen = predict(original)[0].index if wanted is None else wanted
        objective = checked(net, _log_odds(net, chosen, index))
        objective = -objective if wanted is None else objective
        return AdversarialPlan(found, net, canvas, original, objective, chosen, wanted is not None, predict)


@dataclass(frozen=True, eq=False)
class AdversarialPlan:
    """A checked request for an adversarial example.

    Attributes:
        settings: as given, each in its range.
        net: the network.
        canvas: the input that is perturbed, and what the others get.
        original: [1, H, W, C] float32, the picture in 8 bits and at the network's size.
        objective: what is maximized.
        class_index: the target; where there is none, the top class.
        is_targeted: whether there is a target.
        predict: what the network says to pictures [1, H, W, C], every class, best first.
    """

    settings: AdversarialSettings
    net: Network
    canvas: Canvas
    original: Array
    objective: Objective
    class_index: int
    is_targeted: bool
    predict: Callable[[Array], list[Prediction]]

    @property
    def levels(self) -> int:
        """The budget, in gray levels of 255."""
        return round(self.settings.epsilon * 255)

    def frames(self) -> Iterator[AdversarialFrame]:
        for frame in METHODS[self.settings.method](self):
            yield AdversarialFrame(
                frame.picture_source,
                frame.step,
                frame.steps,
                frame.value_source,
                (self._note(frame),) if frame.step == frame.steps else (),
                original=self.original,
                class_index=self.class_index,
                is_targeted=self.is_targeted,
                predict=self.predict,
            )

    def _note(self, frame: Frame) -> str:
        moved = np.abs(frame.pictures - self.original).max() * 255  # in gray levels
        if self.settings.method == "random_search" or moved > 0.5:
            return self.random_note
        still = "No gradient reaches the picture, so it did not move: the network is saturated or inactive here."
        return both(still, self.random_note)

    @unlocked_property
    def random_note(self) -> str:
        """What is to be said of a network that draws random numbers: its predictions differ too."""
        return random_note(self.net, self.objective)


def _log_odds(net: Network, index: int, output: int) -> Objective:
    """The logarithm of a class's probability over that of all others together."""
    logit = objectives.class_logit(index, output=output)
    return logit if net.outputs[output].is_decision else logit - objectives.rival_logits(index, output=output)


def _predictions(net: Network, inputs: Sequence[Array], which: int, output: int, pictures: Array) -> list[Prediction]:
    given = [pictures if i == which else array for i, array in enumerate(inputs)]
    return net.predictions(given, net.outputs[output].classes, output)


def _momentum_sign(plan: AdversarialPlan) -> Iterator[Frame]:
    steps, seed = plan.settings.steps, plan.settings.seed
    ascent = Ascent(Pixels(), (), MomentumSign(plan.levels / 255, SHARE if steps > 1 else 1.0), _in_eight_bits)
    return maximize(plan.net, plan.objective, plan.canvas, steps, ascent, seed, plan.original)


def _random_search(plan: AdversarialPlan) -> Iterator[Frame]:
    """Noise of the whole budget's size, a fresh draw each step; the best picture so far is kept."""
    best, value = tf.constant(plan.original), _value(plan, plan.original)
    if not np.isfinite(value).all():
        raise BadModel(plan.net.why_not_finite())
    steps, seed = plan.settings.steps, plan.settings.seed & 0x7FFFFFFF
    for count in range(1, steps + 1):
        signs = tf.random.stateless_uniform(best.shape, [seed, count], 0, 2, tf.int32) * 2 - 1
        drawn = _in_eight_bits(plan.original + tf.cast(signs, tf.float32) * (plan.levels / 255))
        found = _value(plan, drawn)
        before, (best, value) = value, (drawn, found) if found > value else (best, value)
        yield Frame(best.numpy, count, steps, before)


def _value(plan: AdversarialPlan, pictures: Any) -> Any:  # [1, H, W, C] -> [1]
    values = values_of(plan.net, plan.objective)
    graph = plan.net.traces.get(functools.partial(_value_graph, values, plan.canvas.structure))
    return graph(pictures, plan.objective.numbers(), dict(plan.canvas.held))


def _value_graph(values: Values, canvas: Canvas) -> Any:
    def value(pictures: Any, numbers: Any, held: Any) -> Any:
        return values(canvas.feed(values.net, pictures, held), numbers)

    return compiled(value)


METHODS: dict[str, Callable[[AdversarialPlan], Iterator[Frame]]] = {
    "momentum_sign": _momentum_sign,
    "random_search": _random_search,
}


def _in_eight_bits(pictures: Any) -> Any:
    """Pictures 0..1, each number the nearest whole gray level of 255."""
    return tf.round(tf.clip_by_value(pictures, 0.0, 1.0) * 255.0) / 255.0
