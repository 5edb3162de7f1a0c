"""The tiny networks, as fixtures."""

from tests.tiny_networks import build, net, noise, run, snapshot_of, value_of  # noqa: F401
