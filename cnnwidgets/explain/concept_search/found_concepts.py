"""Concepts that were found in a layer: where they are in a picture, what to optimize for them, merging and saving."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from cnnwidgets.errors import BadModel, BadPicture, BadTarget, quoted, quoted_path
from cnnwidgets.explain.concept_search import concept_file, factorization
from cnnwidgets.explain.concept_search import importance as importance_
from cnnwidgets.explain.heatmap import Heatmap, MapNotes, MapSource, finish
from cnnwidgets.explain.passes import Probe
from cnnwidgets.frame import Array
from cnnwidgets.model.arguments import is_whole
from cnnwidgets.model.network import Network, as_network
from cnnwidgets.model.sizes.picture_size import Size
from cnnwidgets.pictures import mosaic, to_uint8
from cnnwidgets.visualize import objectives
from cnnwidgets.visualize.objectives import Objective

PATCH = 96  # pixels: the side of a patch
ALIKE = 0.95  # the cosine of two directions from which on one is a duplicate
LONGEST_NAME = 100  # characters
COSINE_POWER = 2.0  # of a concept's objective: with 0, pictures show its strongest channels alone


@dataclass(frozen=True, eq=False, repr=False)
class Concepts:
    """Concepts of a layer, the most important first; an immutable value.

    Attributes:
        path: of the layer.
        call: which call of the layer.
        directions: [count, k] float32, 0 or more, each of length 1 (a dead concept: zeros). Where the layer has
            negative activations, k is twice its number of channels: positive parts first, then negative parts.
        importance: [count] float32, for the target, as `method` measures it.
        patches: for each concept [n, 96, 96, 3] float32, 0..1: the crops with most of it, strongest first.
        explained: 0..1, measured on pictures that took no part in the factorization: 1 - residual / total. The residual
            is the sum of squares of what the concepts leave of the activations of their crops (averaged over
            positions), the total that of the activations less the mean of the other crops.
        strengths: [count] float32, the mean coefficient of each concept in the crops.
        names: for each concept "" or the name that was given to it.
        notes: for each concept "" or what is wrong with it: "dead: ...", "duplicate: ...".
        note: "" or what to know about all of them.
        about: the target in words.
        method: of the importance: "gradient_x_activation" or "sobol".
    """

    path: str
    call: int
    directions: Array
    importance: Array
    patches: list[Array]
    explained: float
    strengths: Array
    names: tuple[str, ...]
    notes: tuple[str, ...]
    note: str
    about: str
    method: str
    _net: Network = field(repr=False)
    _size: Size | None = field(repr=False)
    _held: Array = field(repr=False)  # [n, k] activations that `explained` is measured on
    _mean: Array = field(repr=False)  # [k] of the other activations

    def __len__(self) -> int:
        return len(self.directions)

    def __repr__(self) -> str:
        named = [self.title(index) for index in range(min(3, len(self)))]
        more = ", ..." if len(self) > 3 else ""
        return f"Concepts({self.path!r}, {len(self)}: {', '.join(named)}{more}; explained {self.explained:.2f})"

    def title(self, index: int) -> str:
        """The name of a concept, or "concept 3"."""
        return self.names[index] or f"concept {index}"

    def maps(self, picture: object) -> list[Heatmap]:
        """Where each concept is in a picture: a Heatmap for each, whose `raw` is its coefficient at each position.

        Raises:
            BadTarget: for a layer without rows and columns.
            BadPicture: for anything but a picture.
        """
        probe = Probe(self._net, picture, self._size)
        activation = np.asarray(probe.activations(self.path)[self.call][0], np.float64)  # [h, w, k]
        there = importance_.split(activation, self.directions)
        found = factorization.coefficients(there.reshape(-1, there.shape[-1]), self.directions.astype(np.float64))
        seen = probe.sees(self.path, self.call)
        location = probe.location(self.path, self.call)
        source = MapSource(
            location.placement(probe.sizes[seen[0]]),
            self.path,
            self.call,
            self._net.inputs[seen[0]].name if len(seen) == 1 else None,
            location.notes,
        )
        raws = found.reshape(*activation.shape[:2], -1)
        return [finish(raws[..., index], self._map_notes(index), source) for index in range(len(self))]

    def _map_notes(self, index: int) -> MapNotes:
        about = self.title(index)
        notes = tuple(filter(None, [self.notes[index]]))
        return MapNotes(notes, f"zero: {about} is nowhere in this picture", about)

    def objective(self, index: int) -> Objective:
        """The layer's map along a concept's direction, for `ascend` or `accentuate`.

        Each position counts by the square of its cosine with the direction (`objectives.direction`), so that the
        picture has the channels of the concept in their proportions. Deep concepts are best drawn as classes are:
        `ascend(net, found.objective(0), 160, parametrization=parametrizations.fourier(1.25),
        transforms=[transforms.crop(), transforms.noise(0.03)])`. The picture shows what the direction alone is to the
        network, not its class: many classes are recognized only by several concepts together.

        Raises:
            BadTarget: for a concept that does not exist, or is dead.
        """
        index = self._checked(index)
        direction = importance_.signed(self.directions, self._net.layer(self.path).units)[index]
        if not direction.any():
            raise BadTarget(f"{self.title(index)} is dead: it has no direction to optimize. Choose another concept.")
        return objectives.direction(self.path, direction.tolist(), call=self.call, cosine_power=COSINE_POWER)

    def named(self, index: int, name: str) -> Concepts:
        """The same concepts, one of them with this name; "" takes a name away.

        Raises:
            BadTarget: for a concept that does not exist, or what is not a short text.
        """
        index = self._checked(index)
        if not isinstance(name, str) or len(name) > LONGEST_NAME or not name.isprintable():
            raise BadTarget(f"name must be one line of at most {LONGEST_NAME} characters, got {quoted(name)}.")
        return replace(self, names=tuple(name.strip() if i == index else one for i, one in enumerate(self.names)))

    def merged(self, first: int, second: int) -> Concepts:
        """The same concepts, two of them as one: in the place of the first, which also gives the name.

        Directions are added by their strengths, importances are added, patches are taken in turns, and `explained` is
        measured again.

        Raises:
            BadTarget: for a concept that does not exist, or the same one twice.
        """
        keep, drop = self._checked(first), self._checked(second)
        if keep == drop:
            raise BadTarget(f"Two different concepts are needed to merge them, got {keep} twice.")
        both = self.strengths[keep] * self.directions[keep] + self.strengths[drop] * self.directions[drop]
        length = np.linalg.norm(both)
        directions = self.directions.copy()
        directions[keep] = both / length if length > 0 else both
        strengths, importances = self.strengths.copy(), self.importance.copy()
        strengths[keep] += strengths[drop]
        importances[keep] += importances[drop]
        patches = list(self.patches)
        patches[keep] = _in_turns(patches[keep], patches[drop])
        names = list(self.names)
        names[keep] = names[keep] or names[drop]
        rest = [index for index in range(len(self)) if index != drop]
        directions = directions[rest]
        return replace(
            self,
            directions=directions,
            importance=importances[rest],
            strengths=strengths[rest],
            patches=[patches[index] for index in rest],
            names=tuple(names[index] for index in rest),
            notes=notes_on(directions, strengths[rest]),
            explained=factorization.explained(self._held, directions, self._mean),
        )

    def _checked(self, index: object) -> int:
        if is_whole(index) and 0 <= index < len(self):
            return int(index)
        raise BadTarget(f"There is no concept {quoted(index)}. They are 0 to {len(self) - 1}.")

    def save(self, path: str | PathLike[str]) -> Path:
        """Write the concepts with their names and patches into a file; the network and the pictures are not in it.

        Raises:
            BadTarget: for a path that cannot be written.
        """
        own = {name.lstrip("_"): value for name, value in vars(self).items() if name != "_net"}
        return concept_file.write(path, {**own, "fingerprint": self._net.fingerprint()})

    @classmethod
    def load(cls, path: str | PathLike[str], net: Network | Any) -> Concepts:
        """The concepts of a file that `save` wrote; nothing in it is executed.

        Args:
            path: of the file.
            net: the network that they were found in.

        Raises:
            BadPicture: for a file that does not exist, is not one of concepts, or is damaged.
            BadModel: for another network.
        """
        net, given = as_network(net), concept_file.read(path)
        if given.pop("fingerprint") != net.fingerprint():
            raise BadModel(
                f"The concepts in {quoted_path(path)} were found in another network than {quoted(net.name)}: weights, "
                "layers or preprocessing differ. Give the same network."
            )
        own = {name: given.pop(name) for name in ("size", "held", "mean")}
        info = net.layer(given["path"])
        if given["directions"].shape[1] not in (info.units, 2 * info.units):
            raise BadPicture(f"{quoted_path(path)} is damaged: its directions are not of {quoted(info.path)}.")
        return cls(**given, _net=net, **{f"_{name}": value for name, value in own.items()})


def _in_turns(first: Array, second: Array) -> Array:
    """As many patches as the longer of two lists, taken from both in turns."""
    shared = min(len(first), len(second))
    mixed = np.stack([first[:shared], second[:shared]], 1).reshape(-1, *first.shape[1:])
    rest = np.concatenate([first[shared:], second[shared:]])
    return np.concatenate([mixed, rest])[: max(len(first), len(second))]


def tiles_of(concepts: Concepts) -> Array:
    """The patches as one picture [H, W, 3] uint8: a row for each concept, gray where there are fewer patches."""
    longest = max(1, max(len(one) for one in concepts.patches))
    rows = []
    for one in concepts.patches:
        missing = np.full((longest - len(one), PATCH, PATCH, 3), 0.5, np.float32)
        rows.append(np.concatenate([one, missing]))
    return mosaic(to_uint8(np.concatenate(rows)), longest)


def notes_on(directions: Array, strengths: Array) -> tuple[str, ...]:
    """What is wrong with each concept, or ""."""
    cosines = directions @ directions.T
    notes = []
    for index in range(len(directions)):
        twin = next((other for other in range(index) if cosines[index, other] >= ALIKE), None)
        if not directions[index].any() or not strengths[index] > 0:
            notes.append("dead: no crop has any of it; ask for fewer concepts")
        elif twin is not None:
            cosine = f"{cosines[index, twin]:.2f}"
            notes.append(f"duplicate: nearly the direction of concept {twin} (cosine {cosine}); merge the two")
        else:
            notes.append("")
    return tuple(notes)
