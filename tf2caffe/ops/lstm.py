"""An LSTM's steps that a graph had one by one, and TensorFlow's op for all of them."""

from __future__ import annotations

from tf2caffe.graph import Tensor
from tf2caffe.graph.lstm import Numbers
from tf2caffe.net.recurrence import cont_of, is_read, last_of, lstm_of, state_of, unstacked
from tf2caffe.net.site import Site
from tf2caffe.net.value import Value
from tf2caffe.ops import op
from tfcaffe.layout import Layout

_H = 6  # the output of BlockLSTM that is h


@op("lstm")
def lstm(site: Site) -> list[Value]:
    """[T, N, inputs], perhaps h and c, to all h [T, N, units] and the last c."""
    x = site.value(0)
    x = site.to(x, Layout.caffe(x.tf_shape))
    states = [state_of(site, site.value(i)) for i in range(1, len(site.node.inputs))]
    cont = cont_of(site, x, bool(states))
    carry = is_read(site, 1)
    numbers = site.attrs["numbers"]
    made = lstm_of(site, x, cont, numbers, states, expose=bool(states) or carry)
    return [made[0].blob.raw, *([unstacked(made[2])] if carry else [])]


@op("lstmSteps")
def steps(site: Site) -> Value:
    """All h, stacked along axis 0 or 1."""
    x = site.value()
    batch_first = Layout(x.layout.axes, ((1,), (0,), (2,)))
    return Value(x.blob, batch_first) if site.attrs["axis"] == 1 else x


@op("lstmLast")
def last(site: Site) -> Value:
    """The last h [N, units]."""
    return last_of(site, site.value())


@op("lstmCarry")
def carry(site: Site) -> Value:
    """The last c [N, units]."""
    return site.value()


@op("BlockLSTM", "BlockLSTMV2")
def block(site: Site) -> list[Value]:
    """All steps [T, N, inputs] to h. Source: lstm_ops.cc; V1 orders the gates i, g, f, o."""
    later = site.node.op == "BlockLSTMV2"
    x = site.value(1)
    steps, _, inputs = x.tf_shape
    if int(site.constant(0)) < steps:
        raise site.refusal(f"it stops after {int(site.constant(0))} of {steps} steps; cut them off")
    if site.attrs["cell_clip"] > 0:
        raise site.refusal(
            f"it clips its state at {site.attrs['cell_clip']:g}, which Caffe's LSTM does not; "
            "build it with cell_clip=None"
        )
    if site.attrs["use_peephole"] and any(site.constant(i).any() for i in (5, 6, 7)):
        raise site.refusal("its gates see the state (peepholes), which Caffe's LSTM's do not")
    if any(is_read(site, i) for i in range(_H)):
        raise site.refusal("its gates or states are read; Caffe's LSTM gives its outputs alone")
    if any(site.constant(i).any() for i in (2, 3)):
        raise site.refusal("it begins with a state other than 0")
    numbers = Numbers(
        Tensor(site.node, _H).shape[-1],
        range(4) if later else (0, 2, 1, 3),
        0.0 if later else float(site.attrs["forget_bias"]),
        lambda: (site.constant(4)[:inputs], site.constant(4)[inputs:]),
        lambda: site.constant(8),
    )
    x = site.to(x, Layout.caffe(x.tf_shape))
    made = lstm_of(site, x, cont_of(site, x, False), numbers, [])
    return [made[0].blob.raw] * (_H + 1)
