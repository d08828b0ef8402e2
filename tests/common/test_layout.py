"""Layouts: where a blob's numbers lie in a TensorFlow tensor, whatever happened to its axes."""

import random
from collections.abc import Iterator
from math import prod

import numpy as np
import pytest

from tfcaffe.layout import Layout, Pattern, Shape, reshaped, steps

SEEDS = range(25)
CHAINS = 60


def ramp(shape: Shape) -> np.ndarray:
    """A blob whose numbers are all different."""
    return np.arange(prod(shape), dtype=np.float32).reshape(shape)


def relaid(tensor: np.ndarray, have: Layout, want: Layout) -> np.ndarray:
    """What a builder does with `steps`."""
    for operation, argument in steps(have, want):
        tensor = getattr(tensor, operation)(argument)
    return tensor


def transposes(have: Layout, want: Layout) -> int:
    return sum(operation == "transpose" for operation, _ in steps(have, want))


def random_shape(draw: random.Random) -> Shape:
    return tuple(draw.choice((1, 1, 2, 3, 4, 6)) for _ in range(draw.randint(1, 5)))


def random_reshape(draw: random.Random, shape: Shape) -> Shape:
    """Other axes for the same numbers."""
    rest, axes = prod(shape), []
    for _ in range(draw.randint(0, 4)):
        axes.append(draw.choice([d for d in range(1, rest + 1) if rest % d == 0]))
        rest //= axes[-1]
    return (*axes, rest)


def chains(seed: int) -> Iterator[tuple[random.Random, Layout]]:
    draw = random.Random(seed)
    for _ in range(CHAINS):
        yield draw, draw.choice((Layout.caffe, Layout.channels_last))(random_shape(draw))


@pytest.mark.parametrize("seed", SEEDS)
def test_reshapes_keep_every_number_where_caffe_has_it(seed: int) -> None:
    for draw, layout in chains(seed):
        blob = ramp(layout.shape)  # type: ignore[arg-type]
        tensor = layout.pattern().to_tf(blob)
        for _ in range(draw.randint(1, 4)):
            shape = random_reshape(draw, blob.shape)
            before, after = reshaped(layout, shape)
            tensor = relaid(tensor, layout, before).reshape(after.tf_shape)  # type: ignore[arg-type]
            blob, layout = blob.reshape(shape), after
            assert layout.shape == shape
            np.testing.assert_array_equal(layout.pattern().to_caffe(tensor), blob)
            np.testing.assert_array_equal(layout.pattern().to_tf(blob), tensor)


@pytest.mark.parametrize("seed", SEEDS)
def test_steps_lead_from_any_layout_to_a_simple_one(seed: int) -> None:
    for draw, layout in chains(seed):
        shape = random_reshape(draw, layout.shape)  # type: ignore[arg-type]
        blob = ramp(shape)
        have = reshaped(layout, shape)[1]
        for want in (Layout.caffe(shape), Layout.channels_last(shape)):
            tensor = relaid(have.pattern().to_tf(blob), have, want)
            assert tensor.shape == want.tf_shape
            np.testing.assert_array_equal(want.pattern().to_caffe(tensor), blob)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_free_size_takes_the_same_steps(seed: int) -> None:
    """Steps found with a free batch are right for any batch."""
    for _, layout in chains(seed):
        shape = (5, *layout.shape[1:])
        have, want = Layout.channels_last((None, *shape[1:])), Layout.caffe((None, *shape[1:]))
        blob = ramp(shape)  # type: ignore[arg-type]
        tensor = relaid(Layout.channels_last(shape).pattern().to_tf(blob), have, want)
        np.testing.assert_array_equal(tensor, blob)


