"""Boxes in lanes: nothing overlaps, everything flows down, and branches stand side by side."""

import itertools
import random

import pytest

from cnnwidgets.pictures.flow_layout import cut, draw, in_order, split_backward

WIDTH = 280.0


def random_graph(seed, most=40):
    """Nodes 0, 1, ... and connections forward, with splits, joins, skips, several starts and ends."""
    rng = random.Random(seed)
    count = rng.randint(1, most)
    edges = [
        (rng.randint(max(0, i - rng.choice([1, 1, 2, 9])), i - 1), i) for i in range(1, count) if rng.random() < 0.95
    ]
    edges += [tuple(sorted(rng.sample(range(count), 2))) for _ in range(rng.randint(0, count // 3)) if count > 1]
    return list(range(count)), edges


def place(nodes, edges, alone=()):
    return draw(in_order(nodes, edges), edges, WIDTH, lambda node, room: (room, 10 + node % 7), alone=alone)


@pytest.mark.parametrize("seed", range(60))
def test_boxes_never_overlap_and_connections_lead_down(seed):
    nodes, edges = random_graph(seed)
    drawing = place(nodes, edges)
    assert set(drawing.boxes) == set(nodes)
    for a, b in itertools.combinations(drawing.boxes.values(), 2):
        apart = a.x + a.width <= b.x or b.x + b.width <= a.x or a.bottom[1] <= b.y or b.bottom[1] <= a.y
        assert apart, (a, b)
    for box in drawing.boxes.values():
        assert box.x >= 0 and box.x + box.width <= WIDTH + 1e-6 and box.y >= 0 and box.bottom[1] <= drawing.height
    for (start, end), path in zip(edges, drawing.paths, strict=True):
        assert drawing.boxes[end].y > drawing.boxes[start].bottom[1]
        assert path[0] == drawing.boxes[start].bottom and path[-1] == drawing.boxes[end].top
        assert all(y0 <= y1 + 1e-6 for (_, y0), (_, y1) in itertools.pairwise(path))


@pytest.mark.parametrize("seed", range(60))
def test_the_vertical_part_of_a_connection_runs_through_no_box(seed):
    nodes, edges = random_graph(seed)
    drawing = place(nodes, edges)
    for (start, end), path in zip(edges, drawing.paths, strict=True):
        for (x0, y0), (x1, y1) in itertools.pairwise(path):
            if x0 != x1:
                continue
            for node, box in drawing.boxes.items():
                crossed = box.x < x0 < box.x + box.width and max(y0, box.y) < min(y1, box.bottom[1]) - 1e-6
                assert node in (start, end) or not crossed, (start, end, node)


@pytest.mark.parametrize("seed", range(40))
def test_parts_are_cut_where_one_node_carries_everything(seed):
    nodes, edges = random_graph(seed)
    order = in_order(nodes, edges)
    parts = cut(order, edges)
    assert [node for part in parts for node in part] == order
    where = {node: i for i, part in enumerate(parts) for node in part}
    for start, end in edges:
        assert where[start] == where[end] or start == parts[where[start]][-1] and where[end] == where[start] + 1


def test_a_chain_is_cut_at_every_node():
    assert cut([0, 1, 2], [(0, 1), (1, 2)]) == [[0], [1], [2]]


def test_a_branch_is_one_part_and_stands_side_by_side():
    edges = [(0, 1), (0, 2), (1, 3), (2, 3)]
    assert cut([0, 1, 2, 3], edges) == [[0], [1, 2, 3]]
    boxes = place([0, 1, 2, 3], edges, alone={0, 3}).boxes
    assert boxes[1].y == boxes[2].y and boxes[1].x < boxes[2].x
    assert boxes[0].width == boxes[3].width == WIDTH > 2 * boxes[1].width


def test_a_branch_is_sorted_as_a_whole():
    assert in_order([0, 1, 2, 3, 4], [(0, 1), (0, 2), (1, 3), (2, 4), (3, 4)]) == [0, 1, 3, 2, 4]


def test_a_skip_takes_a_narrow_lane():
    boxes = place([0, 1, 2], [(0, 1), (1, 2), (0, 2)]).boxes
    assert all(box.width > 0.9 * WIDTH - 6 for box in boxes.values())


def test_lanes_are_used_again_where_there_are_many_so_that_boxes_stay_wide():
    nodes = list(range(120))
    edges = [(i, i + step) for i in nodes for step in (1, 2, 3, 7) if i + step < 120]
    drawing = place(nodes, edges)
    assert min(box.width for box in drawing.boxes.values()) > WIDTH / 20


def test_connections_that_go_back_are_told_apart():
    assert split_backward([0, 1], [(0, 1), (1, 0), (1, 1)]) == ([(0, 1)], [(1, 0), (1, 1)])
