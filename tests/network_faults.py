"""Mistakes for `make faults` in how whole networks become Caffe's: as in plant_faults.py."""

_OPS, _PATTERNS, _NET = "tf2caffe/ops", "tf2caffe/patterns", "tf2caffe/net"
_TESTS = "tf2caffe"

NETWORK_FAULTS = (
    (
        "rows of zeros at the wrong end of a kernel",
        f"{_OPS}/convolution.py",
        "return np.pad(kernel, [*[(0, 0)] * front, *more, *[(0, 0)] * behind])",
        "return np.pad(kernel, [*[(0, 0)] * front, *(m[::-1] for m in more), *[(0, 0)] * behind])",
        f"{_TESTS}/test_convolution.py",
    ),
    (
        "SAME puts the odd pad in front",
        f"{_NET}/windows.py",
        "found.append((total // 2, total - total // 2))",
        "found.append((total - total // 2, total // 2))",
        f"{_TESTS}/test_convolution.py",
    ),
    (
        "a zero pad merged into a pooling of any numbers",
        f"{_PATTERNS}/pooling.py",
        'proven to have no number below 0, whatever the net is fed."""\n',
        'proven to have no number below 0, whatever the net is fed."""\n    return True\n',
        f"{_TESTS}/test_pooling.py",
    ),
    (
        "a row too many of a pooling left there",
        f"{_OPS}/pooling.py",
        "if _made(found, sizes) == wanted and _allowed(site, average, found, sizes):",
        "if _allowed(site, average, found, sizes):",
        f"{_TESTS}/test_pooling.py",
    ),
    (
        "BatchNorm's eps left at its default",
        f"{_OPS}/normalisation.py",
        "        eps=eps if own is None else own,\n",
        "",
        f"{_TESTS}/test_normalisation.py",
    ),
    (
        "a dialect's eps without the difference in the variance",
        f"{_OPS}/normalisation.py",
        "more = 0.0 if own is None else eps - own",
        "more = 0.0",
        f"{_TESTS}/test_normalisation.py",
    ),
    (
        "beta lost",
        f"{_OPS}/normalisation.py",
        '({} if beta is None else {"beta": read(beta, 0)})',
        '({} if beta is None else {"beta": read(None, 0)})',
        f"{_TESTS}/test_normalisation.py",
    ),
    (
        "columns of a product in TensorFlow's order",
        f"{_NET}/contraction.py",
        'laid: dict[str, Read] = {"weights": _permuted(rows, out)}',
        'laid: dict[str, Read] = {"weights": rows}',
        f"{_TESTS}/test_dense.py",
    ),
    (
        "gates of an LSTM in Keras's order",
        "tf2caffe/net/recurrence.py",
        "return np.concatenate([apart[i] for i in _GATES], axis=-1)",
        "return np.concatenate(apart, axis=-1)",
        f"{_TESTS}/test_recurrent.py",
    ),
    (
        "the border's factors of a resize lost",
        f"{_OPS}/resizing.py",
        'return y if np.all(factors == 1) else scaled_map(site, y, factors, hint="border")',
        "return y",
        f"{_TESTS}/test_resizing.py",
    ),
    (
        "in place on what somebody else reads",
        f"{_NET}/tidy.py",
        "and all(len(read[b]) == 1 and b not in fixed for b in _memory(blob))",
        "and blob not in fixed",
        f"{_TESTS}/test_random_shapes.py",
    ),
    (
        "a bound on the wrong side",
        f"{_OPS}/arithmetic.py",
        "return site.sum(x, beyond) if lower else site.difference(x, beyond)",
        "return site.sum(x, beyond)",
        f"{_TESTS}/test_activations.py",
    ),
)
