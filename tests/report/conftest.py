"""Tiny models, shared with the other rooms."""

from tests.tiny_networks import build, net, noise  # noqa: F401
