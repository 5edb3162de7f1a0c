"""Recipes: frozen, strict, one key for one picture, and source that only says what was set."""

from __future__ import annotations

import ast
import json
import pickle
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from cnnwidgets.errors import BadPicture, BadTarget
from cnnwidgets.pictures import to_png
from cnnwidgets.provenance.recipe import Recipe, installed_versions
from cnnwidgets.provenance.verbs import VERBS

UNITS = {"layer": "fire5_concat", "units": range(16), "size": 64, "steps": 32, "recipe": "fourier", "seed": 0}
EXAMPLES: dict[str, dict[str, Any]] = {
    "visualize_units": {**UNITS, "call": 0, "batch": 16},
    "visualize_classes": {"classes": ["goldfish", 933], "size": 128, "steps": 64, "recipe": "natural", "seed": 1},
    "ascend": {"layer": "fire5_concat", "unit": 12, "size": 224, "steps": 64, "seed": 0},
    "feature_maps": {"layers": ["conv1", "fire5_concat"]},
    "class_activation_map": {"layer": None, "target": "goldfish", "method": "grad_cam", "colormap": "viridis"},
    "attribution": {"target": 281, "method": "smoothgrad", "seed": 0},
    "unit_attribution": {"layer": "conv1", "target": 281, "against": [285], "shown": [3], "columns": 1, "seed": 0},
    "faithfulness": {
        "heat": {"verb": "attribution", "method": "gradient"},
        "metric": "road",
        "steps": 8,
        "fill": "blur",
    },
    "deepdream": {"layers": {"m/5": 0.5, "m3": 1.0}, "octaves": 4, "octave_scale": 1.4, "steps": 10, "step_size": 0.02},
    "adversarial": {"target": None, "method": "gradient", "epsilon": 2 / 255, "steps": 10, "picture": 64 * "a"},
    "accentuate": {"layer": "conv1", "unit": 3, "strength": 1.0, "steps": 32, "seed": 0, "picture": 64 * "a"},
    "concepts": {"layer": "conv1", "target": "tabby", "count": 8, "importance": "sobol", "picture": 64 * "a"},
    "caricature": {"layer": "conv1", "steps": 64, "power": 2.0, "call": 0, "seed": 0, "picture": 64 * "a"},
}
HOSTILE = [
    '"); import os; os.system("x") #',
    "'); import os #",
    "\"\"\"' + __import__('os').name + '",
    "{layer} {0} {__class__} %s",
    "a\nimport os\n",
    "\\",
    "\\'",
    "\0\x1b[31m",
    "\u202e\u2028\u2029\ud800🙂",
    "<img src=x onerror=alert(1)>",
    "x" * 10_000,
    "..",
]


def made(verb: str = "visualize_units", settings: Mapping[str, Any] | None = None, **other: Any) -> Recipe:
    values = {
        "network": "squeezenet",
        "fingerprint": 64 * "0",
        "settings": EXAMPLES[verb] if settings is None else settings,
        "versions": {"keras": "3.15.1"},
        "device": "cpu",
    }
    return Recipe(verb, **(values | other))


# A frozen value


def test_every_verb_has_an_example() -> None:
    assert set(EXAMPLES) == set(VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_a_recipe_survives_json_png_and_pickle(verb: str) -> None:
    recipe = made(verb)
    copies = [
        Recipe.from_json(recipe.to_json()),
        Recipe.from_dict(recipe.to_dict()),
        Recipe.from_png(to_png(np.zeros((4, 4)), recipe.to_dict())),
        pickle.loads(pickle.dumps(recipe)),
    ]
    for copy in copies:
        assert copy == recipe
        assert hash(copy) == hash(recipe)
        assert copy.key() == recipe.key()
        assert copy.snippet() == recipe.snippet()


def test_nobody_can_change_a_recipe() -> None:
    mine = {"layers": {"conv1": 1.0}, "steps": 10}
    recipe = made("deepdream", mine)
    before = recipe.to_json()
    mine["layers"]["conv1"] = 2.0
    mine["steps"] = 11
    recipe.to_dict()["settings"]["steps"] = 12
    with pytest.raises(AttributeError):
        recipe.device = "gpu"
    with pytest.raises(TypeError):
        recipe.settings["steps"] = 13
    with pytest.raises(TypeError):
        recipe.settings["layers"]["conv1"] = 14
    assert recipe.to_json() == before
    assert made(settings=UNITS).settings["units"] == tuple(range(16))


def test_numpy_s_numbers_and_ranges_become_plain() -> None:
    plain = made(settings={**UNITS, "units": [0, 1], "seed": 3})
    assert made(settings={**UNITS, "units": np.arange(2), "seed": np.int64(3)}) == plain
    assert made(settings={**UNITS, "units": range(2), "seed": 3}) == plain


# The key


def test_the_key_is_new_for_everything_that_changes_a_pixel() -> None:
    recipes = [
        made(),
        made("ascend"),
        made(network="mine"),
        made(fingerprint=64 * "1"),
        made(versions={"keras": "3.15.2"}),
        made(versions={"keras": "3.15.1", "numpy": "2"}),
        made(device="gpu"),
        *(
            made(settings={**EXAMPLES["visualize_units"], name: 7})
            for name in ("size", "steps", "seed", "batch", "jit")
        ),
        made(settings={**UNITS, "units": [1]}),
    ]
    assert len({recipe.key() for recipe in recipes}) == len(recipes) == len(set(recipes))
    assert all(len(recipe.key()) == 64 for recipe in recipes)


def test_the_key_does_not_depend_on_order() -> None:
    for verb in ("visualize_units", "deepdream"):
        backwards = {k: EXAMPLES[verb][k] for k in reversed(EXAMPLES[verb])}
        if verb == "deepdream":
            backwards["layers"] = dict(reversed(backwards["layers"].items()))
        assert made(verb, backwards).key() == made(verb).key()
        assert made(verb, backwards).snippet() == made(verb).snippet()


# What is refused


def test_an_unknown_verb_or_setting_is_named_with_those_there_are() -> None:
    with pytest.raises(BadTarget, match="no verb 'visualise_units'.*nearest: visualize_units"):
        Recipe("visualise_units", "n", 64 * "0", UNITS, {}, "cpu")
    with pytest.raises(BadTarget, match="no setting 'stepz'; nearest: steps"):
        made(settings={**UNITS, "stepz": 1})
    with pytest.raises(BadTarget, match="lacks its layer"):
        made(settings={"units": [1]})


class Odd:
    pass


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        2**70,
        10**5000,
        Odd(),
        print,
        b"bytes",
        {1: 2},
        {1, 2},
        1j,
        [[[[[1]]]]],
        range(10**12),
        [0] * 10_001,
        np.array([np.nan]),
    ],
    ids=range(14),
)
def test_a_value_that_is_not_json_or_too_much_is_refused(value: object) -> None:
    with pytest.raises(BadTarget, match="is not a value for a recipe"):
        made(settings={**UNITS, "seed": value})


