"""Tasks in stretches: each layer on few workers, nothing lost, nothing twice."""

from collections import defaultdict

import numpy as np
import pytest

from cnnwidgets.atlas.dispatch import Stretches


def layers_of(*counts):
    return [[(layer, number) for number in range(count)] for layer, count in enumerate(counts)]


def rendered(stretches, speeds, lost=None):
    """Who renders what, when a worker takes so long for a task; a worker may be lost after so many tasks."""
    made, clocks, counts = defaultdict(list), dict.fromkeys(speeds, 0.0), defaultdict(int)
    while len(stretches):
        worker = min(clocks, key=clocks.get)
        item = stretches.next_for(worker)
        if item is None:
            del clocks[worker]
            continue
        if lost and worker == lost[0] and counts[worker] == lost[1]:
            stretches.give_back(worker, [item])
            del clocks[worker]
            lost = None
            continue
        counts[worker] += 1
        clocks[worker] += speeds[worker]
        made[worker].append(item.task)
    return made


@pytest.mark.parametrize("workers", [1, 2, 3, 4, 7])
def test_workers_trace_few_layers(workers):
    """As many as there are, and one more for each cut."""
    counts = [4, 4, 1, 8, 8, 2, 16, 16, 3, 3, 12, 1]
    names = [f"w{number}" for number in range(workers)]
    made = rendered(Stretches(layers_of(*counts), names), dict.fromkeys(names, 1.0))
    traces = sum(len({layer for layer, _ in tasks}) for tasks in made.values())
    assert traces <= len(counts) + 2 * (workers - 1)
    most = max(map(len, made.values()))
    assert most <= -(-sum(counts) // workers) + 1, "nobody waits for the slowest"


def test_a_worker_renders_its_layers_in_order():
    made = rendered(Stretches(layers_of(3, 3, 3, 3), ["a", "b"]), {"a": 1.0, "b": 1.0})
    assert dict(made) == {
        "a": [*layers_of(3, 3)[0], *layers_of(3, 3)[1]],
        "b": [(n, i) for n in (2, 3) for i in range(3)],
    }


def test_a_slow_worker_is_helped():
    made = rendered(Stretches(layers_of(*[4] * 12), ["fast", "slow"]), {"fast": 1.0, "slow": 5.0})
    assert 7 <= len(made["slow"]) <= 10
    assert len({layer for layer, _ in made["fast"]}) + len({layer for layer, _ in made["slow"]}) <= 15


def test_a_worker_that_comes_later_gets_work():
    stretches = Stretches(layers_of(8, 8), ["a"])
    stretches.next_for("a")
    assert stretches.next_for("late").task[0] == 1


def test_one_layer_is_shared_too():
    made = rendered(Stretches(layers_of(10), ["a", "b"]), {"a": 1.0, "b": 1.0})
    assert {worker: len(tasks) for worker, tasks in made.items()} == {"a": 5, "b": 5}


def test_a_property_of_all():
    """Any layers, workers, speeds and a loss: each task is rendered once."""
    numbers = np.random.default_rng(0)
    for _ in range(300):
        counts = numbers.integers(0, 9, numbers.integers(0, 7)).tolist()
        names = [f"w{number}" for number in range(numbers.integers(1, 6))]
        stretches = Stretches(layers_of(*counts), names)
        assert len(stretches) == sum(counts)
        lost = (names[0], int(numbers.integers(0, 5))) if len(names) > 1 else None
        made = rendered(stretches, {name: float(numbers.random() + 0.1) for name in names}, lost)
        everything = sorted(task for tasks in made.values() for task in tasks)
        assert everything == sorted(task for layer in layers_of(*counts) for task in layer)


def test_when_all_workers_are_lost_the_next_ones_continue():
    stretches = Stretches(layers_of(2, 2), ["a", "b"])
    sent = {worker: [stretches.next_for(worker)] for worker in ("a", "b")}
    for worker, items in sent.items():
        stretches.give_back(worker, items)
    assert len(stretches) == 4
    assert sorted(task for tasks in rendered(stretches, {"c": 1.0}).values() for task in tasks) == [
        (0, 0), (0, 1), (1, 0), (1, 1),
    ]  # fmt: skip
