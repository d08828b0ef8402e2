"""An LSTM's steps that a graph had one by one (graph/lstm.py)."""

from __future__ import annotations

from typing import NoReturn

from tf2caffe.net.recurrence import cont_of, is_read, last_of, lstm_of, state_of, unstacked
from tf2caffe.net.site import Site
from tf2caffe.net.value import Value
from tf2caffe.ops import no_op, op
from tfcaffe.layout import Layout


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


@no_op("BlockLSTM", "BlockLSTMV2")
def stopping(site: Site) -> NoReturn:
    """Others are written step by step (graph/block_lstm.py)."""
    raise site.refusal(
        "it stops before the last step, and Caffe runs all; cut the sequence, or make seq_len_max "
        "its length"
    )