@pytest.mark.parametrize(
    "other",
    [
        {"fingerprint": "abc"},
        {"fingerprint": 64 * "G"},
        {"fingerprint": 64 * "0" + "\n"},
        {"fingerprint": None},
        {"network": 3},
        {"device": ["cpu"]},
        {"versions": "3.15"},
        {"settings": [1]},
        {"network": "x" * 300_000},
    ],
    ids=range(9),
)
def test_a_field_of_another_kind_is_refused(other: dict[str, Any]) -> None:
    with pytest.raises(BadTarget) as caught:
        made(**other)
    assert len(str(caught.value)) < 300


def test_what_is_no_fingerprint_is_told_where_to_get_one() -> None:
    with pytest.raises(BadTarget, match=r"'abc' is not a fingerprint.*64 digits of net\.fingerprint\(\)"):
        made(fingerprint="abc")


GOOD = json.loads(made().to_json())


def nested(depth: int) -> str:
    return json.dumps(GOOD).replace('"fire5_concat"', "[" * depth + "]" * depth)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not json",
        "null",
        "[]",
        "{}",
        "3",
        '"text"',
        json.dumps({**GOOD, "more": 1}),
        json.dumps({k: v for k, v in GOOD.items() if k != "device"}),
        json.dumps({**GOOD, "verb": "os.system"}),
        json.dumps({**GOOD, "verb": "__class__"}),
        json.dumps({**GOOD, "settings": {**GOOD["settings"], "__import__": 1}}),
        json.dumps({**GOOD, "settings": {**GOOD["settings"], "seed": 1e300 * 1e10}}),
        json.dumps({**GOOD, "device": "x" * 2**18}),
        json.dumps(GOOD) + " " * 2**18,
        "[" * 200_000,
        "1" * 200_000,
        None,
        3,
    ],
    ids=range(19),
)
def test_hostile_json_is_refused(text: object) -> None:
    with pytest.raises(BadTarget) as caught:
        Recipe.from_json(text)
    assert len(str(caught.value)) < 500


def test_json_that_is_too_deep_is_refused() -> None:
    for depth in [*range(5, 1100, 3), *range(960, 1000), 50_000]:
        with pytest.raises(BadTarget):
            Recipe.from_json(nested(depth))


def test_a_png_without_a_recipe_is_refused() -> None:
    with pytest.raises(BadPicture, match="no settings"):
        Recipe.from_png(to_png(np.zeros((4, 4))))
    with pytest.raises(BadTarget, match="is not a recipe"):
        Recipe.from_png(to_png(np.zeros((4, 4)), {"verb": "ascend"}))


# The snippet


def test_the_snippet_of_a_bundled_network_is_complete() -> None:
    assert made(settings=UNITS).snippet() == (
        "import cnnwidgets as cw\n\n"
        'net = cw.load_network("squeezenet")\n'
        'pics = cw.visualize_units(net, "fire5_concat", units=range(0, 16), size=64, steps=32, '
        'recipe="fourier", seed=0)\n'
    )


