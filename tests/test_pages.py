"""Which files are photographs, and which of their pages."""

import io
import os
import shutil
import struct
import sys

import numpy as np
import pytest
from conftest import draw_photograph, one_sentence, read_csv, run
from PIL import Image
from test_predict import as_dicom

from benchmarks.browser import BrowserError, install, run_node
from eyenet.photo.decode import open_photograph
from eyenet.photo.kinds import examine, find_photographs
from eyenet.photo.retina import crop_photograph
from eyenet.run.errors import NotAPhotograph, PhotoError, StageError

HEALTHY, DISEASED = (
    Image.fromarray(draw_photograph(700, 520, radius=230, seed=seed, dots=9 * seed)) for seed in (0, 1)
)


def save_pages(path, *pages, **options):
    first, *others = (page.copy() for page in pages)
    first.save(path, save_all=True, append_images=others, **options)
    return path


def names(path):
    return [found.name for found in examine(path)[0]]


@pytest.mark.parametrize(
    "name, options",
    [
        ("x.tif", {"compression": "tiff_lzw"}),
        ("x.png", {}),
        ("x.webp", {"lossless": True}),
        ("x.jpeg", {"format": "MPO", "quality": 95}),
        ("x.gif", {}),
    ],
)
def test_each_page_is_a_photograph(tmp_path, name, options):
    path = save_pages(tmp_path / name, HEALTHY, DISEASED, **options)
    assert names(path) == [f"{name}[1]", f"{name}[2]"]
    for page, image in zip(examine(path)[0], (HEALTHY, DISEASED)):
        found, _, frame = open_photograph(page)
        assert np.abs(np.asarray(found).astype(int) - np.asarray(image)).mean() < 2 and frame == (700, 520)
        crop, geometry = crop_photograph(page, 256)
        assert crop.shape == (256, 256, 3) and geometry["bytes"] == path.stat().st_size
    with pytest.raises(PhotoError, match="holds 2 photographs as pages; save each page as a file"):
        open_photograph(path)
    with pytest.raises(PhotoError, match="has 2 pages, and there is no page 3"):
        open_photograph(tmp_path / f"{name}[3]")
    path.rename(tmp_path / f"{name}[2]")  # a file of such a name is a file
    with pytest.raises(PhotoError, match="holds 2 photographs"):
        open_photograph(tmp_path / f"{name}[2]")


@pytest.mark.parametrize("share", [0.2, 0.5])
@pytest.mark.parametrize("form", [{"format": "TIFF"}, {"format": "MPO", "quality": 90}])
def test_a_thumbnail_is_not_a_photograph(tmp_path, share, form):
    small = DISEASED.resize((round(700 * share), round(520 * share)))
    for pages in ([small, DISEASED], [DISEASED, small]):
        path = save_pages(tmp_path / "x", *pages, **form)
        assert names(path) == ["x"] and open_photograph(path)[2] == (700, 520)
    other = HEALTHY.resize((350, 260))  # small, but another picture
    path = save_pages(tmp_path / "y", other, DISEASED, **form)
    assert names(path) == ["y[1]", "y[2]"]


def test_a_page_that_a_tiff_calls_reduced(tmp_path):
    tifffile = pytest.importorskip("tifffile", reason="no tifffile here: it comes with scikit-image")
    with tifffile.TiffWriter(tmp_path / "x.tif") as file:
        file.write(np.asarray(DISEASED), photometric="rgb")
        file.write(np.asarray(HEALTHY)[::2, ::2], photometric="rgb", subfiletype=1)
    assert names(tmp_path / "x.tif") == ["x.tif"]


def test_frames_of_dicom_are_pages(tmp_path):
    both = np.stack([np.asarray(HEALTHY), np.asarray(DISEASED)])
    path = as_dicom(tmp_path / "x.dcm", both.reshape(-1, 700, 3), "RGB", NumberOfFrames=2, Rows=520)
    assert names(path) == ["x.dcm[1]", "x.dcm[2]"]
    for page, pixels in zip(examine(path)[0], both):
        assert (np.asarray(open_photograph(page)[0]) == pixels).all()
    with pytest.raises(PhotoError, match="holds 2 photographs"):
        open_photograph(path)


def test_dicom_without_a_preamble(tmp_path):
    path = as_dicom(tmp_path / "x", np.asarray(DISEASED), "RGB")
    data = path.read_bytes()
    path.write_bytes(data[132:])
    assert examine(path)[1] is None and (np.asarray(open_photograph(path)[0]) == np.asarray(DISEASED)).all()
    pydicom = pytest.importorskip("pydicom")
    dataset = pydicom.dcmread(path, force=True)
    del dataset.file_meta
    pydicom.dcmwrite(path, dataset, implicit_vr=True, little_endian=True, enforce_file_format=False)
    assert path.read_bytes()[:2] == b"\x08\0"
    assert examine(path)[1] is None and (np.asarray(open_photograph(path)[0]) == np.asarray(DISEASED)).all()


