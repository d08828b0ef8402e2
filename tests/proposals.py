"""Shipped mappings as truths for what `mapping init` proposes, also under other names."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from shipped_nets import SHIPPED
from tfcaffe.files import prototxt
from tfcaffe.load import load_net
from tfcaffe.mapping.mapping_file import load_mapping
from tfcaffe.mapping.proposal.propose import Proposal, proposed
from tfcaffe.mapping.resolve import Resolved, resolve
from tfcaffe.plan import Plan, make_plan
from tfcaffe.variables.base import Variable

Shape = tuple[int, ...]
_STATISTICS = {"gamma", "beta", "moving_mean", "moving_variance", "mean", "variance"}


@dataclass(frozen=True)
class Truth:
    """A net, variables, and which of them each blob is.

    Args:
        variables: shapes by name, in the file's order.
        answers: for each blob its variables and what is subtracted.
    """

    plan: Plan
    variables: Mapping[str, Shape]
    answers: Mapping[str, tuple[tuple[str, ...], str]]

    def renamed(self, names: Mapping[str, str]) -> Truth:
        """With other names, sorted as a checkpoint is."""
        answers = {
            blob: (tuple(names[n] for n in mine), names.get(minus, ""))
            for blob, (mine, minus) in self.answers.items()
        }
        variables = {names[name]: shape for name, shape in self.variables.items()}
        return replace(self, variables=dict(sorted(variables.items())), answers=answers)


@dataclass(frozen=True)
class Score:
    """How good a proposal is: shares of the blobs, and what is wrong without saying so."""

    proposal: Proposal
    right: float
    certain: float
    hidden: tuple[str, ...]


def shipped(name: str, corpus: Path, folder: Path, *, blind: bool = False) -> Truth:
    """A shipped mapping's net and variables, in the order of their names.

    Args:
        blind: give Caffe's layers names that tell their number only.
    """
    path = SHIPPED[name].write(corpus, folder / "net.prototxt")
    answer = _resolved(name, path)
    found: dict[str, Shape] = {}
    for pair in answer.pairs:
        if pair.transform is not None:
            found.update(zip(pair.variables, pair.transform.variable_shapes, strict=True))
            if pair.minus:
                found[pair.minus] = pair.blob.param.shape
    plan = answer.plan
    if blind:
        net = prototxt.read(path).net
        for i, layer in enumerate(net.layer):
            layer.name = f"L{i:03d}"
        path.write_text(prototxt.dump(net), encoding="utf-8")
        plan = make_plan(load_net(path))
    answers = {
        f"{plan.net.layers[pair.blob.layer].name}.{pair.blob.role}": (pair.variables, pair.minus)
        for pair in answer.pairs
    }
    return Truth(plan, dict(sorted(found.items())), answers)


def _resolved(name: str, path: Path) -> Resolved:
    return resolve(load_mapping(name), make_plan(load_net(path)))


def score(truth: Truth) -> Score:
    """What is proposed, held against the truth."""
    variables = [Variable(n, s, "float32", lambda: None) for n, s in truth.variables.items()]  # type: ignore[arg-type,return-value]
    found = proposed(truth.plan, variables)
    said = {str(guess.blob): guess for guess in found.guesses}
    right, hidden = 0, []
    for blob, answer in truth.answers.items():
        guess = said.get(blob)
        if guess is not None and (guess.names, guess.minus) == answer:
            right += 1
        elif guess is not None and guess.certain:
            hidden.append(f"{blob}: {guess.names}, wanted {answer}: {guess.reason}")
    count = len(truth.answers)
    certain = sum(guess.certain for guess in found.guesses)
    return Score(found, right / count, certain / count, tuple(hidden))


def automatic(truth: Truth) -> dict[str, str]:
    """As Keras counts layers that have no names: conv2d, conv2d_1 …"""
    words = {"statistics": "batch_normalization", "kernel": "conv2d"}

    def scope(kind: str, number: int, _: int) -> str:
        return words[kind] + (f"_{number}" if number else "")

    return _names(truth, scope, {"weights": "kernel", "W": "kernel", "biases": "bias"})


def counted(truth: Truth) -> dict[str, str]:
    """Layers by their number in the model, with short names for their variables."""

    def scope(kind: str, number: int, place: int) -> str:
        return f"net/layer_with_weights-{place}"

    return _names(truth, scope, {"kernel": "w", "weights": "w", "biases": "b", "bias": "b"})


def scrambled(truth: Truth) -> dict[str, str]:
    """Names that tell nothing."""
    rng = random.Random(3)
    return {name: f"{rng.getrandbits(32):08x}" for name in truth.variables}


def _names(
    truth: Truth, scope: Callable[[str, int, int], str], roles: Mapping[str, str]
) -> dict[str, str]:
    """New names, layer by layer in the net's order."""
    in_order = [n for mine, minus in truth.answers.values() for n in (*mine, minus) if n]
    numbers: dict[str, int] = defaultdict(int)
    scopes: dict[tuple[str, bool], str] = {}
    for name in in_order:
        key = _key(name)
        if key not in scopes:
            kind = (
                "statistics"
                if name.rpartition("/")[2] in _STATISTICS | {"scale", "offset"}
                else "kernel"
            )
            scopes[key] = scope(kind, numbers[kind], len(scopes))
            numbers[kind] += 1
    found = {}
    for name in in_order:
        last = name.rpartition("/")[2]
        found[name] = f"{scopes[_key(name)]}/{roles.get(last, last)}"
    return found


def _key(name: str) -> tuple[str, bool]:
    """A layer: a separable convolution's two kernels are two."""
    scope, _, last = name.rpartition("/")
    return scope, last.startswith("depthwise")
