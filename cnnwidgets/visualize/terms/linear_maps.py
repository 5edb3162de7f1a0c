"""Maps that are linear in the picture, such as those of a first convolution before its activation function.

The mean of such a map depends on the picture's average color alone: it has no gradient for any pattern.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from cnnwidgets.model.backend import tf

# TensorFlow's operations that are linear in all their inputs together, or move values only.
_OF_ALL = frozenset((
    "AddN", "AddV2", "AvgPool", "BatchToSpaceND", "BiasAdd", "Cast", "ConcatV2", "EnsureShape", "ExpandDims",
    "Identity", "IdentityN", "Mean", "MirrorPad", "Neg", "Pack", "Pad", "PadV2", "Reshape", "ResizeBilinear",
    "SpaceToBatchND", "SpaceToDepth", "Split", "SplitV", "Squeeze", "StridedSlice", "Sub", "Sum", "Transpose", "Unpack",
))  # fmt: skip
# Those that are linear in one of their inputs while the others are fixed.
_OF_ONE = frozenset((
    "BatchMatMulV2", "Conv2D", "DepthwiseConv2dNative", "Einsum", "FusedBatchNormV3", "MatMul", "Mul", "RealDiv",
))  # fmt: skip

DEEPEST = 100  # operations that are followed: the first layers, with their preprocessing


def is_linear(tensor: Any, inputs: Iterable[Any]) -> bool:
    """Whether a tensor of a graph is a linear function of the inputs plus a constant; not known where run eagerly."""
    if not tf.is_symbolic_tensor(tensor):
        return False
    found = {value.name: (True, True) for value in inputs}

    def of(value: Any, depth: int = 0) -> tuple[bool, bool]:
        """Whether it depends on the inputs, and whether it is linear in them."""
        if value.name not in found:
            parts = [of(part, depth + 1) for part in value.op.inputs] if depth < DEEPEST else [(True, False)]
            depend = sum(depends for depends, _ in parts)
            fits = value.op.type in _OF_ALL or (value.op.type in _OF_ONE and depend == 1)
            found[value.name] = depend > 0, not depend or (fits and all(linear for _, linear in parts))
        return found[value.name]

    return of(tensor) == (True, True)
