"""The same bytes from workers; what happens when they die; who may not be connected to."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import numpy as np
import pytest
from distributed import Client, Future, LocalCluster
from PIL import Image

import cnnwidgets as cw
from cnnwidgets.atlas import cluster, dispatch, worker_task
from cnnwidgets.atlas.examples import part_responses
from cnnwidgets.atlas.render_atlas import AtlasSettings
from cnnwidgets.errors import BadModel, BadTarget, JobFailed
from tests.atlas.conftest import SETTINGS
from tests.atlas.stand_ins import deadly, deadly_for_some, nap
from tests.panels.conftest import small


@pytest.fixture(autouse=True)
def no_thread_left_behind() -> None:
    """A cluster keeps threads of its own for some time after it is closed."""


@pytest.fixture(scope="module")
def inside() -> Iterator[Client]:
    """A cluster inside this process."""
    with (
        LocalCluster(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None) as made,
        Client(made) as client,
    ):
        yield client


@pytest.fixture
def outside() -> Iterator[Client]:
    """A cluster of two processes for one test: one whose process was killed may never have two again."""
    with (
        cluster.local_cluster(2) as made,
        Client(made) as client,
    ):
        client.wait_for_workers(2, timeout=60)
        yield client


def test_workers_make_the_bytes_of_the_verb(net, tmp_path, same, inside):
    same(cw.render_atlas(net, tmp_path / "a", client=inside, **SETTINGS))
    assert (worker_task._payloads, worker_task._networks) == ({}, {}), "the network is taken back"


def test_what_was_stopped_goes_on_with_workers_and_without(net, tmp_path, same, inside):
    frames = AtlasSettings(client=inside, **SETTINGS).check(net, tmp_path / "a").frames()
    next(frames)
    assert next(frames).done > 0
    frames.close()
    assert sum(len(cw.open_atlas(tmp_path / "a").units(path)) for path in ("conv1", "conv2")) in range(1, 26)
    same(cw.render_atlas(net, tmp_path / "a", **SETTINGS))


def test_killed_workers_cost_nothing_but_time(net, tmp_path, same, outside):
    frames = AtlasSettings(client=outside, **SETTINGS).check(net, tmp_path / "a").frames()
    while next(frames).done == 0:
        pass
    for victim in outside.run(os.getpid).values():
        os.kill(victim, signal.SIGKILL)
    *_, last = frames
    assert (last.done, last.failed) == (26, 0)
    same(cw.open_atlas(tmp_path / "a"))


def test_what_kills_its_workers_is_marked_and_its_neighbours_finish(outside, monkeypatch):
    monkeypatch.setattr(dispatch, "LOSSES", 0)  # else it takes four deaths each time
    tasks = ["a", "b", "deadly", "c", "d"]
    made = dict(dispatch.results(outside, [tasks], deadly))
    assert set(made) == set(tasks), "each task is answered"
    assert [task for task, result in made.items() if result != task] == ["deadly"]
    assert isinstance(made["deadly"], dispatch.TaskFailed)
    assert "killed" in str(made["deadly"])


def test_tasks_are_submitted_in_bounded_numbers(inside):
    answers = dispatch.results(inside, [list(range(50))], deadly)
    next(answers)
    assert 0 < len(inside.futures) <= 2 * dispatch.WAITING + 2  # two threads; and two answers not yet forgotten
    assert len(list(answers)) == 49


def test_a_layer_stays_with_its_worker(outside):
    layers = [[0.02 + layer / 1e6] * 4 for layer in range(8)]
    made = list(dispatch.results(outside, layers, nap))
    assert len(made) == 32
    assert len({process for _, process in made}) == 2
    assert len(set(made)) <= 8 + 4, "each layer on one worker, but for the few where stretches are cut"


def test_when_all_workers_die_those_that_come_after_them_go_on(outside, tmp_path):
    before = set(outside.run(os.getpid).values())
    for process in before:
        (tmp_path / str(process)).touch()
    made = dict(dispatch.results(outside, [[f"{tmp_path}/a"], [f"{tmp_path}/b"]], deadly_for_some))
    assert set(made) == {f"{tmp_path}/a", f"{tmp_path}/b"}
    assert before.isdisjoint(made.values())


def test_an_error_on_the_way_is_a_reason_not_an_end(net, tmp_path, inside, monkeypatch):
    monkeypatch.setattr(worker_task, "open_group", lambda *arguments: (_ for _ in ()).throw(OSError("no such disk")))
    atlas = cw.render_atlas(net, tmp_path / "a", layers=["conv1"], client=inside, **SETTINGS)
    assert atlas.failed("conv1") == dict.fromkeys(range(6), "no such disk") and atlas.units("conv1") == ()


def test_a_worker_that_renders_other_bytes_is_not_used(net, tmp_path, inside, monkeypatch):
    monkeypatch.setattr(cluster, "common_environment", lambda client: ("gpu", {"keras": "4"}))
    atlas = cw.render_atlas(net, tmp_path / "a", layers=["conv1"], client=inside, **SETTINGS)
    assert atlas.units("conv1") == () and "would not match" in atlas.failed("conv1")[0]


def test_unlike_workers_are_refused(monkeypatch):
    class Two:
        def nthreads(self):
            return {"a": 1, "b": 1}

        def submit(self, function, workers, **options):
            return ("gpu" if workers == "a" else "cpu", {"keras": "3"})

        def gather(self, futures):
            return futures

    with pytest.raises(BadTarget, match="different bytes.*gpu.*cpu"):
        cluster.common_environment(Two())


# Your own pictures on the workers.


@pytest.fixture
def folder(tmp_path):
    """Nine pictures of two sizes, and two files that are none."""
    numbers, made = np.random.default_rng(0), tmp_path / "photos"
    made.mkdir()
    for index in range(9):
        blocks = numbers.integers(0, 256, (5 + index % 2, 6, 3), np.uint8)
        Image.fromarray(np.kron(blocks, np.ones((8, 8, 1), np.uint8))).save(made / f"{index}.png")
    (made / "broken.jpg").write_bytes(b"\xff\xd8\xff no")
    (made / "notes.txt").write_text("no")
    return made


@pytest.mark.parametrize("is_lost", [False, True])
def test_workers_find_the_examples_that_this_process_finds(net, folder, tmp_path, inside, monkeypatch, is_lost):
    monkeypatch.setattr(part_responses, "PART", 4)
    asked = {"layers": ["conv1"], "units": [0], "size": 16, "steps": 1}
    alone = cw.render_atlas(net, tmp_path / "a", pictures=str(folder), **asked)
    read, read_part = [], part_responses.read_part
    monkeypatch.setattr(worker_task, "read_part", lambda *given: read.append(given) or read_part(*given))
    if is_lost:  # a worker that does not have the files
        monkeypatch.setattr(
            worker_task, "read_part", lambda net, files, at: read_part(net, [tmp_path / "no"] * len(files), at)
        )
    shared = cw.render_atlas(net, tmp_path / "b", pictures=str(folder), client=inside, **asked)
    assert len(read) == (0 if is_lost else 3)
    assert shared.skipped == alone.skipped
    assert len(shared.skipped) == 2
    for unit in range(6):
        assert shared.patches("conv1", unit).tobytes() == alone.patches("conv1", unit).tobytes()
        assert [one.tolist() for one in shared.histogram("conv1", unit)] == [
            one.tolist() for one in alone.histogram("conv1", unit)
        ]


def test_pictures_that_are_no_files_stay_in_this_process(net, tmp_path, inside, monkeypatch):
    monkeypatch.setattr(worker_task, "read_part", None)
    pictures = np.random.default_rng(0).random((3, 40, 40, 3), np.float32)
    asked = {"layers": ["conv1"], "units": [0], "size": 16, "steps": 1}
    atlas = cw.render_atlas(net, tmp_path / "a", pictures=pictures, client=inside, **asked)
    assert atlas.histogram("conv1", 0)[0].sum() == 3


# Who may not be connected to.


@pytest.mark.parametrize(
    ("address", "is_safe"),
    [
        ("tcp://127.0.0.1:8786", True), ("tcp://[::1]:8786", True), ("tcp://localhost:1", True),
        ("inproc://10.0.0.5/1/2", True), ("tls://10.0.0.5:8786", True), ("wss://example.org:1", True),
        ("tcp://10.0.0.5:8786", False), ("tcp://example.org:8786", False), ("ws://10.0.0.5:1", False),
        ("tcp://127.0.0.1.evil.org:1", False), ("tcp://[2001:db8::1]:1", False), ("ucx://10.0.0.5:1", False),
        ("tcp://0.0.0.0:8786", False),
    ],
)  # fmt: skip
def test_a_scheduler_that_strangers_can_reach_is_not_safe(address, is_safe):
    assert cluster.is_safe(address) == is_safe


def test_what_is_not_safe_is_refused_unless_the_user_insists(inside, monkeypatch):
    monkeypatch.setattr(cluster, "is_safe", lambda address: False)
    with pytest.raises(BadTarget, match="allow_plain_tcp=True"):
        cluster.check_client(inside, allow_plain_tcp=False)
    cluster.check_client(inside, allow_plain_tcp=True)


def test_a_closed_client_is_refused(inside):
    client = Client(inside.cluster)
    client.close()
    with pytest.raises(BadTarget, match="closed"):
        cluster.check_client(client, allow_plain_tcp=False)


# What cannot travel.


@pytest.mark.parametrize("name", ["lambda", "function"])
def test_a_network_with_code_in_it_is_refused_before_anything_is_written(tmp_path, inside, name):
    from cnnwidgets.model.backend import keras

    model = small()
    if name == "lambda":
        picture = keras.Input((None, None, 3))
        model = keras.Model(picture, model(keras.layers.Lambda(lambda x: x / 2)(picture)))
    net = cw.Network(model, "unit" if name == "lambda" else lambda pictures: pictures / 255)
    with pytest.raises(BadModel, match="sent to other processes") as refusal:
        cw.render_atlas(net, tmp_path / "a", client=inside, **SETTINGS)
    assert ("Lambda" if name == "lambda" else "function") in str(refusal.value)
    assert not (tmp_path / "a").exists()


def test_a_lost_cluster_is_said(inside):
    answers = dispatch.results(inside, [[0.01, 1.0, 1.0]], nap)
    next(answers)
    inside.cancel([Future(key, inside) for key in list(inside.futures)])
    with pytest.raises(JobFailed, match="Finished pictures are kept"):
        list(answers)