@pytest.mark.parametrize("bits, stored", [(10, 10), (12, 12), (12, 16), (16, 16)])
def test_dicom_of_any_depth(tmp_path, bits, stored):
    levels = np.asarray(DISEASED).astype(np.uint16) << (bits - 8)
    path = as_dicom(tmp_path / "x.dcm", levels, "RGB", BitsStored=stored, HighBit=stored - 1)
    assert (np.asarray(open_photograph(path)[0]) == np.asarray(DISEASED)).all()


KINDS = {
    "1.2.840.10008.1.3.10": "Media Storage Directory Storage",
    "1.2.840.10008.5.1.4.1.1.88.11": "Basic Text SR Storage",
    "1.2.840.10008.5.1.4.1.1.11.1": "Grayscale Softcopy Presentation State Storage",
    "1.2.840.10008.5.1.4.1.1.77.1.5.4": "Ophthalmic Tomography Image Storage",
    "1.2.840.10008.5.1.4.1.1.104.1": "Encapsulated PDF Storage",
}


def test_dicom_that_is_no_photograph(tmp_path):
    for kind, name in KINDS.items():
        path = as_dicom(tmp_path / name, np.asarray(DISEASED), "RGB", SOPClassUID=kind)
        assert name in examine(path)[1]
        with pytest.raises(NotAPhotograph, match=name):
            open_photograph(path)


@pytest.fixture
def clinic(tmp_path):
    """A folder of photographs with all kinds of names, in links, and of other files."""
    folder, elsewhere = tmp_path / "clinic", tmp_path / "nas" / "may"
    folder.mkdir()
    elsewhere.mkdir(parents=True)
    for name, form in (("a.bmp", "BMP"), ("b.jfif", "JPEG"), ("c.JPE", "JPEG"), ("d.webp", "WEBP"), ("e", "JPEG")):
        HEALTHY.save(folder / name, form)
    HEALTHY.save(folder / "f.heic", "PNG")
    save_pages(folder / "g.tiff", HEALTHY, DISEASED)
    HEALTHY.save(elsewhere / "h.jpeg")
    (folder / "linked").symlink_to(elsewhere, target_is_directory=True)
    (elsewhere / "loop").symlink_to(folder, target_is_directory=True)
    (folder / "today.csv").write_text("the table of results")
    crops = elsewhere / "crops"
    crops.mkdir()
    for name in ("stage.json", "rejected.csv"):  # of a step of EyeNet
        (crops / name).write_text("{}")
    (folder / "i.jpeg").write_text("no photograph, though it should be one")
    for name, content in (("notes.txt", b"a letter"), ("BM", b"BM is no bitmap"), ("empty", b""), ("x.pdf", b"%PDF-1")):
        (folder / name).write_bytes(content)
    os.mkfifo(folder / "pipe.jpeg")
    return folder


def test_photographs_are_found_by_content(clinic):
    found, left_out = find_photographs([clinic, clinic / "linked"], {clinic / "today.csv"})
    listed = [str(path.relative_to(clinic)) for path in found]
    assert listed == [
        "a.bmp",
        "b.jfif",
        "c.JPE",
        "d.webp",
        "e",
        "f.heic",
        "g.tiff[1]",
        "g.tiff[2]",
        "i.jpeg",
        "linked/h.jpeg",
    ]
    assert {path.name for path in left_out} == {"notes.txt", "BM", "empty", "x.pdf", "pipe.jpeg"}
    reasons = {path.name: reason for path, reason in left_out.items()}
    assert reasons["empty"] == "is empty" and "not JPEG, PNG" in reasons["x.pdf"] and "regular" in reasons["pipe.jpeg"]


def test_a_pipe_is_not_waited_for(clinic):
    with pytest.raises(StageError, match="is a pipe or a device"):
        find_photographs([clinic / "a.bmp", clinic / "pipe.jpeg"], ())


