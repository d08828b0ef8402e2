"""Names that mislead: whatever `mapping init` gets wrong is marked, whoever counted the layers."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from mapped import plan_of
from proposals import Score, Truth, score

Names = Callable[[random.Random, Sequence[int]], list[str]]  # of layers, by their channels

INPUT = """
layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 2 dim: 3 dim: 40 dim: 30 } } }
"""
NORM = """
layer { name: "bn_NAME" type: "BatchNorm" bottom: "NAME" top: "bn_NAME" }
layer { name: "scale_NAME" type: "Scale" bottom: "bn_NAME" top: "bn_NAME"
  scale_param { bias_term: true } }
"""
STATISTICS = ("mean", "variance")


def counted(word: str, start: int | None = None, width: int = 0) -> Names:
    """A counter from `start` on, or from anywhere; Keras leaves out the 0."""

    def names(rng: random.Random, channels: Sequence[int]) -> list[str]:
        first = rng.randrange(4) if start is None else start
        numbers = range(first, first + len(channels))
        bare = word == "conv2d"
        return [word.rstrip("_") if bare and not n else f"{word}_{n:0{width}}" for n in numbers]

    return names


def close(start: int | None = None, width: int = 0) -> Names:
    """conv1, conv2 …"""

    def names(rng: random.Random, channels: Sequence[int]) -> list[str]:
        return [name.replace("_", "") for name in counted("conv", start, width)(rng, channels)]

    return names


def blocks(form: str, start: int = 1) -> Names:
    """VGG's style: blocks end where the channels change."""

    def names(rng: random.Random, channels: Sequence[int]) -> list[str]:
        found = []
        block = unit = start
        for i, size in enumerate(channels):
            if i and size != channels[i - 1]:
                block, unit = block + 1, start
            found.append(form.format(b=block, u=unit))
            unit += 1
        return found

    return names


def uniquified(rng: random.Random, channels: Sequence[int]) -> list[str]:
    """As TF1 does with a name that is there already: conv1, conv1_1, conv1_2 …"""
    return [f"conv1_{n}" if n else "conv1" for n in range(len(channels))]


def swapped(names: Names) -> Names:
    """With two of the names the other way round."""

    def found(rng: random.Random, channels: Sequence[int]) -> list[str]:
        made = names(rng, channels)
        i, j = rng.sample(range(len(made)), 2)
        made[i], made[j] = made[j], made[i]
        return made

    return found


def letters(rng: random.Random, channels: Sequence[int]) -> list[str]:
    return [chr(ord("a") + i) for i in range(len(channels))]


PLAIN: dict[str, Names] = {
    "conv1": close(1),
    "conv0": close(0),
    "anywhere": close(),
    "conv01": close(1, 2),
    "conv_1": counted("conv"),
    "conv1_1": blocks("conv{b}_{u}"),
    "conv0_0": blocks("conv{b}_{u}", 0),
    "block1_conv1": blocks("block{b}_conv{u}"),
    "letters": letters,
}
CAFFE = PLAIN | {f"swapped {name}": swapped(names) for name, names in PLAIN.items()}
SORTED = PLAIN | {
    "keras": counted("conv2d", 0),
    "keras, anywhere": counted("conv2d"),
    "padded": counted("conv2d", None, 3),
    "uniquified": uniquified,
    "numbers": counted("layer_with_weights"),
}
IN_ORDER = {f"swapped {name}": swapped(names) for name, names in SORTED.items()}


def truth_of(
    caffe: Sequence[str],
    theirs: Sequence[str],
    channels: Sequence[int],
    bottoms: Sequence[int],
    folder: Path,
    *,
    norms: Sequence[str] = (),
    left_over: Sequence[int] = (),
    is_sorted: bool = True,
) -> Truth:
    """Convolutions, with the variables that they are.

    Args:
        bottoms: for each layer the number of the one before it; -1 is the input.
        norms: a BatchNorm's name for each, if they have one.
        left_over: layers that only TensorFlow's side has.
    """
    text = INPUT
    answers: dict[str, tuple[tuple[str, ...], str]] = {}
    variables: dict[str, tuple[int, ...]] = {}
    for i, (name, scope) in enumerate(zip(caffe, theirs, strict=True)):
        above = bottoms[i]
        inputs = 3 if above < 0 else channels[above]
        variables[f"{scope}/kernel"] = (3, 2, inputs, channels[i])
        variables[f"{scope}/bias"] = (channels[i],)
        roles = {f"{name}.weights": f"{scope}/kernel", f"{name}.bias": f"{scope}/bias"}
        if norms:
            roles |= {f"bn_{name}.{role}": f"{norms[i]}/moving_{role}" for role in STATISTICS}
            roles |= {f"scale_{name}.{role}": f"{norms[i]}/{role}" for role in ("gamma", "beta")}
            variables |= {variable: (channels[i],) for variable in list(roles.values())[2:]}
        if i in left_over:
            continue
        bottom = "data" if above < 0 else f"{'bn_' if norms else ''}{caffe[above]}"
        text += f"""
layer {{ name: "{name}" type: "Convolution" bottom: "{bottom}" top: "{name}"
  convolution_param {{ num_output: {channels[i]} kernel_h: 3 kernel_w: 2 }} }}
"""
        text += NORM.replace("NAME", name) if norms else ""
        answers |= {blob: ((variable,), "") for blob, variable in roles.items()}
    shapes = dict(sorted(variables.items())) if is_sorted else variables
    return Truth(plan_of(text, folder), shapes, answers)