@pytest.mark.parametrize(
    ("shape", "count"),
    [
        ((2, 3, 4, 5), 1),
        ((2, 3, 1, 1), 0),
        ((2, 1, 4, 5), 0),
        ((1, 3, 1, 1), 0),
        ((2, 3, 4, 1), 1),
        ((2, 3, 1, 1, 1), 0),
        ((2, 3, 1, 4, 5), 1),
        ((2, 3, 1), 0),
        ((2, 3, 4), 1),
        ((2, 3), 0),
        ((2,), 0),
        ((None, 3, 1, 1), 0),
        ((None, 3, None, None), 1),
        ((None, 1, None, None), 0),
    ],
)
def test_only_sizes_beyond_one_cost_a_transpose(shape: tuple[int | None, ...], count: int) -> None:
    last, first = Layout.channels_last(shape), Layout.caffe(shape)
    assert transposes(last, first) == count
    assert transposes(first, last) == count
    assert list(steps(last, last)) == list(steps(first, first)) == []


@pytest.mark.parametrize(
    ("have", "shape", "free"),
    [
        # Flattening everything for an inner product keeps the tensor as it lies.
        (Layout.channels_last((2, 3, 4, 5)), (2, 60), True),
        (Layout.channels_last((2, 3, 4, 5)), (2, 60, 1, 1), True),
        (Layout.channels_last((2, 3, 4, 5)), (2, 3, 20), True),
        (Layout.channels_last((2, 3, 4, 5)), (2, 1, 3, 4, 5), True),
        (Layout.channels_last((2, 6, 4, 5)), (2, 2, 3, 4, 5), True),
        (Layout.caffe((2, 12)), (2, 3, 2, 2), True),
        (Layout.caffe((2, 12)), (2, 12, 1, 1), True),
        # Channels and pixels torn apart or mixed with the batch.
        (Layout.channels_last((2, 3, 4, 5)), (2, 12, 5), False),
        (Layout.channels_last((2, 3, 4, 5)), (6, 4, 5), False),
        (Layout.channels_last((2, 3, 4, 5)), (2, 4, 15), False),
    ],
)
def test_a_reshape_reorders_only_where_the_net_does(have: Layout, shape: Shape, free: bool) -> None:
    before, after = reshaped(have, shape)
    assert (transposes(have, before) == 0) == free
    assert after.shape == shape


def test_channels_last_stays_so_through_axes_of_one() -> None:
    """A pooled blob that becomes N,C and N,C,1,1 again needs nothing but reshapes."""
    flat = reshaped(Layout.channels_last((2, 3, 1, 1)), (2, 3))[1]
    assert flat == Layout.caffe((2, 3))
    again = reshaped(flat, (2, 3, 1, 1))[1]
    assert again == Layout.channels_last((2, 3, 1, 1))


@pytest.mark.parametrize(
    ("pattern", "tf", "caffe"),
    [
        (Pattern("h w i o -> o i h w"), (2, 3, 4, 5), (5, 4, 2, 3)),
        (Pattern("h w c m -> (c m) 1 h w", {"c": 3}), (5, 4, 3, 2), (6, 1, 5, 4)),
        (Pattern("(h w c) o -> o (c h w)", {"c": 2, "h": 3, "w": 4}), (24, 5), (5, 24)),
        (Pattern("(h w c) o -> (c h w) o", {"c": 2, "h": 3, "w": 4}), (24, 5), (24, 5)),
        (Pattern("c -> c"), (7,), (7,)),
        (Pattern("->"), (), ()),
        (Layout.channels_last((2, 3, 4, 5)).pattern(), (2, 4, 5, 3), (2, 3, 4, 5)),
        (Layout.channels_last((2, 3, 4, 5, 6)).pattern(), (2, 4, 5, 6, 3), (2, 3, 4, 5, 6)),
        (Layout.channels_last((2, 3, 4, 5)).pattern(1), (4, 5, 3), (3, 4, 5)),
    ],
    ids=lambda value: value.text if isinstance(value, Pattern) else None,
)
def test_patterns_read_both_ways(pattern: Pattern, tf: Shape, caffe: Shape) -> None:
    tensor = ramp(tf).view(np.uint32)  # bits, so that not even a NaN's could change
    blob = pattern.to_caffe(tensor)
    assert blob.shape == caffe
    assert sorted(blob.ravel()) == sorted(tensor.ravel())
    np.testing.assert_array_equal(pattern.to_tf(blob), tensor)


