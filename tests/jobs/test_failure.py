"""Exceptions as one line of text, also those that graphs and layers wrap."""

from __future__ import annotations

import pytest

from cnnwidgets.errors import BadTarget
from cnnwidgets.jobs.failure import LONGEST_LINE, Failure

TRACED = """in user code:

    File "/tmp/x.py", line 10, in a  *
        if y > 0: raise ValueError("boom inside")

    ValueError: boom inside
    second line
"""
TRACED_TWICE = """in user code:

    File "/tmp/x.py", line 20, in outer  *
        return inner(x)

    ValueError: in user code:
    \n        File "/tmp/x.py", line 10, in inner  *
            raise ValueError("boom deep inside")
    \n        ValueError: boom deep inside
"""
TRACED_LAYER = """in user code:

    File "/tmp/x.py", line 43, in f  *
        def f(x): return m(x)
    File "/lib/input_spec.py", line 239, in assert_input_compatibility
        raise ValueError(

    ValueError: Exception encountered when calling Sequential.call().
    \n    \x1b[1mInput 0 of layer 'dense' has the wrong shape\x1b[0m
    \n    Arguments received by Sequential.call():
      • inputs=tf.Tensor(shape=(1, 5), dtype=float32)
"""
PYTHON_IN_GRAPH = """Graph execution error:

Detected at node EagerPyFunc defined at (most recent call last):
  File "/tmp/x.py", line 17, in <module>

KeyError: 'boom py'
Traceback (most recent call last):

  File "/lib/script_ops.py", line 267, in __call__
    return func(device, token, args)
           ^^^^^^^^^^^^^^^^^^^^^^^^^

KeyError: 'boom py'


\t [[{{node EagerPyFunc}}]] [Op:__inference_b_20]"""
GRAPH = """Graph execution error:

Detected at node zeros defined at (most recent call last):
  File "/tmp/x.py", line 48, in <module>

Cannot parse tensor from proto: dtype: DT_FLOAT

\t [[{{node zeros}}]] [Op:__inference_g_131]"""
EAGER = "{{function_node __wrapped__Reshape_device_/job:localhost}} Input has 3 values, not 4 [Op:Reshape]"
LAYER = (
    "Exception encountered when calling L.call().\n\n\x1b[1mlayer is broken\x1b[0m\n\nArguments received by L.call():"
)


@pytest.mark.parametrize(
    ("message", "kind", "line"),
    [
        ("no layer 'nope'; nearest: conv1", "RuntimeError", "no layer 'nope'; nearest: conv1"),
        ("\n\n  first\nsecond", "RuntimeError", "first"),
        ("cannot read: ValueError: half a file", "RuntimeError", "cannot read: ValueError: half a file"),
        ("", "RuntimeError", "RuntimeError"),
        (TRACED, "ValueError", "boom inside"),
        (TRACED_TWICE, "ValueError", "boom deep inside"),
        (TRACED_LAYER, "ValueError", "Input 0 of layer 'dense' has the wrong shape"),
        (PYTHON_IN_GRAPH, "KeyError", "'boom py'"),
        (GRAPH, "RuntimeError", "Cannot parse tensor from proto: dtype: DT_FLOAT"),
        (EAGER, "RuntimeError", "Input has 3 values, not 4"),
        (LAYER, "RuntimeError", "layer is broken"),
    ],
)
def test_the_line_is_the_one_that_says_what_was_wrong(message: str, kind: str, line: str) -> None:
    failure = Failure.of(RuntimeError(message))
    assert (failure.kind, failure.line) == (kind, line)
    assert failure.types[0] == "RuntimeError"


def test_an_error_of_ours_raised_while_tracing_keeps_its_kind() -> None:
    failure = Failure.of(
        BadTarget('in user code:\n\n    File "x.py", line 1\n\n    BadTarget: no unit 9; there are: 8\n')
    )
    assert (failure.kind, failure.line) == ("BadTarget", "no unit 9; there are: 8")
    assert {"BadTarget", "CnnWidgetsError", "ValueError"} <= set(failure.types)


class ResourceExhaustedError(Exception):
    """TensorFlow's, by its name."""


OOM_IN_GRAPH = """Graph execution error:

Detected at node random_normal defined at (most recent call last):
  File "/tmp/x.py", line 8, in <module>

OOM when allocating tensor with shape[16,224,224,64] and type float on /job:localhost/device:CPU:0 by allocator mklcpu
\t [[{{node random_normal}}]]
Hint: If you want to see a list of allocated tensors when OOM happens, add report_tensor_allocations_upon_oom
 [Op:__inference_function_18]"""
HELP = ". Take smaller pictures, fewer at once, or stop other kernels."


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ResourceExhaustedError(OOM_IN_GRAPH), f"for an array of 16 x 224 x 224 x 64 numbers{HELP}"),
        (MemoryError("Unable to allocate 728. TiB for an array with shape (7, 9) and data type float64"),
         f"for an array of 7 x 9 numbers{HELP}"),
        (MemoryError(), f"memory{HELP}"),
        (ValueError("in user code:\n\n    File 'x.py', line 1\n\n    MemoryError: no room\n"), f"memory{HELP}"),
    ],
)  # fmt: skip
def test_too_little_memory_is_told_with_its_size_and_what_helps(error: Exception, line: str) -> None:
    told = Failure.of(error).line
    assert told.startswith("There is not enough memory") and told.endswith(line)


def test_the_line_is_short_and_has_no_control_characters() -> None:
    line = Failure.of(ValueError("\x1b[31mred\x1b[0m\x00 \x07" + "x" * 1000)).line
    assert line.startswith("red") and line.isprintable() and len(line) == LONGEST_LINE


def test_an_error_whose_message_cannot_be_made_is_told_by_its_kind() -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise ValueError("no words")

    assert Failure.of(Mute()).line == "Mute"
