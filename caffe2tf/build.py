"""A plan and its numbers become a Keras model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from caffe2tf.account import tell
from caffe2tf.fold import fold
from caffe2tf.layers import registry
from caffe2tf.merge import batch_norm_scales
from caffe2tf.preprocess import preprocessed
from caffe2tf.site import Shared, Site, Tensor, Weights, escaped
from caffe2tf.source import Source
from tfcaffe.errors import UnsupportedError
from tfcaffe.keras_graph import tensors
from tfcaffe.layout import Layout
from tfcaffe.net import Ref
from tfcaffe.plan import Plan
from tfcaffe.twin import BlobTwin, Twin


@dataclass(frozen=True)
class Built:
    """A Keras model, and where each of the net's blobs is in it.

    Args:
        notes: for people: where Keras parts what Caffe shares, or weights take over more.
    """

    model: Any
    twin: Twin
    notes: tuple[str, ...] = ()


def build(source: Source, *, plain: bool = False) -> Built:
    """The Keras model of a net.

    Args:
        source: the plan, its numbers (none leave Keras's initialisers at them) and options.
        plain: for inference, in SavedModels and frozen graphs: only ops that run on any CPU
            without XLA, and preprocessing folded into the first convolution where that is exact.

    Raises:
        UnsupportedError: a layer, field or free size that Keras cannot say exactly.
    """
    with _keras_defaults():
        return _Build(source, plain).run()


@contextmanager
def _keras_defaults() -> Iterator[None]:
    """Keras as it comes: what a user's keras.json says is no part of the net."""
    import keras

    layout, policy = keras.config.image_data_format(), keras.config.dtype_policy()
    keras.config.set_image_data_format("channels_last")
    keras.config.set_dtype_policy("float32")
    try:
        yield
    finally:
        keras.config.set_image_data_format(layout)
        keras.config.set_dtype_policy(policy)


class _Build:
    def __init__(self, source: Source, plain: bool) -> None:
        plan = source.plan
        self.plan, self.binding, self.plain = plan, source.binding, plain
        self.fold = fold(source) if plain else None
        self.preprocessing = self.fold.rest if self.fold else source.preprocessing
        self.weight_decay = source.weight_decay
        self.watch = source.watch
        self.tensors: dict[Ref, Tensor] = {}
        self.inputs: list[Tensor] = []
        self.fed: list[BlobTwin] = []
        self.blobs: list[tuple[BlobTwin, Tensor]] = []
        self.shared = Shared()
        self.taken: set[str] = set()
        self.read = {*plan.net.consumers(), *(ref for _, ref in plan.net.outputs)}
        self.merged = {} if source.keep_scale else batch_norm_scales(plan)
        self.names = self._names()

    def run(self) -> Built:
        import keras

        sources = [i for i, entry in enumerate(self.plan.layers) if entry.family.source]
        for i in sources:
            self._input(i)
        count = len(self.plan.layers)
        for i, entry in enumerate(self.plan.layers):
            self.watch(entry.layer.name, i, count + 1)
            if i not in sources and i not in self.merged.values():
                self._layer(i)
        self.watch("writing", count, count + 1)
        outputs, twins = [], []
        for _, ref in self.plan.net.outputs:
            tensor, twin = self._output(ref)
            outputs.append(tensor)
            twins.append(twin)
        model = keras.Model(_alone(self.inputs), _alone(outputs), name=_model_name(self.plan))
        # What only gives a Crop its size is no part of the function, nor of the model.
        found = tensors(model)
        blobs = [blob for blob, made in self.blobs if found.get((blob.node, blob.output)) is made]
        blobs.sort(key=lambda blob: blob.index)
        tell(self.plan, self.names, model)
        record = Twin(tuple(self.fed), tuple(blobs), tuple(twins))
        if self.plain:  # what is plain is not trained
            return Built(model, record, (self.fold.note,) if self.fold else ())
        return Built(model, record, tuple(self.shared.notes))

    def _names(self) -> list[str]:
        """Keras names of all layers, in order; a merged pair bears the BatchNorm's."""
        names = [escaped(entry.layer.name, self.taken) for entry in self.plan.layers]
        for scale, norm in self.merged.items():
            names[scale] = names[norm]
        return names

    def _input(self, i: int) -> None:
        import keras

        entry = self.plan.layers[i]
        for t, (top, layout) in enumerate(zip(entry.layer.tops, entry.tops, strict=True)):
            if Ref(i, t) not in self.read:
                continue
            alone = top == entry.layer.name
            name = self.names[i] if alone else escaped(top, self.taken)
            shape = layout.tf_shape
            if not shape:
                raise UnsupportedError(
                    f"{entry.layer}: its top {top!r} is a single number without axes, which no "
                    "Keras model can be fed; give it an axis"
                )
            tensor = keras.Input(shape=shape[1:], batch_size=shape[0], name=name)
            self.inputs.append(tensor)
            self.fed.append(self._twin(i, t, tensor, layout))
            if top == self.preprocessing.blob:
                tensor = preprocessed(tensor, self.preprocessing, layout, name)
            self.tensors[Ref(i, t)] = tensor
            if self.fold is None or self.fold.input != Ref(i, t):
                self.blobs.append((self._twin(i, t, tensor, layout), tensor))

    def _layer(self, i: int) -> None:
        entry = self.plan.layers[i]
        norm = self.merged.get(i)
        at = i if norm is None else norm
        site = self._site(at, merged=None if norm is None else self._site(i))
        refs = self.plan.net.sources[at]
        bottoms = [
            site.relaid(self.tensors[ref], have, want)
            for ref, have, want in zip(refs, site.planned.have, site.planned.bottoms, strict=True)
        ]
        made = self._builder(at)(site, bottoms or self.inputs[:1])
        tops = made if isinstance(made, list) else [made]
        if entry.layer.type != "Split":
            tops = self._named(site, tops)
        for t, (top, layout) in enumerate(zip(tops, entry.tops, strict=True)):
            self.tensors[Ref(i, t)] = top
            if entry.layer.type != "Split":
                self.blobs.append((self._twin(i, t, top, layout), top))

    def _site(self, i: int, merged: Site | None = None) -> Site:
        return Site(
            self.plan.layers[i],
            self.names[i],
            self._values(i),
            plain=self.plain,
            shared=self.shared,
            merged=merged,
            weight_decay=self.weight_decay,
        )

    def _values(self, i: int) -> Weights | None:
        if self.binding is None:
            return None
        values = self.binding.values(i)
        return self.fold.values(values) if self.fold and self.fold.index == i else values

    def _builder(self, i: int) -> Any:
        layer = self.plan.layers[i].layer
        builder = registry().get(layer.type)
        if builder is None:
            raise UnsupportedError(f"{layer}: the type is read, but cannot become Keras layers")
        return builder

    def _named(self, site: Site, tops: list[Tensor]) -> list[Tensor]:
        """The tops made by a node of the Caffe layer's name (Identities `>t1` … if need be)."""
        made_by = [top._keras_history for top in tops]
        first = made_by[0].operation
        if all(m.operation is first and m.tensor_index == t for t, m in enumerate(made_by)):
            fresh = first.name.startswith(f"{site.name}>h") and not getattr(first, "variables", ())
            if fresh:
                first.name = site.name
            if first.name == site.name and made_by[0].node_index == 0:
                return tops
        names = [site.name, *(f"{site.name}>t{t}" for t in range(1, len(tops)))]
        return [
            top
            if made.operation.name == site.name and made.node_index == 0
            else site.keras.layers.Identity(name=name)(top)
            for top, made, name in zip(tops, made_by, names, strict=True)
        ]

    def _twin(self, i: int, t: int, tensor: Tensor, layout: Layout) -> BlobTwin:
        layer = self.plan.layers[i].layer
        made_by = tensor._keras_history
        return BlobTwin(
            layer.name, layer.tops[t], made_by.operation.name, made_by.tensor_index, layout, i
        )

    def _output(self, ref: Ref) -> tuple[Tensor, BlobTwin]:
        """The tensor that the model answers with for this blob, laid as a user expects it."""
        have, want = self.plan.layout(ref), self.plan.output_layout(ref)
        tensor = self.tensors[ref]
        if have != want:
            site = Site(
                self.plan.layers[ref.layer],
                f"{self.names[ref.layer]}>o{ref.top}",
                None,
                plain=self.plain,
                shared=Shared(),
            )
            tensor = site.relaid(tensor, have, want)
        return tensor, self._twin(ref.layer, ref.top, tensor, want)


def _alone(tensors: list[Tensor]) -> Any:
    """A single tensor as itself, so that the model is called with it and answers with it."""
    return tensors[0] if len(tensors) == 1 else tensors


def _model_name(plan: Plan) -> str:
    return escaped(plan.net.name or "net", set())
