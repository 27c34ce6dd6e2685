"""Golden hashes of the network's input: the pixels of a preprocessing version never change unnoticed."""

import hashlib

import numpy as np
import pytest
from conftest import draw_photograph
from PIL import Image

from eyenet.data.copies import transform
from eyenet.photo.retina import PREPROCESSING, photograph_to_input
from make_sample import take_photograph

# Photographs and crops depend on Pillow: its libjpeg-turbo encodes and decodes the JPEGs, its resampling averages the
# pixels. Both have been stable for years; the hashes were made with Pillow 13.0. The first hash of each pair is that of
# the file's own pixels, decoded by Pillow alone: if it differs, Pillow or NumPy changed, not the preprocessing.
VERSION = 2  # the PREPROCESSING that the hashes belong to; version 1 had the same for these photographs
GOLDEN = {  # by kind of photograph: hashes of the decoded file and of the crop
    "jpeg": (
        "109f5669f448244eecefabfcd5d6c0111673031fb1c4ba648d695c7bf123bbc3",
        "093d8cdbace02d7cbffc098e7a68c16f8e9a1ec9bda09cba572122bf2969f1a1",
    ),
    "png": (
        "a2842c9bd6acabd209dcd0b2429c8d1a89a5a0a313d5c8aac792c0ade24d1251",
        "01e0eb40c7acdbef8fb11014c7d8ee4bfe8ac9635073d583fd155ca864f3ecdc",
    ),
    "exif": (
        "109f5669f448244eecefabfcd5d6c0111673031fb1c4ba648d695c7bf123bbc3",
        "c6a725edc8bc88c1e0b9ab1ef84bd62ac0afbe7fc2c605f3c44b89f3f159fdfb",
    ),
    "equalized": (
        "109f5669f448244eecefabfcd5d6c0111673031fb1c4ba648d695c7bf123bbc3",
        "329793a266cad3a52f4e50a3556bb81ad3556a4e48e39a84ec5395e0c84f7e3a",
    ),
    "rotated": (
        "109f5669f448244eecefabfcd5d6c0111673031fb1c4ba648d695c7bf123bbc3",
        "5daaf136e309b19b58e4f8120f03a468f53153ac745b87298823536558d6c33f",
    ),
    "sample": (
        "9acd092fddcce4eaa315a302f338923558f3dbea4abcbc05afbed3484359bd1b",
        "e8da8ce8b433b7da08fb959aceb93df5e4b94b2cb68f1eb8c15d80bc2312daa3",
    ),
}
WANTED = "if the change is wanted, raise PREPROCESSING in eyenet/photo/retina.py and record the new hashes here"


def sha256(pixels):
    return hashlib.sha256(np.ascontiguousarray(pixels)).hexdigest()


def write_photograph(folder, kind):
    """Write a photograph of a kind and return its path. A JPEG of 1400 px is decoded at half its size."""
    if kind == "png":
        path = folder / "x.png"
        Image.fromarray(draw_photograph(600, 500, radius=260, seed=1, dots=10)).save(path)  # cut off above and below
        return path
    if kind == "sample":  # from a small camera, the retina cut off
        path = folder / "x.jpeg"
        path.write_bytes(take_photograph(seed=0, patient=4, eye="right", level=4))
        return path
    path, exif = folder / "x.jpeg", Image.Exif()
    exif[0x0112] = 6 if kind == "exif" else 1
    picture = Image.fromarray(draw_photograph(1400, 1050, x=720.0, y=530.0, radius=500, seed=2, dots=10))
    picture.save(path, quality=90, subsampling="4:2:0", exif=exif)
    return path


@pytest.mark.parametrize("kind", ["jpeg", "png", "exif", "equalized", "rotated", "sample"])
def test_the_pixels_of_a_photograph(tmp_path, kind):
    assert PREPROCESSING == VERSION, "PREPROCESSING was raised: record the new hashes and VERSION here"
    path = write_photograph(tmp_path, kind)
    crop, _ = photograph_to_input(path, 256, "equalized" if kind == "equalized" else "natural")
    if kind == "rotated":
        crop = transform(crop, "rot120")
    decoded, prepared = GOLDEN[kind]
    with Image.open(path) as image:
        assert sha256(np.asarray(image)) == decoded, "this version of Pillow or NumPy gives other photographs"
    assert sha256(crop) == prepared, f"the pixels of preprocessing {PREPROCESSING} changed; {WANTED}"
