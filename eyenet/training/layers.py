"""The layer that applies a random change to photographs in training."""

import keras


class RandomChange(keras.layers.Layer):
    """Apply a function with random numbers to photographs in training; otherwise pass them on as float32.

    Parameters
    ----------
    change : callable
        Takes float32 photographs (n, size, size, 3) and a function that draws an array of a given shape, uniform from
        -1 to 1; returns changed photographs.
    """

    def __init__(self, change, **options):
        super().__init__(**options)
        self.change = change
        self.seed_generator = keras.random.SeedGenerator()

    def call(self, images, training=None):
        images = keras.ops.cast(images, "float32")
        return self.change(images, self.draw) if training else images

    def draw(self, *shape):
        """Draw uniform numbers from -1 to 1."""
        return keras.random.uniform(shape, -1, 1, dtype="float32", seed=self.seed_generator)

    def get_config(self):  # TensorBoard draws the model from it; the layer is not rebuilt
        return {"name": self.name}
