"""Photographs degraded in known ways, and pictures that are not fundus photographs, for the quality gate.

Each function takes and returns a PIL image, RGB; lengths are shares of its short side, independent of resolution.
"""

import io

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

LIT = 15  # darker pixels are the surround, which light and haze do not change


def blur(image, width):
    """Blur with a Gaussian of the given standard deviation."""
    return image.filter(ImageFilter.GaussianBlur(width * min(image.size)))


def expose(image, gain):
    """Scale the brightness, add some noise if it is reduced, and clip."""
    pixels, lit = _pixels(image)
    noise = np.random.default_rng(0).normal(0, 1.5, pixels.shape) if gain < 1 else 0
    return _image((pixels * gain + noise) * lit)


def flare(image, light):
    """Add a broad glow from the upper left."""
    pixels, lit = _pixels(image)
    x, y = _places(pixels)
    return _image(pixels + lit * light * 400 * np.exp(-(((x - 0.35) ** 2 + (y - 0.15) ** 2) / 0.3)))


def haze(image, share):
    """Mix with grey, like a cloudy lens."""
    pixels, lit = _pixels(image)
    return _image(pixels + lit * share * (np.array([150, 140, 130]) - pixels))


def shade(image, share=0.9):
    """Darken the right half."""
    pixels, _ = _pixels(image)
    x = np.linspace(0, 1, image.width)[:, None]
    return _image(pixels * (1 - share / (1 + np.exp(-12 * (x - 0.45)))))


def cut_top(image, share):
    """Cut off the upper part."""
    return image.crop((0, round(share * image.height), *image.size))


def cut_inside(image, share=0.6):
    """Keep a square in the middle, without the rim."""
    half = share * min(image.size) / 2
    x, y = image.width / 2, image.height / 2
    return image.crop((round(x - half), round(y - half), round(x + half), round(y + half)))


def compress(image, quality):
    """Save as JPEG and read back."""
    file = io.BytesIO()
    image.save(file, "jpeg", quality=quality)
    return Image.open(file).convert("RGB")


# Name: function, and the reason that the gate should name.
FITTED = {
    "blur 1 %": (lambda i: blur(i, 0.01), "out of focus"),
    "blur 2 %": (lambda i: blur(i, 0.02), "out of focus"),
    "dark, a seventh of the light": (lambda i: expose(i, 0.15), "too dark"),
    "three times the light": (lambda i: expose(i, 3), "overexposed"),
    "strong flare": (lambda i: flare(i, 1), "overexposed"),
    "haze 80 %": (lambda i: haze(i, 0.8), "low contrast"),
    "upper half cut off": (lambda i: cut_top(i, 0.5), "retina cut off"),
    "upper two fifths cut off": (lambda i: cut_top(i, 0.4), "retina cut off"),
}
OTHERS = {
    "blur 0.6 %": (lambda i: blur(i, 0.006), "out of focus"),
    "blur 1.5 %": (lambda i: blur(i, 0.015), "out of focus"),
    "dark, a quarter of the light": (lambda i: expose(i, 0.25), "too dark"),
    "four times the light": (lambda i: expose(i, 4), "overexposed"),
    "flare": (lambda i: flare(i, 0.7), "overexposed"),
    "right half in shade": (shade, "too dark"),
    "a square inside the retina": (cut_inside, "retina cut off"),
    "JPEG of quality 10": (lambda i: compress(i, 10), "detail lost"),
}


def pictures():
    """Draw or load pictures that are not fundus photographs; the round ones fill a circle on black.

    Returns
    -------
    dict of str to PIL.Image.Image
    """
    from skimage import data

    noise = np.random.default_rng(0).normal(size=(900, 900, 1))
    x, y = _places(noise)
    cat = Image.fromarray(data.chelsea())
    wall = _image(np.array([228, 224, 215]) + 3 * noise)
    round_light = 1 - 0.6 * ((x - 0.5) ** 2 + (y - 0.5) ** 2) * 4
    orange = _image(round_light * np.array([250, 140, 20]) * (1 + 0.04 * noise))
    coins = Image.fromarray(data.coins()).convert("RGB")
    coffee = Image.fromarray(data.coffee())
    found = {"cat": cat.resize((1200, 800)), "page of text": page(), "white wall": wall, "coffee": coffee}
    found["cat's face, round"] = in_circle(cat.crop((70, 0, 370, 300)))
    found |= {"page of text, round": in_circle(page()), "white wall, round": in_circle(wall)}
    found |= {"orange": in_circle(orange), "coins, round": in_circle(coins), "coffee, round": in_circle(coffee)}
    return found


def page(side=900):
    """Draw a page of text."""
    paper = Image.new("RGB", (side, side), (245, 245, 245))
    draw, font = ImageDraw.Draw(paper), ImageFont.load_default(22)
    for line in range(20, side - 20, 32):
        text = "The retina of the patient was photographed in both eyes on this day."
        draw.text((30, line), text, fill=(25, 25, 25), font=font)
    return paper


def in_circle(image, size=900):
    """Show a picture inside a circle on black."""
    frame, hole = Image.new("RGB", (size + 300, size + 100)), Image.new("L", (size, size))
    ImageDraw.Draw(hole).ellipse((0, 0, size - 1, size - 1), fill=255)
    frame.paste(image.resize((size, size)), (150, 50), hole)
    return frame


def _pixels(image):
    pixels = np.asarray(image).astype(np.float32)
    return pixels, pixels.max(axis=2, keepdims=True) > LIT


def _places(pixels):
    height, width = pixels.shape[:2]
    y, x = np.mgrid[:height, :width] / min(height, width)
    return x[..., None], y[..., None]


def _image(pixels):
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
