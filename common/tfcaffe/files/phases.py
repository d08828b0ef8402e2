"""Which layers of a net exist in a phase, at a level and with stages: include and exclude rules.

Source: net.cpp (Net::FilterNet, Net::StateMeetsRule; Net::Init for a layer's own phase).
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

from tfcaffe.errors import NetError
from tfcaffe.files.prototxt import NetFile

Phase = Literal["TRAIN", "TEST"]
_PHASES: dict[Phase, int] = {"TRAIN": 0, "TEST": 1}


def filter_net(net: Any, phase: Phase, level: int = 0, stages: Sequence[str] = ()) -> Any:
    """A new NetParameter with the layers of `net` (V2 form) that the state includes.

    The net's own `state` is overruled in phase and level, and keeps its stages besides `stages`.
    A layer keeps a `phase` of its own only where it differs from the net's, which holds else.

    Raises:
        NetError: a layer has include and exclude rules at once.
    """
    filtered = type(net)()
    filtered.CopyFrom(net)
    filtered.ClearField("layer")
    state = filtered.state
    state.phase = _PHASES[phase]
    state.level = level
    state.stage.extend(stages)
    filtered.layer.extend(net.layer[i] for i in _kept(net, state))
    for layer in filtered.layer:
        if layer.phase == state.phase:
            layer.ClearField("phase")
    return filtered


def filter_file(file: NetFile, phase: Phase, level: int = 0, stages: Sequence[str] = ()) -> NetFile:
    """As `filter_net`, with `lines` kept in step with the layers.

    Raises:
        NetError: see `filter_net`.
    """
    try:
        net = filter_net(file.net, phase, level, stages)
    except NetError as error:
        raise NetError(f"{file.path}: {error}") from error
    lines = tuple(file.lines[i] for i in _kept(file.net, net.state))
    return replace(file, net=net, lines=lines)


def unheard(net: Any, level: int, stages: Sequence[str]) -> list[str]:
    """Notes on a level and on stages that no rule of the net asks for: misspelt, perhaps."""
    rules = [rule for layer in net.layer for rule in (*layer.include, *layer.exclude)]
    known = {stage for rule in rules for stage in (*rule.stage, *rule.not_stage)}
    notes = [f"--stage {s}: no rule of the net names this stage" for s in stages if s not in known]
    if level and not any(r.HasField("min_level") or r.HasField("max_level") for r in rules):
        notes.append(f"--level {level}: no rule of the net asks for a level")
    return notes


def left_out(file: NetFile, kept: NetFile) -> list[tuple[Any, int | None]]:
    """The layers, with their lines, that `filter_file` took from `file` to make `kept`."""
    stay = set(_kept(file.net, kept.net.state))
    entries = enumerate(zip(file.net.layer, file.lines, strict=True))
    return [entry for i, entry in entries if i not in stay]


def _kept(net: Any, state: Any) -> list[int]:
    return [i for i, layer in enumerate(net.layer) if _is_included(layer, state)]


def _is_included(layer: Any, state: Any) -> bool:
    if layer.include and layer.exclude:
        raise NetError(f"layer {layer.name!r} has include and exclude rules: Caffe allows only one")
    if layer.include:
        return any(_meets(state, rule) for rule in layer.include)
    return not any(_meets(state, rule) for rule in layer.exclude)


def _meets(state: Any, rule: Any) -> bool:
    if rule.HasField("phase") and rule.phase != state.phase:
        return False
    if rule.HasField("min_level") and state.level < rule.min_level:
        return False
    if rule.HasField("max_level") and state.level > rule.max_level:
        return False
    stages = set(state.stage)
    return stages.issuperset(rule.stage) and stages.isdisjoint(rule.not_stage)
