"""Net to net, before anything is inferred: each pass is a function, `prepare` is their list."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import inf

from tfcaffe.errors import UnsupportedError, UsageError
from tfcaffe.infer import listed, unknown_types
from tfcaffe.layers import registry
from tfcaffe.layers.normalisation import of_batch
from tfcaffe.layers.training import differs_in_training, softmax_of
from tfcaffe.net import Layer, Net, Ref


def prepare(net: Net, outputs: Sequence[str] = ()) -> Net:
    """The net that the model is built from: cut at `outputs`, without what only training needs.

    Raises:
        UnsupportedError: a layer reads what only training needs; types that become no model.
        UsageError: no such output, or no layer is left to convert.
    """
    if outputs:
        net = net.with_outputs(outputs)
    net = softmax_for_loss(net, keep=outputs)
    net = drop_training(net, keep=outputs)
    net = drop_unread_sources(net, keep=outputs)
    check_built(net)
    kinds = registry()
    if all(layer.type in kinds and kinds[layer.type].source for layer in net.layers):
        raise UsageError(
            f"{net.path}: besides inputs nothing is left to convert"
            + (f" above {', '.join(outputs)}; name a later blob in --outputs" if outputs else "")
        )
    return net


def softmax_for_loss(net: Net, keep: Sequence[str] = ()) -> Net:
    """A SoftmaxWithLoss whose scores nothing else turns into an answer becomes a Softmax.

    Of several losses on the same scores only the first does, and none whose loss is read.
    """
    consumers = net.consumers()
    answered: set[Ref] = set()
    layers: list[Layer] = []
    notes: list[str] = []
    for i, (layer, refs) in enumerate(zip(net.layers, net.sources, strict=True)):
        if layer.type == "SoftmaxWithLoss" and refs and refs[0] not in answered:
            alone = all(_is_training(net.layers[reader]) for reader in consumers[refs[0]])
            if alone and Ref(i, 0) not in consumers and not set(layer.tops[:1]) & set(keep):
                answered.add(refs[0])
                softmax = softmax_of(layer)
                notes.append(
                    f"{layer} became a Softmax: its answer is the blob {softmax.tops[0]!r}"
                )
                layer = softmax
        layers.append(layer)
    return net.with_layers(layers, *notes) if notes else net


def drop_training(net: Net, keep: Sequence[str] = ()) -> Net:
    """Without losses, Accuracy and Silence, and what only they read.

    Raises:
        UnsupportedError: another layer reads what one of them makes.
    """
    dropped = [
        layer for layer in net.layers if _is_training(layer) and not set(layer.tops) & set(keep)
    ]
    if not dropped:
        return net
    _check_unread(net, dropped)
    silenced = {
        net.sources[i][b]
        for i, layer in enumerate(net.layers)
        if layer in dropped and layer.type == "Silence"
        for b in range(len(layer.bottoms))
    }
    readers = net.consumers()
    hidden = {
        net.layers[ref.layer].tops[ref.top]
        for ref in silenced
        if all(net.layers[i] in dropped for i in readers[ref])
    }
    names = ", ".join(f"{layer.name!r} ({layer.type})" for layer in dropped)
    rest = net.with_layers(
        (la for la in net.layers if la not in dropped), f"left out, for training only: {names}"
    )
    outputs = tuple((name, ref) for name, ref in rest.outputs if name not in hidden)
    return replace(rest, outputs=outputs or rest.outputs)


def drop_unread_sources(net: Net, keep: Sequence[str] = ()) -> Net:
    """Without inputs that nothing reads any more, such as labels."""
    kinds = registry()
    read = set(net.consumers())
    layers: list[Layer] = []
    gone: list[str] = []
    for i, layer in enumerate(net.layers):
        family = kinds.get(layer.type)
        if family is not None and family.source:
            unread = [
                top for t, top in enumerate(layer.tops) if (i, t) not in read and top not in keep
            ]
            gone += unread
            if len(unread) == len(layer.tops):
                continue
        layers.append(layer)
    if not gone:
        return net
    note = f"inputs that nothing reads were left out: {', '.join(map(repr, gone))}"
    kept_outputs = [name for name, _ in net.outputs if name not in gone]
    rest = net.with_layers(layers, note)
    return replace(rest, outputs=tuple(o for o in rest.outputs if o[0] in kept_outputs))


def check_built(net: Net) -> None:
    """Refuse types that only mappings know, and with them those that nobody knows.

    Raises:
        UnsupportedError: with all layers of such types.
    """
    kinds, found = registry(), unknown_types(net)
    mapped = [la for la in net.layers if la.type in kinds and kinds[la.type].mapped_only]
    for layer in mapped:
        found.setdefault(layer.type, []).append(layer)
    if mapped:
        lines = "".join(f"\n  {kind}: {listed(layers)}" for kind, layers in found.items())
        raise UnsupportedError(
            f"{net.path}: these layer types become no model; cut them off with --outputs. The "
            f"numbers of {mapped[0].type} go to a model of your own by a mapping "
            f"(docs/mappings.md):{lines}"
        )


def check_weight_decay(net: Net, weight_decay: float) -> None:
    """Weight decay is the solver's, and means something to a net with a loss alone.

    Raises:
        UsageError: no such net, or a value that no solver takes.
    """
    if not 0 <= weight_decay < inf:
        raise UsageError(f"--weight-decay {weight_decay}: give 0 or a positive number")
    if not any(la.type.endswith("Loss") or any(la.message.loss_weight) for la in net.layers):
        raise UsageError(
            f"{net.path}: has no loss, so it is not a net to train; --weight-decay is for those "
            "(a train_val prototxt, perhaps with --phase TRAIN)"
        )


def training_notes(net: Net, phase: str) -> list[str]:
    """What a model does otherwise than Caffe's net in training, or than others in inference."""
    notes = []
    if names := _named(net, of_batch):
        notes.append(
            "use_global_stats: false, so that the answer to a sample depends on the batch it is "
            f"in, as in Caffe; remove the field to use the stored statistics ({names})"
        )
    if phase == "TRAIN" and (names := _named(net, differs_in_training)):
        notes.append(
            "phase TRAIN: this is a model to train: BatchNorm uses the batch's statistics and "
            "Dropout drops when it is called with training=True only; its inference is that of "
            f"phase TEST ({names})"
        )
    return notes


def _named(net: Net, chosen: Callable[[Layer], bool]) -> str:
    return ", ".join(repr(layer.name) for layer in net.layers if chosen(layer))


def _check_unread(net: Net, dropped: Sequence[Layer]) -> None:
    for layer, refs in zip(net.layers, net.sources, strict=True):
        for name, ref in zip(layer.bottoms, refs, strict=True):
            maker = net.layers[ref.layer]
            if layer not in dropped and maker in dropped:
                raise UnsupportedError(
                    f"{net.path}: {layer} reads the blob {name!r} of {maker}, which is for "
                    "training only and left out; cut the net before it, such as with --outputs "
                    f"{maker.bottoms[0]}"
                )


def _is_training(layer: Layer) -> bool:
    family = registry().get(layer.type)
    return family is not None and family.training_only
