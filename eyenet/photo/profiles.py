"""Convert a photograph with a colour profile (ICC) to sRGB, the colours that the networks are trained on."""

import functools
import io

from PIL import Image

# Largest change of a grey level by a profile that counts as sRGB. The profiles of cameras and programs that are called
# sRGB differ by rounding: 1 level, 2 in the darkest colours.
SAME = 2
STEPS = (0, 16, 32, 64, 96, 128, 160, 192, 224, 255)  # levels of the colours that are tried
MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}  # colour space of a profile, mode of Pillow


class ProfileError(ValueError):
    """The colour profile cannot be used; the message says why."""


def to_srgb(image, profile):
    """Convert an image to sRGB.

    Parameters
    ----------
    image : PIL.Image.Image
        Mode RGB, L or CMYK.
    profile : bytes
        The ICC profile of the image.

    Returns
    -------
    PIL.Image.Image
        The same image if the profile is sRGB, otherwise one of mode RGB.

    Raises
    ------
    ProfileError
        If the profile is damaged, or is for other colours than the image has.
    """
    space, transform = _transform(bytes(profile))
    if MODES[space] != image.mode:
        if space != "RGB" or image.mode != "L":
            raise ProfileError(f"is for {space}, but the pixels are {image.mode}")
        image = image.convert("RGB")  # a grey image in a colour space
    return image if transform is None else transform.apply(image)


@functools.lru_cache(maxsize=32)
def _transform(profile):
    """Build the conversion of a profile to sRGB; its colour space, and None instead for sRGB itself."""
    from PIL import ImageCms  # imported here because few photographs need it

    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        space = source.profile.xcolor_space.strip()
        if space not in MODES:
            raise ProfileError(f"is for {space}")
        transform = ImageCms.buildTransform(
            source,
            ImageCms.createProfile("sRGB"),
            MODES[space],
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (OSError, ImageCms.PyCMSError) as error:
        raise ProfileError(f"is damaged ({error})") from None
    if space != "CMYK" and _keeps(transform, space):
        return space, None
    return space, transform


def _keeps(transform, space):
    """Tell whether a conversion changes no colour, except by rounding."""
    colours = [(r, g, b) for r in STEPS for g in STEPS for b in STEPS] if space == "RGB" else [(g, g, g) for g in STEPS]
    probe = Image.new("RGB", (len(colours), 1))
    probe.putdata(colours)
    changed = transform.apply(probe if space == "RGB" else probe.convert("L"))
    pairs = zip(probe.tobytes(), changed.tobytes())
    return max(abs(a - b) for a, b in pairs) <= SAME