def test_the_snippet_of_another_network_uses_the_reader_s() -> None:
    assert made("ascend", network="my net").snippet() == (
        "import cnnwidgets as cw\n\n"
        'for frame in cw.ascend(net, cw.objectives.channel("fire5_concat", 12), size=224, steps=64, seed=0):\n'
        "    pass\n"
    )


def test_a_picture_s_path_is_written_where_it_is_used() -> None:
    assert 'picture = cw.load_picture("cat.png")\n' in made("attribution").snippet("cat.png")
    assert "load_picture" not in made("attribution").snippet()
    assert "load_picture" not in made().snippet("cat.png")


MAP = EXAMPLES["faithfulness"]["heat"]


@pytest.mark.parametrize(
    "settings",
    [
        {"heat": MAP, "target": {"class": 1}},
        {"heat": MAP, "target": {"class": 1, "box": [0, 0, 0, 1]}},
        {"heat": MAP, "target": {"class": 1, "mask": "'); import os #", "size": [4, 4]}},
        {"heat": 3},
        {"heat": {}},
        {"heat": {"a": MAP, "b": {"verb": "ascend"}}},
        {"heat": {**MAP, "verb": "os.system('ls')"}},
        {"heat": {**MAP, "index": "0); import os"}},
        {"heat": {**MAP, "stepz": 3}},
    ],
    ids=range(9),
)
def test_a_damaged_region_or_map_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(BadTarget):
        made("faithfulness", settings)


class Recorder:
    """Stands for the package: remembers what was called, and yields where the verb does."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        self.objectives = self

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any, **keywords: Any) -> Any:
            self.calls.append((name, arguments, keywords))
            if VERBS.get(name) and VERBS[name].leaves in ("frame", "heat"):
                return ["last"]
            return name

        return call


@pytest.mark.parametrize(("verb", "leaves"), [(verb, how.leaves) for verb, how in VERBS.items()])
def test_running_the_snippet_calls_the_verb_with_every_setting(verb: str, leaves: str) -> None:
    package = Recorder()
    names: dict[str, Any] = {"cw": package, "picture": "mine", "pictures": "ours"}
    source = made(verb).snippet()
    assert source.startswith("import cnnwidgets as cw\n")
    exec(compile(source.removeprefix("import cnnwidgets as cw\n"), "snippet", "exec"), names)
    assert names[leaves] == {"frame": "last", "heat": ["last"]}.get(leaves, verb)
    name, arguments, keywords = package.calls[-1]
    assert name == verb
    assert arguments[0] == "load_network"  # what the recorder gave for the network
    if verb == "faithfulness":
        assert package.calls[-2] == ("attribution", ("load_network", "mine"), {"method": "gradient"})
        assert arguments == ("load_network", "mine", "last")
    given = {**keywords, **{k: v for k, v in EXAMPLES[verb].items() if k in VERBS[verb].required}}
    expected = {k: v for k, v in EXAMPLES[verb].items() if k in VERBS[verb].settings}
    assert {k: list(v) if isinstance(v, range) else v for k, v in given.items()} == {
        k: list(v) if isinstance(v, range) else v for k, v in expected.items()
    }
    if verb == "ascend":
        assert package.calls[-2] == ("channel", ("fire5_concat", 12), {})


@pytest.mark.parametrize(
    ("units", "source"),
    [
        ([3, 4, 5], "range(3, 6)"),
        ([3], "[3]"),
        ([5, 4], "[5, 4]"),
        ([0, 2], "[0, 2]"),
        ([True, 2], "[True, 2]"),
        ([], "[]"),
    ],
)
def test_consecutive_units_are_a_range_others_a_list(units: list[int], source: str) -> None:
    assert f"units={source}" in made(settings={**UNITS, "units": units}).snippet()


def test_a_size_of_two_is_a_tuple() -> None:
    assert "size=(64, 48)" in made(settings={**UNITS, "size": [64, 48]}).snippet()


def test_a_long_call_has_an_argument_a_line() -> None:
    source = made(settings={**UNITS, "units": list(range(0, 200, 2))}).snippet()
    assert "\n    size=64,\n" in source
    compile(source, "snippet", "exec")


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_names_stay_strings(text: str) -> None:
    sources = [
        made(settings={**UNITS, "layer": text, "recipe": text}).snippet(),
        made("ascend", {**EXAMPLES["ascend"], "layer": text}, network=text).snippet(),
        made("deepdream", {"layers": {text: 1.0}}).snippet(text),
        made("visualize_classes", {"classes": [text, text]}).snippet(text),
    ]
    for source in sources:
        compile(source, "snippet", "exec")
        tree = ast.parse(source)
        texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and node.value == text]
        assert texts
        names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        assert names <= {"cw", "net", "picture", "pics", "frame", "range"}
        assert len([n for n in ast.walk(tree) if isinstance(n, ast.Import)]) == 1
        assert all(c.isprintable() or c == "\n" for c in source)


def test_versions_are_those_installed() -> None:
    versions = installed_versions()
    assert set(versions) == {"cnnwidgets", "tensorflow", "keras", "numpy"}
    assert versions["numpy"] == np.__version__
    assert "unknown" not in versions.values()
