"""Compare two decoders of JPEG as the photographs need them, at a reduced scale and as a Pillow image.

    pip install -r requirements-bench.txt
    python benchmarks/decoders.py --data FOLDER      FOLDER/train/*.jpeg, whole camera photographs

CPU time of simplejpeg divided by that of Pillow, from file to pixels, the least of --repeat runs for each photograph,
and the mean over photographs. simplejpeg returns an array; the stages need an image, since Pillow finds the rim,
averages and turns. Both decode to the same pixels, which is checked.
"""

import numpy as np
import record
import simplejpeg
from PIL import Image

from eyenet.photo.decode import FORMATS


def with_pillow(path, factor):
    """Decode with Pillow at 1/factor, as eyenet/photo/decode.py does."""
    with Image.open(path, formats=FORMATS) as image:
        image.draft(None, (image.width // factor, image.height // factor))
        image.load()
        return image


def as_array(path, factor):
    """Decode with simplejpeg at 1/factor; Pillow reads the header, for orientation and colour profile."""
    with Image.open(path, formats=FORMATS) as image:
        width, height = image.size
    return simplejpeg.decode_jpeg(path.read_bytes(), min_height=-(-height // factor), min_width=-(-width // factor))


def as_image(path, factor):
    """Decode with simplejpeg, and hand the pixels to Pillow."""
    return Image.fromarray(as_array(path, factor))


WAYS = {"Pillow": with_pillow, "array": as_array, "image": as_image}


def main():
    args = record.parse(__doc__).parse_args()
    paths = sorted((args.data / "train").glob("*.jpeg"))
    rows = []
    for factor in (1, 2, 4, 8):
        taken = {way: 0.0 for way in WAYS}
        for path in paths:
            seconds = {way: [] for way in WAYS}
            for _ in range(args.repeat):
                for way, decode in WAYS.items():
                    seconds[way].append(record.cpu_seconds(decode, path, factor))
            taken = {way: taken[way] + min(seconds[way]) for way in WAYS}
            assert np.array_equal(with_pillow(path, factor), as_image(path, factor)), path
        rows.append((f"1/{factor}, Pillow", f"{1e3 * taken['Pillow'] / len(paths):.1f}", "ms", ""))
        for way, what in (("array", "simplejpeg to an array / Pillow"), ("image", "simplejpeg to an image / Pillow")):
            rows.append((f"1/{factor}, {what}", f"{taken[way] / taken['Pillow']:.2f}", "ratio", "< 1"))
    record.write("decoders", rows, ("simplejpeg",))


if __name__ == "__main__":
    main()
