"""Heatmap methods in a student's words, and the right one for each depth."""

from __future__ import annotations

from cnnwidgets.explain.attribution import METHODS as ATTRIBUTIONS
from cnnwidgets.explain.class_activation_map import MAP_METHODS
from cnnwidgets.model.settings import Method

AT_THE_END, BEFORE = "grad_cam", "layer_cam"  # what is right at the last layer, and at earlier ones

# What it is called, and what it shows.
WORDS = {
    "grad_cam": ("Grad-CAM", "Weighs each channel by its mean gradient. For one class; right at the last layer."),
    "grad_cam_plus_plus": ("Grad-CAM++", "Grad-CAM that counts several copies of an object. For one class."),
    "hirescam": ("HiResCAM", "Each cell by its own gradient: what really adds up. For one class; at the last layer."),
    "xgrad_cam": ("XGrad-CAM", "Weighs each channel's gradient where it is active. For one class; at the last layer."),
    "layer_cam": ("LayerCAM", "Each cell by its own positive gradient. For one class; right at early layers too."),
    "score_cam": ("Score-CAM", "Looks at the picture through its most varied channels. For one class; slow."),
    "ablation_cam": ("Ablation-CAM", "Switches off one channel after another. For one class; no gradient, slow."),
    "eigen_cam": ("Eigen-CAM", "What stands out most at the layer. Not class-specific: the same for every class."),
    "gradient": ("Gradient", "Which pixels would change the output most. For one class; grainy."),
    "gradient_x_input": ("Gradient x input", "The gradient times the pixel. For one class; dark pixels count nothing."),
    "smoothgrad": ("SmoothGrad", "The mean gradient of noisy copies, less grainy. For one class."),
    "integrated_gradients": ("Integrated gradients", "The gradient on the way from black to the picture. One class."),
    "guided_backprop": ("Guided backprop", "Redraws fine edges. Not class-specific: much the same for every class."),
    "occlusion": ("Occlusion", "Covers part after part and measures how the output falls. For one class; slow."),
    "rise": ("RISE", "Covers random halves and sees which regions help. For one class; slow."),
}  # fmt: skip

# Maps as fine as pixels would be lost on a bright photograph.
FINE = {"gradient", "gradient_x_input", "smoothgrad", "integrated_gradients", "guided_backprop"}


def is_map(method: str) -> bool:
    """Whether it maps a layer, rather than the picture's own pixels."""
    return method in MAP_METHODS


def check(method: object) -> str:
    """The method itself.

    Raises:
        BadTarget: where there is none of that name.
    """
    return Method("heatmap", (*MAP_METHODS, *ATTRIBUTIONS))("method", method)


def label(method: str) -> str:
    """What it is called."""
    return WORDS[method][0]


def sentence(method: str) -> str:
    """What it shows."""
    return WORDS[method][1]