def test_heic_has_its_sentence(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    (tmp_path / "x").write_bytes(b"\0\0\0\x18ftypheic" + bytes(100))
    assert examine(tmp_path / "x")[1] is None
    with pytest.raises(PhotoError, match="pip install pillow-heif"):
        open_photograph(tmp_path / "x")


def test_resize_uses_the_same_photographs(clinic, tmp_path):
    """Each page and each photograph of a subfolder; other files and names that are not UTF-8 are listed."""
    shutil.copy(clinic / "e", os.fsencode(clinic) + b"/m\xfcller.jpeg")
    args = ("resize_images.py", "--input", clinic, "--output", tmp_path / "out", "--size", 64)
    done = run(*args, "--max-rejected", 0.9)
    found = [*"abcdef", "g[1]", "g[2]", "h"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir() if path.suffix == ".png") == [
        f"{name}.png" for name in found
    ]
    rejected = {row["image"]: row["reason"] for row in read_csv(tmp_path / "out" / "rejected.csv")}
    assert rejected.keys() == {"i.jpeg", "m?ller.jpeg"} and "not UTF-8" in rejected["m?ller.jpeg"]
    files = {row["image"]: row["file"] for row in read_csv(tmp_path / "out" / "photographs.csv")}
    assert list(files) == found and (files["g[2]"], files["h"]) == ("g.tiff[2]", "linked/h.jpeg")
    left_out = read_csv(tmp_path / "out" / "left_out.csv")
    others = ["BM", "empty", "notes.txt", "pipe.jpeg", "today.csv", "x.pdf"]
    assert [row["file"] for row in left_out] == others  # but not the tables of another step in linked/crops
    assert "left out 6 other files and folders:" in done.stderr
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "a.txt").write_text("a letter")
    one_sentence(run(*args[:2], tmp_path / "none", *args[3:], code=1), "hold no photograph")


APPLE = b"""http://ns.adobe.com/xap/1.0/\0<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF \
xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" \
xmlns:HDRGainMap="http://ns.apple.com/HDRGainMap/1.0/" xmlns:apdi="http://ns.apple.com/pixeldatainfo/1.0/">\
<HDRGainMap:HDRGainMapVersion>65536</HDRGainMap:HDRGainMapVersion><apdi:StoredFormat>1278226488</apdi:StoredFormat>\
<apdi:AuxiliaryImageType>urn:com:apple:photo:2020:aux:hdrgainmap</apdi:AuxiliaryImageType>\
</rdf:Description></rdf:RDF></x:xmpmeta>"""
ISO = b"urn:iso:std:iso:ts:21496:-1\0\0\0\0\0"


def multi_picture(path, first, *others):
    """Write a multi-picture JPEG (CIPA DC-007), big-endian as phones do; `others` are pictures, and APP1 or APP2."""
    files = []
    for picture, *segment in ((first,), *others):
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=90)
        data = file.getvalue()
        for marker, content in segment:
            data = data[:2] + struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content + data[2:]
        files.append(data)
    count = len(files)
    fields = struct.pack(">HHIIHHIIHHII", 0xB000, 7, 4, 0x30313030, 0xB001, 4, 1, count, 0xB002, 7, 16 * count, 50)
    length = 2 + 4 + 8 + 2 + len(fields) + 4 + 16 * count
    files[0] = files[0][:2] + bytes(4 + length - 2) + files[0][2:]
    entries, place = [], 0
    for i, data in enumerate(files):
        entries.append(struct.pack(">IIIHH", 0 if i else 0x030000, len(data), place and place - 10, 0, 0))
        place += len(data)
    head = b"MM\0*" + struct.pack(">IH", 8, 3) + fields + bytes(4) + b"".join(entries)
    start = struct.pack(">BBH", 0xFF, 0xE2, length) + b"MPF\0" + head
    files[0] = files[0][:2] + start + files[0][2 + len(start) :]
    path.write_bytes(b"".join(files))
    return path


@pytest.fixture
def maps(tmp_path):
    """Files of phones by name, and the number of photographs in them."""
    gain, other = HEALTHY.convert("L").resize((350, 260)), HEALTHY.resize((350, 260))
    apple, iso = (0xE1, APPLE), (0xE2, ISO)
    files = {
        "apple.jpg": (1, (gain, apple)),
        "iso.jpg": (1, (other, iso)),  # of three components
        "two.jpg": (2, (HEALTHY,), (gain, apple)),
        "grey.jpg": (2, (gain,)),  # nothing says what it is
    }
    for name, (_, *pictures) in files.items():
        multi_picture(tmp_path / name, DISEASED, *pictures)
    return {tmp_path / name: count for name, (count, *_) in files.items()}


def test_the_gain_map_of_a_phone_is_not_a_photograph(maps):
    for path, count in maps.items():
        with Image.open(path) as image:
            assert image.n_frames == count + (path.name != "grey.jpg"), path.name
        assert names(path) == ([path.name] if count == 1 else [f"{path.name}[1]", f"{path.name}[2]"])
        found, _, frame = open_photograph(examine(path)[0][0])
        assert frame == (700, 520) and np.abs(np.asarray(found).astype(int) - np.asarray(DISEASED)).mean() < 2


def test_the_page_counts_the_same_photographs(maps):
    """The code of the page, without a browser."""
    try:
        install()
    except BrowserError as error:
        pytest.skip(f"the page is not tested: {error}")
    assert dict(zip(maps, run_node("container.mjs", *map(str, maps)))) == maps
