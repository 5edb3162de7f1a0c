"""What the source never says, whoever wrote it: read as a syntax tree, nothing is imported."""

import ast
import functools

from tests.test_architecture import PACKAGE, below, source_files, uses

# What changes the user's session for good, or makes the same run another one.
THE_USERS = {
    "keras.backend.clear_session", "keras.utils.clear_session", "keras.backend.set_floatx", "keras.config.set_floatx",
    "keras.config.set_dtype_policy", "keras.config.set_image_data_format", "keras.mixed_precision.set_global_policy",
    "keras.config.set_backend", "keras.utils.set_random_seed", "tensorflow.random.set_seed", "numpy.random.seed",
    "random.seed", "tensorflow.keras", "tensorflow.config.run_functions_eagerly",
    "tensorflow.config.experimental.enable_op_determinism", "tensorflow.config.optimizer.set_jit",
    "tensorflow.config.threading.set_intra_op_parallelism_threads", "tensorflow.get_logger", "logging.disable",
    "warnings.filterwarnings", "warnings.simplefilter", "matplotlib.use", "sys.setrecursionlimit", "os.chdir",
    "signal.signal", "locale.setlocale", "os.environ.update", "os.putenv",
}  # fmt: skip
# Durations are taken from a clock that nobody sets; a network is called, since `predict` builds anew for each model.
WRONG_TOOL = {"time.time", "datetime.datetime.now", "gc.collect", "tempfile.mktemp"}
GLOBAL_RANDOM = {
    "tensorflow.random.normal", "tensorflow.random.uniform", "numpy.random.rand", "numpy.random.random",
    "numpy.random.normal", "numpy.random.uniform", "random.random", "random.choice", "random.shuffle",
}  # fmt: skip
NEVER = THE_USERS | WRONG_TOOL | GLOBAL_RANDOM
ALLOWED = {  # inside `catch_warnings`, for Pillow's and scikit-learn's own
    ("pictures/reading/files.py", "warnings.filterwarnings"),
    ("explain/concept_search/factorization.py", "warnings.simplefilter"),
}
TRAINS = "panels/training/training_run.py"  # `TrainingPanel.fit` is the user's own `fit`, on another thread
MARKUP = {"ipywidgets.HTML", "ipywidgets.HTMLMath", "IPython.display.HTML", "IPython.display.Markdown",
          "IPython.display.Javascript", "IPython.core.display.HTML", "ipywidgets.Output"}  # fmt: skip


KEYWORDS = {"jit_compile", "description_allow_html", "shell", "use_multiprocessing"}


@functools.cache
def sources():
    return [(file.relative_to(PACKAGE).as_posix(), file, tree) for file, _, tree in source_files(PACKAGE)]


def test_nobody_says_what_changes_the_users_session_or_the_run():
    said = {(path, line, name) for path, file, tree in sources() for line, name in uses(tree, file, PACKAGE)}
    assert len(said) > 1000, "nearly nothing was read, so nothing was checked"
    assert [one for one in said if below(one[2], NEVER) and (one[0], one[2]) not in ALLOWED] == []
    assert [one for one in said if below(one[2], MARKUP) and one[0] != "panels/base/markup.py"] == []


def test_nobody_passes_what_changes_the_run():
    found = [
        f"{path}:{node.value.lineno}: {node.arg}"
        for path, _, tree in sources()
        for node in ast.walk(tree)
        if isinstance(node, ast.keyword) and node.arg in KEYWORDS
    ]
    assert found == []


def test_no_keras_model_is_asked_by_predict():
    found = [
        f"{path}:{node.lineno}"
        for path, _, tree in sources()
        for node in ast.walk(tree) if path != TRAINS
        if isinstance(node, ast.Attribute) and node.attr in ("predict", "fit", "evaluate", "predict_on_batch")
        and isinstance(node.value, ast.Attribute | ast.Name)
        and (node.value.attr if isinstance(node.value, ast.Attribute) else node.value.id).endswith("model")
    ]  # fmt: skip
    assert found == []


def test_no_own_html_representation():
    """A page shows what `_repr_html_` returns without a word of ours in between."""
    names = {
        node.name
        for _, _, tree in sources()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name.startswith("_repr_")
    }
    assert names <= {"_repr_mimebundle_"}
