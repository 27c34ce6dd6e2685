"""What a training minimises, and what it measures meanwhile."""

import keras


def of_disease(metric, **options):
    """Make a Keras metric see the probability of disease (one minus the first class) and a binary truth."""

    class OfDisease(metric):
        def update_state(self, y_true, y_pred, sample_weight=None):
            disease = keras.ops.cast(keras.ops.reshape(y_true, (-1, 1)) > 0, "float32")
            return super().update_state(disease, 1 - y_pred[:, :1])

    return OfDisease(**options)


def ordinal_crossentropy(y_true, y_pred):
    """Measure the cross-entropy of "this class or a later one", averaged over the classes but the first.

    The classes are ordered: grade 0 for a grade 4 must cost more than grade 3. Each class is asked for as in the method
    of Frank and Hall [1]_, but the answers are sums of one softmax, so that they cannot contradict each other. With two
    classes it is the ordinary cross-entropy.

    Parameters
    ----------
    y_true : tensor of int, shape (n,) or (n, 1)
        Class indices.
    y_pred : tensor of float, shape (n, classes)
        Probabilities.

    Returns
    -------
    tensor of float32, shape (n,)

    References
    ----------
    .. [1] E. Frank and M. Hall, "A simple approach to ordinal classification", ECML, 2001.
    """
    ops = keras.ops
    later = ops.flip(ops.cumsum(ops.flip(ops.cast(y_pred, "float32")[:, 1:], axis=1), axis=1), axis=1)
    later = ops.clip(later, 1e-7, 1 - 1e-7)
    true = ops.cast(ops.reshape(y_true, (-1, 1)), "int32") > ops.arange(later.shape[1], dtype="int32")
    return -ops.mean(ops.log(ops.where(true, later, 1 - later)), axis=1)
