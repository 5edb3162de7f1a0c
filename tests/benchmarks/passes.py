"""How many class pictures are right after few and many passes: ours, Lucid's Fourier recipe and MACO.

    python -m tests.benchmarks.passes curve.png [--quick]

A pass is one forward and one backward computation for one picture. A picture is right when the network that it was made
with predicts its class after 8 bits and bicubic resizing to 224 px, or after JPEG at quality 75 before that. Each line
is a process. One run with the most passes gives all points, except for MACO: its crops shrink in proportion to its
steps, so each point is a run, and there are only two.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tests.benchmarks import peers, process, table

SIZE, JUDGED, QUALITY = 128, 224, 75
NETWORKS = {"squeezenet": "SqueezeNet 1.1", "efficientnet_lite0": "EfficientNet-Lite0"}
PASSES = (16, 32, 64, 128, 256)
DRAWN = 1706  # the seed of the classes, which no recipe was chosen on


class Work(NamedTuple):
    """One line of the curve."""

    network: str
    classes: list[int]
    passes: list[int]


def classes(count: int) -> list[int]:
    return sorted(np.random.default_rng(DRAWN).choice(1000, count, replace=False).tolist())


def ours(net: Any, work: Work) -> Iterator[tuple[int, np.ndarray]]:
    from cnnwidgets.visualize.batches import optimize
    from cnnwidgets.visualize.classes import ClassesSettings

    plan = ClassesSettings(work.classes, SIZE, max(work.passes)).check(net)
    for frame in optimize(plan):
        step, others = divmod(frame.step, len(plan.groups))
        if step in work.passes and not others:
            yield step, frame.pictures


@dataclass(frozen=True)
class LucidTransforms:
    """The usual transforms of Lucid's `render_vis`; here the scale crops or mirrors instead of changing the size."""

    def __call__(self, pictures: Any, seeds: Any, shared: Any) -> Any:
        import tensorflow as tf

        from cnnwidgets.visualize.transforms import Rotate, Scale

        padded = tf.pad(pictures, [[0, 0], [12, 12], [12, 12], [0, 0]], constant_values=0.5)
        turned = Rotate(10)(Scale(0.9, 1.1)(_cropped(padded, 8, shared), seeds, shared), seeds + 1, shared)
        return _cropped(turned, 4, shared + 1)


def _cropped(pictures: Any, by: int, shared: Any) -> Any:
    """Cut so many rows and columns off, at random sides."""
    import tensorflow as tf

    count, height, width, channels = pictures.shape
    return tf.image.stateless_random_crop(pictures, (count, height - by, width - by, channels), shared)


def fourier(net: Any, work: Work) -> Iterator[tuple[int, np.ndarray]]:
    import cnnwidgets as cw

    frames = cw.ascend(
        net,
        cw.objectives.class_logit(work.classes),
        SIZE,
        max(work.passes),
        parametrization=cw.parametrizations.fourier(1.0),
        transforms=[LucidTransforms()],
        optimizer=cw.optimizers.adam(0.05),
    )
    return ((frame.step, frame.pictures) for frame in frames if frame.step in work.passes)


class _Logit:
    """Xplique's objective for a class, whose graph is traced once for all classes."""

    def __init__(self, net: Any) -> None:
        import keras
        import tensorflow as tf

        picture = keras.Input((JUDGED, JUDGED, 3))
        inside = keras.Model(net.model.input, net.model.get_layer("logits").output)
        self.model = keras.Model(picture, inside(keras.layers.Lambda(net.preprocess)(picture)))
        self.wanted = tf.Variable(0)
        # Divided as in `Objective.neuron`, which takes the mean over all classes of what it masks.
        self.value = lambda outputs: tf.gather(outputs[0], self.wanted, axis=-1) / outputs[0].shape[-1]

    def compile(self) -> tuple[Any, ...]:
        return self.model, self.value, [""], (1, JUDGED, JUDGED, 3)