def random_truth(
    rng: random.Random, mine: Names, theirs: Names, folder: Path, *, is_sorted: bool
) -> Truth:
    """A net of few shapes: a chain or with branches, some with layers that Caffe lacks."""
    count = rng.randint(3, 9)
    channels = [rng.choice((4, 4, 4, 6)) for _ in range(count)]
    straight = rng.random() < 0.6
    bottoms = [i - 1 if straight else rng.randrange(-1, i) for i in range(count)]
    ends = [i for i in range(count) if i not in bottoms]
    left_over = rng.sample(ends, 1) if rng.random() < 0.3 else []
    present = [size for i, size in enumerate(channels) if i not in left_over]
    known = iter(mine(rng, present))
    caffe = ["" if i in left_over else next(known) for i in range(count)]
    order: list[int] = []  # in which TensorFlow's side makes them
    while len(order) < count:
        ready = [i for i in range(count) if i not in order and bottoms[i] in (-1, *order)]
        order.append(rng.choice(ready) if rng.random() < 0.3 and is_sorted else ready[0])
    made = dict(zip(order, theirs(rng, [channels[i] for i in order]), strict=True))
    scopes = [made[i] for i in range(count)]
    norms: list[str] = []
    if rng.random() < 0.4:
        keras = dict(zip(order, counted("batch_normalization")(rng, channels), strict=True))
        norms = [keras[i] for i in range(count)]
    return truth_of(
        caffe,
        scopes,
        channels,
        bottoms,
        folder,
        norms=norms,
        left_over=left_over,
        is_sorted=is_sorted,
    )


@pytest.mark.parametrize("mine", CAFFE)
def test_nothing_wrong_is_certain_under_any_names(mine: str, tmp_path: Path) -> None:
    for theirs in (*SORTED, *IN_ORDER):
        is_sorted = theirs in SORTED
        names = (SORTED if is_sorted else IN_ORDER)[theirs]
        for seed in range(3):
            rng = random.Random(f"{mine} {theirs} {seed}")
            truth = random_truth(rng, CAFFE[mine], names, tmp_path, is_sorted=is_sorted)
            assert score(truth).hidden == (), (theirs, seed)


def chain(
    caffe: Sequence[str], theirs: Sequence[str], channels: Sequence[int], folder: Path
) -> Score:
    return score(truth_of(caffe, theirs, channels, range(-1, len(caffe) - 1), folder))


KERAS = ("conv2d", "conv2d_1", "conv2d_2", "conv2d_3", "conv2d_4", "conv2d_5")


@pytest.mark.parametrize(
    ("caffe", "theirs", "channels"),
    [
        (PLAIN["conv1"], KERAS, (8, 8, 8, 16, 16, 16)),
        (PLAIN["conv1_1"], KERAS[:5], (8, 8, 16, 16, 16)),
        (PLAIN["conv1"], KERAS[:3], (3, 3, 3)),
        (PLAIN["conv0"], ("conv_1", "conv_2", "conv_3"), (3, 3, 3)),
        (PLAIN["conv1"], ("conv2d_7", "conv2d_8", "conv2d_9", "conv2d_10"), (3, 3, 3, 3)),
        (PLAIN["conv1"], ("conv2d_2", "conv2d_3", "conv2d_4", "conv2d_5"), (3, 3, 3, 3)),
        (PLAIN["conv1_1"], ("conv1", "conv1_1", "conv1_2", "conv1_3"), (3, 3, 3, 3)),
        (PLAIN["conv1_1"], ("conv0_0", "conv0_1", "conv0_2", "conv1_0"), (3, 3, 3, 4)),
    ],
)
def test_counters_that_begin_elsewhere_are_followed_in_order(
    caffe: Names, theirs: Sequence[str], channels: Sequence[int], tmp_path: Path
) -> None:
    found = chain(caffe(random.Random(0), channels), theirs, channels, tmp_path)
    assert found.right == 1 and found.hidden == ()


def test_equal_names_in_the_other_order_are_marked_biases_too(tmp_path: Path) -> None:
    found = chain(("b", "a"), ("a", "b"), (3, 3), tmp_path)
    assert len(found.proposal.guesses) == 4
    assert not any(guess.certain for guess in found.proposal.guesses)


def test_equal_names_in_the_same_order_are_certain(tmp_path: Path) -> None:
    names = ("conv1", "conv2", "conv3", "conv4")
    found = chain(names, names, (4, 6, 6, 6), tmp_path)
    assert found.right == 1 and found.certain == 1
