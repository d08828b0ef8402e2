"""A user's keras.json must not change what is converted."""

from collections.abc import Iterator

import numpy as np
import pytest

import caffe2tf

NET = """
input: "data" input_dim: 1 input_dim: 2 input_dim: 5 input_dim: 4
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
        convolution_param { num_output: 3 kernel_size: 3 pad: 1 weight_filler { type: "constant"
        value: 0.1 } bias_filler { type: "constant" value: 0.5 } } }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool"
        pooling_param { pool: AVE kernel_size: 2 stride: 2 } }
"""


@pytest.fixture
def odd_settings() -> Iterator[None]:
    """Channels first and half precision, as some users have them."""
    import keras

    keras.config.set_image_data_format("channels_first")
    keras.config.set_dtype_policy("mixed_float16")
    yield
    keras.config.set_image_data_format("channels_last")
    keras.config.set_dtype_policy("float32")


def test_settings_do_not_matter(tmp_path, odd_settings):
    import keras

    (tmp_path / "net.prototxt").write_text(NET)
    model = caffe2tf.load(tmp_path / "net.prototxt")
    assert keras.config.image_data_format() == "channels_first"
    answer = model(np.ones((1, 5, 4, 2), np.float32))
    assert answer.dtype == "float32"
    assert answer.shape == (1, 3, 2, 3)
    # In the middle 9 pixels × 2 channels × 0.1 + 0.5; the window of the first row averages borders.
    np.testing.assert_allclose(answer[0, 1, 0], (4 * 1.8 - 2 * 0.6) / 4 + 0.5, rtol=1e-6)