def maco(net: Any, work: Work, crops: int, size: int) -> Iterator[tuple[int, np.ndarray]]:
    """As Xplique has it, at its own size of 512 px, with so many crops, each of them a pass, in a step."""
    import tensorflow as tf
    from xplique.features_visualizations.maco import maco

    logit = _Logit(net)
    for passes in work.passes:
        pictures = []
        for one in work.classes:
            tf.random.set_seed(0)
            np.random.seed(0)  # noqa: NPY002  # MACO's phases come from it
            logit.wanted.assign(one)
            settings = {"nb_steps": passes // crops, "nb_crops": crops, "custom_shape": (size, size)}
            picture, _ = maco(logit, values_range=(0, 255), **settings)
            pictures.append(picture / 255)
        yield passes, np.stack(pictures)


class Contender(NamedTuple):
    """Who takes part, the side in pixels of what the network sees in each pass, and the peer that is needed."""

    run: Callable[..., Iterator[tuple[int, np.ndarray]]]
    side: int
    color: str
    peer: str = ""
    settings: dict[str, int] = {}
    only: tuple[int, ...] = PASSES


CONTENDERS = {
    "cnnwidgets": Contender(ours, 192, "#1a7f37"),
    "Fourier (Lucid)": Contender(fourier, SIZE + 12, "#bf5af2"),
    "MACO (Xplique)": Contender(maco, JUDGED, "#e8590c", "xplique", {"crops": 8, "size": 512}, (64, 256)),
}
LINES = {"resized": "-", "JPEG": "--"}


def right(net: Any, work: Work, pictures: np.ndarray) -> dict[str, float]:
    """The share of pictures that the network names rightly, resized and after JPEG."""
    from PIL import Image

    from cnnwidgets.pictures import to_jpeg, to_uint8

    def seen(picture: Image.Image) -> int:
        resized = picture.convert("RGB").resize((JUDGED, JUDGED), Image.Resampling.BICUBIC)
        return int(net.predict(np.asarray(resized), top=1)[0].index)

    eight_bit = [to_uint8(np.clip(picture, 0, 1)) for picture in pictures]
    answers = {
        "resized": [seen(Image.fromarray(picture)) for picture in eight_bit],
        "JPEG": [seen(Image.open(BytesIO(to_jpeg(picture, QUALITY)))) for picture in eight_bit],
    }
    return {how: float(np.mean(np.equal(found, work.classes))) for how, found in answers.items()}


def measured(who: str, work: Work) -> process.Numbers:
    import cnnwidgets as cw

    net, contender = cw.load_network(work.network), CONTENDERS[who]
    return {
        f"{passes}|{how}": share
        for passes, pictures in contender.run(net, work, **contender.settings)
        for how, share in right(net, work, pictures).items()
    }


def rows(network: str, quick: bool) -> dict[str, process.Numbers]:
    """What each contender reaches with this network; printed as a table."""
    work = Work(network, classes(2 if quick else 16), [8, 16] if quick else list(PASSES))
    found = {}
    for who, one in CONTENDERS.items():
        own = work if quick else work._replace(passes=list(one.only))
        found[who] = process.run("passes", who, own, str(peers.folder_of(one.peer)) if one.peer else "")
    columns = [f"{passes}|{how}" for how in LINES for passes in work.passes]
    header = (NETWORKS[network], *(column.replace("|", " ") for column in columns))
    print(
        table.markdown(header, {who: [f"{n[c]:.2f}" if c in n else "" for c in columns] for who, n in found.items()}),
        end="\n\n",
    )
    return found


def drawn(found: dict[str, dict[str, process.Numbers]]) -> Any:
    """The tables as a matplotlib Figure, a plot for each network."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import PercentFormatter, ScalarFormatter

    figure = Figure(figsize=(8.6, 3.6), dpi=160, layout="constrained", facecolor="white")
    for axes, network in zip(figure.subplots(1, len(found), sharey=True), found, strict=True):
        for who, numbers in found[network].items():
            one = CONTENDERS[who]
            passes = sorted({int(key.split("|")[0]) for key in numbers if "|" in key})
            for how, line in LINES.items():
                shares = [numbers[f"{count}|{how}"] for count in passes]
                label = f"{who}, {one.side} px a pass" if how == "resized" else None
                axes.plot(
                    passes,
                    shares,
                    line,
                    color=one.color,
                    marker="o",
                    markersize=4,
                    label=label,
                    clip_on=False,
                    zorder=3,
                )
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter(ScalarFormatter())
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        axes.set(title=NETWORKS[network], xlabel="forward-backward passes for a picture", ylim=(0, 1.02))
        axes.grid(alpha=0.3)
    figure.axes[0].set_ylabel("classified correctly\nresized (JPEG: dashed)")
    lines, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(lines, labels, loc="outside lower center", ncols=len(CONTENDERS), frameon=False)
    return figure


if __name__ == "__main__":
    if sys.argv[1].startswith("["):
        who, settings, folder = process.arguments()
        if folder:
            peers.borrow(folder)
        process.report(**measured(who, Work(*settings)))
    else:
        parser = argparse.ArgumentParser(
            prog="python -m tests.benchmarks.passes", description=__doc__.partition("\n")[0]
        )
        parser.add_argument("picture", type=Path, help="the PNG to draw")
        parser.add_argument("--quick", action="store_true", help="two classes, few passes: does everything still run?")
        options = parser.parse_args()
        drawn({network: rows(network, options.quick) for network in NETWORKS}).savefig(options.picture)
