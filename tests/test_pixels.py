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
VERSION = 2  # the PREPROCESSING that the hashes belong to
GOLDEN = {  # by kind of photograph: hashes of the decoded file and of the crop
    "jpeg": (
        "109f5669f448244eecefabfcd5d6c0111673031fb1c4ba648d695c7bf123bbc3",
        "4cec6881e488f57cfdf2aa81dde09f6e4743bf7fac5944b9eb885a4aa69f1c76",
    ),
    "png": (
        "a2842c9bd6acabd209dcd0b2429c8d1a89a5a0a313d5c8aac792c0ade24d1251",
        "9371b6ab8b357308351cf4f0c77273c13b1af61a4d578a3019bf68503b39263f",
    ),
    "exif": (
        "109f5669f448244eecefabfcd5d6c0111673031fb1c4ba648d695c7bf123bbc3",
        "6b56a359e41a98fbed671a24e7f84b58473196d15c8fe9a57bb906cc5a9366d2",
    ),
    "equalized": (
        "109f5669f448244eecefabfcd5d6c0111673031fb1c4ba648d695c7bf123bbc3",
        "2cd95bd73462df1154ba1feb76135408a2505fd31782a32f4fe6f14c45fc194c",
    ),
    "rotated": (
        "109f5669f448244eecefabfcd5d6c0111673031fb1c4ba648d695c7bf123bbc3",
        "916fd4a75408316724b8e29d26dbc34ef33ce881a3fdb443dee870a324b0a428",
    ),
    "sample": (
        "9acd092fddcce4eaa315a302f338923558f3dbea4abcbc05afbed3484359bd1b",
        "3de8adbeb70dd1c96fd8aa630a39a450a07b7c9f25b8408c4fc878fdbe974d54",
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
