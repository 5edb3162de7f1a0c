"""What a type checker must accept in a user's script, and what it must refuse.

Each wrong use carries a `type: ignore`; one that is not refused is an unused comment, which is an error too.
It is checked and never executed.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import assert_type

import cnnwidgets as cw

net = cw.load_network("squeezenet")
assert_type(net, cw.Network)
own = cw.Network(object(), preprocess="unit", class_names=["cat", "dog"], size=224)
loaded = cw.Network.from_file("model.keras")
picture = cw.load_picture("cat.jpg")


def verbs() -> None:
    """Right uses of the functions, with what they return."""
    assert_type(net.predict(picture, top=3), list[cw.Prediction])
    assert_type(cw.visualize_units(net, "fire5_concat", units=range(4), size=64, steps=32), cw.UnitPictures)
    assert_type(cw.visualize_classes(net, ["goldfish", 933], size=128), cw.UnitPictures)
    assert_type(cw.class_activation_map(net, picture, target="tabby", against=[285]), list[cw.Heatmap])
    assert_type(cw.explain(net, picture, target="tabby").save("why"), Path)
    assert_type(cw.attribution(net, "cat.jpg", method="rise", samples=100), list[cw.Heatmap])
    assert_type(cw.unit_attribution(net, picture, target=281), list[cw.UnitAttribution])
    assert_type(cw.concepts(net, "folder", count=4), cw.Concepts)
    objective = 2 * cw.objectives.channel("fire5_concat", 12) - cw.objectives.class_logit(3)
    frames: Iterator[cw.Frame] = cw.ascend(net, objective, size=64, steps=8, optimizer=cw.optimizers.adam(0.1))
    for frame in frames:
        assert_type(frame.step, int)
    for frame in cw.deepdream(net, picture, layers={"fire5_concat": 1.0}, octaves=2):
        assert_type(frame.steps, int)
    cw.limit_gpu(megabytes=2048)


def panels() -> None:
    """Right uses of the panels: constructors, settings and results."""
    gallery = assert_type(cw.FilterGallery(net, "fire5_concat", units=range(16), recipe="natural"), cw.FilterGallery)
    gallery.units = range(8)
    gallery.steps = 64
    gallery.unit = 3
    assert_type(gallery.layer, str)
    assert_type(gallery.state, str)
    print(gallery.result.pictures)
    assert_type(cw.ClassGallery(net, ["goldfish", 933]), cw.ClassGallery)
    heatmap = assert_type(cw.HeatmapPanel(net, picture, target="tabby", opacity=0.5), cw.HeatmapPanel)
    heatmap.target, heatmap.method, heatmap.threshold = 281, "layer_cam", 0.2
    dream = assert_type(cw.DeepDreamPanel(net, picture, "animals", octaves=3), cw.DeepDreamPanel)
    dream.step_size = 0.01
    assert_type(cw.AdversarialPanel(net, picture, "goldfish").epsilon, float)
    assert_type(cw.FeatureMapPanel(net, picture, order="variance").order, str)
    assert_type(cw.UnitAttributionPanel(net, picture, of="log_odds").of, str)
    assert_type(cw.UnitPanel(net, "fire5_concat", 12), cw.UnitPanel)
    assert_type(cw.ConceptPanel(net, "folder", count=4).count, int)
    assert_type(cw.LayerPicker(net, is_compact=True), cw.LayerPicker)
    assert_type(cw.NetworkMap(net, picture), cw.NetworkMap)
    assert_type(cw.Explorer(net, files=False), cw.Explorer)
    assert_type(cw.ComparePanel(net, own, "conv1").steps, int)
    recorder = assert_type(cw.TrainingRecorder(own, "conv1", every=10), cw.TrainingRecorder)
    assert_type(cw.TrainingPanel(recorder), cw.TrainingPanel)
    gallery.run()
    gallery.save("gallery.png")


def wrong() -> None:
    """Uses that must be refused."""
    cw.FilterGallery(net, unit=3)  # type: ignore[call-arg]
    cw.FilterGallery(net, 12)  # type: ignore[arg-type]
    cw.ClassGallery(net)  # type: ignore[call-arg]
    cw.HeatmapPanel(net)  # type: ignore[call-arg]
    cw.HeatmapPanel(net, picture, epsilon=0.1)  # type: ignore[call-arg]
    cw.DeepDreamPanel(net, picture, octave=3)  # type: ignore[call-arg]
    cw.AdversarialPanel(net, picture, steps="many")  # type: ignore[arg-type]
    cw.FeatureMapPanel(net, picture, layers=["conv1"])  # type: ignore[call-arg]
    cw.UnitAttributionPanel(net, picture, calls=1)  # type: ignore[call-arg]
    cw.UnitPanel(net, "fire5_concat")  # type: ignore[call-arg]
    cw.ConceptPanel(net, "folder", concepts=3)  # type: ignore[call-arg]
    cw.LayerPicker(net, compact=True)  # type: ignore[call-arg]
    cw.NetworkMap(net, photograph=picture)  # type: ignore[call-arg]
    cw.Explorer(net, file=False)  # type: ignore[call-arg]
    cw.ComparePanel(net)  # type: ignore[call-arg]
    cw.TrainingRecorder(own, evry=3)  # type: ignore[call-arg]
    cw.TrainingPanel()  # type: ignore[call-arg]
    cw.visualize_units(net, "fire5_concat", unit=3)  # type: ignore[call-arg]
    cw.visualize_units(net, 5, units=[3])  # type: ignore[arg-type]
    cw.class_activation_map(net, picture, method=3)  # type: ignore[arg-type]
    cw.explain(net, picture, units="six")  # type: ignore[arg-type]
    cw.attribution(net, picture, sample=3)  # type: ignore[call-arg]
    cw.deepdream(net, picture, layer="conv1")  # type: ignore[call-arg]
    cw.objectives.channel("conv1", 3, layer_name=1)  # type: ignore[call-arg]
    cw.load_network(3)  # type: ignore[arg-type]
    print(cw.no_such_name)  # type: ignore[attr-defined]
    print(cw.visualize_units(net, "fire5_concat", units=[1]).picture)  # type: ignore[attr-defined]
