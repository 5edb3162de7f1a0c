"""Operations of TensorFlow by what they do with numbers, for trails and for dependence."""

from __future__ import annotations

# On each number by itself: curves, whose derivative may be 0 although the number matters.
CURVES = (
    "Abs", "Ceil", "ClipByValue", "Cos", "Elu", "Erf", "Erfc", "Exp", "Expm1", "Floor", "LeakyRelu", "Log", "Log1p",
    "Neg", "Reciprocal", "Relu", "Relu6", "Rint", "Round", "Rsqrt", "Selu", "Sigmoid", "Sign", "Sin", "Softplus",
    "Softsign", "Sqrt", "Square", "StopGradient", "Tan", "Tanh",
)  # fmt: skip
# On each number by itself: its derivative is never 0, or there is none.
PASSING = (
    "BiasAdd", "Cast", "CheckNumerics", "EnsureShape", "FakeQuantWithMinMaxArgs", "FakeQuantWithMinMaxVars",
    "FakeQuantWithMinMaxVarsPerChannel", "FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3", "Identity",
    "IdentityN", "Inv", "IsFinite", "IsInf", "IsNan", "LRN", "LogicalNot", "PlaceholderWithDefault",
    "PreventGradient",
)  # fmt: skip
# On all numbers of the last axis together.
ALONG_LAST = ("LogSoftmax", "Softmax")
# On pairs of numbers, whose derivative may be 0 although both matter.
PRODUCTS = (
    "Atan2", "DivNoNan", "Maximum", "Minimum", "Mul", "MulNoNan", "Pow", "RealDiv", "SquaredDifference", "Sub",
    "Xdivy", "Xlogy",
)  # fmt: skip
# On pairs of numbers: sums, whose derivative is never 0, comparisons, and others without one.
OTHER_PAIRS = (
    "Add", "AddN", "AddV2", "Div", "Equal", "FloorDiv", "FloorMod", "Greater", "GreaterEqual", "Less", "LessEqual",
    "LogicalAnd", "LogicalOr", "Mod", "NotEqual", "Select", "SelectV2",
)  # fmt: skip
# Numbers that only move.
MOVES = (
    "BatchToSpaceND", "BroadcastTo", "DepthToSpace", "ExpandDims", "Gather", "GatherNd", "GatherV2", "MirrorPad",
    "Pack", "Pad", "PadV2", "Reshape", "ReverseV2", "Roll", "Slice", "SpaceToBatchND", "SpaceToDepth", "Split",
    "SplitV", "Squeeze", "StridedSlice", "Tile", "Unpack",
)  # fmt: skip
RESIZES = (
    "CropAndResize", "ImageProjectiveTransformV3", "ResizeArea", "ResizeBicubic", "ResizeBilinear",
    "ResizeNearestNeighbor", "ScaleAndTranslate",
)  # fmt: skip
