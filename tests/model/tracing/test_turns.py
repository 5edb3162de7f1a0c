"""Turns: batches that change weights, and device work that reads them, never at the same time, and none starves."""

import threading
import time

from cnnwidgets.model.tracing import compiled
from cnnwidgets.model.tracing.compiled import Turns


def test_batches_and_readers_exclude_each_other_and_both_come_to_their_turn():
    turns, inside, clashes, counts = Turns(), set(), [], {"batch": 0, "read": 0}
    end = time.monotonic() + 0.5

    def work(kind, turn):
        while time.monotonic() < end:
            with turn():
                inside.add(kind)
                clashes.extend([kind] if len(inside) > 1 else [])
                time.sleep(0.002)
                inside.discard(kind)
            counts[kind] += 1

    threads = [
        threading.Thread(target=work, args=("batch", lambda: turns.training(()))),
        threading.Thread(target=work, args=("read", turns.reading)),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert clashes == []
    assert min(counts.values()) > 0.3 * max(counts.values())


def test_readers_read_side_by_side():
    turns, both = Turns(), threading.Barrier(2, timeout=5)

    def read():
        with turns.reading():
            both.wait()

    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not both.broken


def test_a_thread_may_read_inside_its_own_reading_and_its_own_batch():
    turns = Turns()
    with turns.reading(), turns.reading():
        pass
    with turns.training(()), turns.reading():
        pass
    with turns.reading(), turns.training(()):  # a training that is started in device work
        pass
    with turns.training(()):
        pass


def test_a_reader_does_not_wait_for_ever_for_a_batch_that_waits_for_another_reader(monkeypatch):
    monkeypatch.setattr(compiled, "PATIENCE", 0.05)
    turns = Turns()
    batch = threading.Thread(target=lambda: turns.training(()).__enter__())
    with turns.reading():
        batch.start()
        time.sleep(0.02)
        done = threading.Event()

        def read():
            with turns.reading():
                done.set()

        reader = threading.Thread(target=read)
        reader.start()
        assert done.wait(5)
        reader.join()
    batch.join()


def test_only_the_weights_of_the_training_are_moving(monkeypatch):
    turns, mine, others = Turns(), [object(), object()], [object()]
    assert not turns.are_moving(mine)
    with turns.training(mine):
        assert turns.are_moving(mine[1:])
        assert not turns.are_moving(others)
    assert turns.are_moving(mine)
    monkeypatch.setattr(compiled, "RECENT", 0.0)
    time.sleep(0.01)
    assert not turns.are_moving(mine)
