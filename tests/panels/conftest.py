"""A small network, a panel whose run the test holds in its hand, and a page that is only noted down."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import comm
import ipywidgets as widgets
import numpy as np
import pytest
from comm.base_comm import BaseComm
from ipywidgets.widgets import widget as registry

from cnnwidgets.frame import Frame
from cnnwidgets.jobs import worker
from cnnwidgets.model.backend import keras
from cnnwidgets.model.network import Network
from cnnwidgets.panels.base.panel import Panel
from tests.tiny_networks import fill

L = keras.layers


@pytest.fixture(scope="session")
def waiting() -> Callable[..., None]:
    """`waiting(condition)` waits for something that another thread does, and fails after some seconds."""

    def wait(condition: Callable[[], Any], seconds: float = 20.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "waited in vain"
            time.sleep(0.005)

    return wait


def small(first: str = "conv1", name: str = "small", classes: str = "logits") -> Any:
    """Two convolutions for pictures of any size; unit 3 of the second never fires."""
    x = picture = keras.Input((None, None, 3), name="picture")
    x = L.Conv2D(6, 3, padding="same", activation="relu", name=first)(x)
    x = L.Conv2D(20, 3, padding="same", activation="relu", name="conv2")(x)
    x = L.Dense(4, name=classes)(L.GlobalAveragePooling2D(name="gap")(x))
    model = fill(keras.Model(picture, x, name=name))
    kernel, bias = model.get_layer("conv2").weights
    kernel.assign(kernel.numpy() * (np.arange(20) != 3))
    bias.assign(np.where(np.arange(20) == 3, -1.0, bias.numpy()))
    return model


@pytest.fixture(scope="session")
def build() -> Callable[..., Any]:
    """`build()` makes the small Keras model; `first`, `name` and `classes` name its parts."""
    return small


@pytest.fixture(scope="session")
def net() -> Network:
    """The small network, one for all tests, so that nothing is traced twice; leave its weights alone."""
    return Network(small())


@pytest.fixture(scope="session")
def named() -> Network:
    """The small network with class names, one of which is HTML."""
    return Network(small(), class_names=["ant", "bee", "cat", "<b>dog</b>"])


@pytest.fixture(scope="session")
def photo() -> np.ndarray:
    """Noise with a bright patch, [24, 32, 3]."""
    picture = np.random.default_rng(3).uniform(0, 0.4, (24, 32, 3)).astype(np.float32)
    picture[4:12, 18:28] += 0.6
    return picture


@pytest.fixture
def settled(waiting: Callable[..., None]) -> Callable[[Any], None]:
    """`settled(panel)` waits until nothing is asked, rendered or painted any more."""
    return lambda panel: waiting(lambda: panel.state != "running" and worker().jobs == ())


class Reel:
    """A run in the test's hand: steps come as they are let through, all of them after `open`."""

    def __init__(self, steps: int = 5, error: BaseException | None = None, error_at: int = 0) -> None:
        self.steps, self.error, self.error_at = steps, error, error_at
        self.made = 0
        self.is_computing = False
        self.closed = False
        self._let = threading.Semaphore(0)
        self._open = threading.Event()

    def let(self, steps: int = 1) -> None:
        """Let this many steps be made."""
        self._let.release(steps)

    def open(self) -> None:
        """Let all steps be made."""
        self._open.set()

    def frames(self) -> Iterator[Frame]:
        try:
            for step in range(1, self.steps + 1):
                self.is_computing = True
                while not self._open.is_set() and not self._let.acquire(timeout=0.01):
                    pass
                time.sleep(0.003)
                self.is_computing = False
                if self.error is not None and step == self.error_at:
                    raise self.error
                self.made = step
                yield Frame(picture_of(step), step, self.steps, np.array([float(step)]))
        finally:
            self.closed = True


def picture_of(step: int) -> np.ndarray:
    """What the reel shows at a step, [1, 16, 16, 3]."""
    return np.full((1, 16, 16, 3), step / 255, np.float32)


class Toy(Panel):
    """A panel that runs whatever reel it holds."""

    def __init__(self, net: Any) -> None:
        self.reel = Reel()
        self.seen_clicks: list[tuple[float, float]] = []
        super().__init__(net, width=64)
        self._assemble()

    def _frames(self) -> Iterator[Frame]:
        return self.reel.frames()

    def _paint(self, frame: Frame) -> np.ndarray:
        return frame.pictures[0]

    def _settings(self) -> tuple[str, dict[str, Any]]:
        return "ascend", {"layer": "conv1", "unit": 0, "size": 16, "steps": self.reel.steps, "seed": 0}

    def _clicked(self, x: float, y: float) -> None:
        self.seen_clicks.append((x, y))


@pytest.fixture
def reel() -> type[Reel]:
    """`panel.reel = reel(steps, error, error_at)` is what the toy panel runs next."""
    return Reel


@pytest.fixture
def shown_at() -> Callable[[int], np.ndarray]:
    """`shown_at(step)` is the picture of a reel's step, [H, W, C]."""
    return lambda step: picture_of(step)[0]


@pytest.fixture
def toy(net: Network) -> Iterator[Toy]:
    """A panel in the test's hand."""
    toy = Toy(net)
    yield toy
    toy.reel.open()
    toy.close()


@pytest.fixture
def opened() -> Iterator[Callable[[Any], Any]]:
    """`opened(panel)` is the panel, which is closed after the test."""
    panels: list[Any] = []

    def note(panel: Any) -> Any:
        panels.append(panel)
        return panel

    yield note
    for panel in panels:
        panel.close()


@pytest.fixture(autouse=True)
def no_job_left() -> Iterator[None]:
    """Fail a test that leaves the worker something to do."""
    yield
    deadline = time.monotonic() + 5
    while worker().jobs and time.monotonic() < deadline:
        time.sleep(0.01)
    assert worker().jobs == ()


class Page(BaseComm):
    """Notes what a widget sends to its page."""

    sent: list[tuple[str, dict[str, Any]]] = []

    def publish_msg(self, msg_type: str, data: Any = None, **others: Any) -> None:
        self.sent.append((self.comm_id, data or {}))


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Page]]:
    """Widgets made in this test are kept by their registry, as in a kernel, and what they send is in `page.sent`."""
    before = dict(registry._instances)
    registry._instances.clear()
    monkeypatch.setattr(Page, "sent", [])
    monkeypatch.setattr(comm, "create_comm", lambda **keywords: Page(**keywords))
    yield Page
    registry._instances.clear()
    registry._instances.update(before)


@pytest.fixture
def living() -> Callable[[], list[widgets.Widget]]:
    """`living()` are the widgets that the registry keeps."""
    return lambda: list(registry._instances.values())


@pytest.fixture
def texts() -> Callable[[Any], list[str]]:
    """`texts(panel)` is the HTML of every widget inside it."""

    def of(box: Any) -> list[str]:
        found = [box.value] if isinstance(box, widgets.HTML) else []
        for child in getattr(box, "children", ()):
            found += of(child)
        return found

    return of