def test_a_pattern_says_which_axis_is_which() -> None:
    kernel = ramp((2, 3, 4, 5))
    blob = Pattern("h w i o -> o i h w").to_caffe(kernel)
    assert blob[4, 3, 1, 2] == kernel[1, 2, 3, 4]
    table = ramp((24, 5))
    rows = Pattern("(h w c) o -> o (c h w)", {"c": 2, "h": 3, "w": 4}).to_caffe(table)
    assert rows[4].reshape(2, 3, 4)[1, 2, 3] == table.reshape(3, 4, 2, 5)[2, 3, 1, 4]


@pytest.mark.parametrize("shape", [(3,), (3, 4), (1, 2, 3, 4, 5)])
def test_another_rank_is_refused(shape: Shape) -> None:
    with pytest.raises(Exception, match=r"Wrong shape: expected 4 dims. Received \d-dim tensor"):
        Pattern("h w i o -> o i h w").to_caffe(np.zeros(shape))


def test_sizes_that_do_not_divide_are_refused() -> None:
    with pytest.raises(Exception, match="can't divide axis"):
        Pattern("h w c m -> (c m) 1 h w", {"c": 4}).to_tf(np.zeros((6, 1, 3, 3)))


@pytest.mark.parametrize(
    ("text", "sizes", "other", "theirs", "same"),
    [
        ("(c h w) o -> o (c h w)", {"c": 2, "h": 3, "w": 4}, "(c) o -> o (c)", {"c": 24}, True),
        ("(h w c) o -> o (c h w)", {"c": 2, "h": 3, "w": 4}, "(c) o -> o (c)", {"c": 24}, False),
        (
            "(h w c) o -> o (c h w)",
            {"c": 2, "h": 3, "w": 4},
            "(h w c) o -> o (c h w)",
            {"c": 4, "h": 3, "w": 2},
            False,
        ),
        (
            "(h w c) o -> o (c h w)",
            {"c": 2, "h": 1, "w": 1},
            "(c) o -> o (c)",
            {"c": 2},
            True,
        ),
        ("(c) o -> o (c)", {"c": 4}, "(c) o -> (c) o", {"c": 4}, False),
        ("a b -> a b", {}, "c -> c", {}, True),
        ("a b -> b a", {}, "a b -> a b", {}, False),
    ],
)
def test_moves(
    text: str, sizes: dict[str, int], other: str, theirs: dict[str, int], same: bool
) -> None:
    assert (Pattern(text, sizes).moves == Pattern(other, theirs).moves) == same


@pytest.mark.parametrize(
    ("shape", "first", "tf", "caffe", "sizes"),
    [
        ((2, 3, 4, 5), 1, "h w c", "c h w", {"c": 3, "h": 4, "w": 5}),
        ((None, 3, 4, 5), 1, "h w c", "c h w", {"c": 3, "h": 4, "w": 5}),
        ((2, 3), 1, "c", "c", {"c": 3}),
    ],
)
def test_flattened(
    shape: tuple[int | None, ...], first: int, tf: str, caffe: str, sizes: dict[str, int]
) -> None:
    assert Layout.channels_last(shape).flattened(first) == (tf, caffe, sizes)


def test_free_sizes_cannot_be_flattened() -> None:
    with pytest.raises(ValueError, match="free size"):
        Layout.channels_last((2, 3, None, None)).flattened(1)


def test_border_layouts() -> None:
    assert Layout.natural((2, 3, 4, 5)) == Layout.channels_last((2, 3, 4, 5))
    assert Layout.natural((2, 3, 4)) == Layout.caffe((2, 3, 4))
    assert Layout.natural((2, 3)) == Layout.caffe((2, 3))
    assert Layout.channels_last((2, 3, 4, 5)).tf_shape == (2, 4, 5, 3)
    assert [Layout.channels_last((2, 3, 4, 5)).dim(axis) for axis in (0, 1, 2, -1)] == [0, 3, 1, 2]
