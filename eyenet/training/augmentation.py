"""What training does to a photograph at random, to every class alike: turn, mirror, zoom, shift, change the light.

So that neither orientation nor the camera's colours and exposure tell the label.
"""

import math

import keras
from keras import ops

ZOOM = 0.15  # all four are the ends of a uniform draw; zoom and stretch of the logarithm
STRETCH = 0.08
SHIFT = 0.04  # of the side
CURVE, CONTRAST, BRIGHTNESS = 0.25, 0.15, 0.08  # of the whole picture, and once more of each channel


@keras.saving.register_keras_serializable("eyenet")
class Turn(keras.layers.Layer):
    """Turn by any angle, mirror, zoom, stretch and shift photographs, in one interpolation.

    One affine map for all of it: each further one would blur the small lesions once more.
    """

    def __init__(self, **options):
        super().__init__(**options)
        self.seed_generator = keras.random.SeedGenerator()

    def call(self, images, training=None):
        """Map uint8 or float (n, size, size, 3) to float32 of the same shape and range."""
        images = ops.cast(images, "float32")
        if not training:
            return images
        draw, middle = self._draw(ops.shape(images)[0]), (images.shape[1] - 1) / 2
        angle, zoom, stretch = math.pi * draw[0], ops.exp(ZOOM * draw[1]), ops.exp(STRETCH * draw[2])
        shift_x, shift_y = (2 * middle * SHIFT * draw[i] for i in (3, 4))
        mirror = ops.where(draw[5] < 0, -1.0, 1.0)
        # From a place in the result to the place in the photograph that it shows.
        xx, xy = ops.cos(angle) * zoom * stretch * mirror, -ops.sin(angle) * zoom
        yx, yy = ops.sin(angle) * zoom * stretch * mirror, ops.cos(angle) * zoom
        x0, y0 = middle * (1 - xx - xy) + shift_x, middle * (1 - yx - yy) + shift_y
        zero = ops.zeros_like(angle)
        transform = ops.stack([xx, xy, x0, yx, yy, y0, zero, zero], axis=1)
        return ops.image.affine_transform(images, transform, interpolation="bilinear", fill_mode="constant")

    def _draw(self, count):
        """Draw six rows of `count` numbers from -1 to 1."""
        return keras.random.uniform((6, count), -1, 1, dtype="float32", seed=self.seed_generator)


@keras.saving.register_keras_serializable("eyenet")
class Light(keras.layers.Layer):
    """Bend, stretch and lift the light of photographs, of each channel a little differently; black stays black.

    The bend is a parabola through black and white; a gamma does the same and takes three times as long.
    """

    def __init__(self, **options):
        super().__init__(**options)
        self.seed_generator = keras.random.SeedGenerator()

    def call(self, images, training=None):
        """Map float (n, size, size, 3) in 0-255 to the same."""
        if not training:
            return images
        shape = (3, ops.shape(images)[0], 1, 1, 3)
        each = keras.random.uniform(shape, -1, 1, dtype="float32", seed=self.seed_generator)
        whole = keras.random.uniform((*shape[:4], 1), -1, 1, dtype="float32", seed=self.seed_generator)
        curve, contrast, brightness = ops.unstack(each + whole, axis=0)
        curve, contrast = CURVE * curve, ops.exp(CONTRAST * contrast)
        # 255 (c (x + b x (1 - x) - 1/2) + 1/2 + l) for x in 0-1, as a polynomial of the value in 0-255
        square, linear = -contrast * curve / 255, contrast * (1 + curve)
        constant = 255 * (0.5 - 0.5 * contrast + BRIGHTNESS * brightness)
        shown = ops.cast(ops.max(images, axis=-1, keepdims=True) > 0, "float32")
        lit = ops.clip((square * images + linear) * images + constant, 0, 255)
        return ops.round(lit) * shown  # the network takes bytes, and would cut off what follows the point


def build_augmentation(size):
    """Build the augmentation: uint8 photographs (n, size, size, 3) to float32 of the same range."""
    photograph = keras.Input((size, size, 3), dtype="uint8")
    layers = [photograph, Turn(dtype="float32", name="turn"), Light(dtype="float32", name="light")]
    return keras.Sequential(layers, name="augmentation")
