"""Backpropagation written by hand, to be read: every layer, forward and backward, as its formula, in plain NumPy.

It is slow on purpose and exact (float64); tests compare faster code with it. Read in this order:

1. `layer.py`: what a layer is, and how a chain of layers is one.
2. `weighted.py`, class `Linear`: the smallest layer with weights.
3. `activations.py`: functions of single values, and their slopes.
4. `losses.py`: where the gradient begins.
5. `network.py`: from layers of the architecture language to a network that computes.
6. `windows.py`, then `Conv` in `weighted.py` and `pooling.py`: windows, and sums over all windows that contain a value.
7. `normalisations.py`: the mean and the variance depend on every value.
8. `branches.py`, `channels.py`, `dropping.py`: gradients add up where a value goes two ways.

An example, one step of gradient descent:

    network = build(parse("flatten | linear 10").layers, arrays)
    logits_BK = network.forward(images_NCHW, training=True)
    loss, gradient_BK = cross_entropy(logits_BK, labels_B)
    network.backward(gradient_BK)
    gradients = network.all_gradients()
    arrays = {name: values - 0.1 * gradients[name] for name, values in network.all_weights().items()}

Batch normalisation has running statistics too, arrays without a gradient that `forward` renews in training.

Shapes: N images (B in losses), C channels, H height, W width, F features, K classes; G groups. A map is N x C x H x W,
flat data are N x F; `x` without letters is one of them. Weights have torch's names and axes: a convolution's weight is
(out, in / groups, kernel height, kernel width).
"""
