"""A small fake of the competition's server on loopback, which can simulate faults of networks and servers.

The real kaggle client connects to it: KAGGLE_API_ENVIRONMENT=LOCALHOST selects http://localhost, and HTTP_PROXY the
port of this server.
"""

import hashlib
import io
import json
import random
import re
import threading
import time
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from PIL import Image

PAGE = 3  # names per page of the listing; few, so that a client must request several pages
FIXED = (2015, 5, 1, 0, 0, 0)  # so that two zips of the same photographs have the same bytes


def make_photographs(count=12):
    """Draw {name: bytes} of JPEGs, each different.

    They are noise of 0.6 MB each. The client writes its file in blocks of 1 MiB, so a part must contain several
    photographs for an interrupted transfer to be resumable.
    """
    photographs = {}
    for i in range(count):
        file = io.BytesIO()
        noise = random.Random(i).randbytes(800 * 800 * 3)
        Image.frombytes("RGB", (800, 800), noise).save(file, "JPEG", quality=90)
        photographs[f"{10 + i // 2}_{('left', 'right')[i % 2]}"] = file.getvalue()
    return photographs


def make_zip(entries):
    """Zip {name or ZipInfo: bytes}; a name that ends with / is a folder."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in entries.items():
            info = name if isinstance(name, zipfile.ZipInfo) else zipfile.ZipInfo(name, FIXED)
            archive.writestr(info, data, zipfile.ZIP_STORED if info.is_dir() else zipfile.ZIP_DEFLATED)
    return file.getvalue()


def cut(data, name, count):
    """Cut bytes into {name.001: ..., name.002: ...}; the cuts fall inside entries."""
    size = -(-len(data) // count)
    return {f"{name}.{i + 1:03d}": data[i * size : (i + 1) * size] for i in range(count)}


def make_competition(photographs, levels=None, parts=3):
    """Make {file name: bytes} of the competition's files."""
    levels = {name: i % 5 for i, name in enumerate(photographs)} if levels is None else levels
    table = "image,level\n" + "".join(f"{name},{level}\n" for name, level in levels.items())
    archive = make_zip({"train/": b"", **{f"train/{name}.jpeg": data for name, data in photographs.items()}})
    return {
        **cut(archive, "train.zip", parts),
        "trainLabels.csv.zip": make_zip({"trainLabels.csv": table.encode()}),
        "sampleSubmission.csv.zip": make_zip({"sampleSubmission.csv": b"image,level\n"}),
    }


class FakeKaggle(ThreadingHTTPServer):
    """The server; its attributes define the faults.

    Attributes
    ----------
    files : dict of str to bytes
    sizes : dict of str to int
        Wrong sizes in the listing.
    cut, stall : dict of str to int
        Send this many bytes of the file, then close the connection or send nothing more; once.
    slow : dict of str to float
        Seconds to pause after each of a hundred pieces of the file.
    silent : set of str
        API calls that get no answer at all; once.
    refuse : dict of str to int
        HTTP status for an API call, by the call's name.
    log : list of (str, str or None)
        File name and Range header of every transfer.
    """

    daemon_threads = True

    def __init__(self, files):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.log = dict(files), []
        self.sizes, self.cut, self.stall, self.slow, self.refuse = {}, {}, {}, {}, {}
        self.silent, self.calls = set(), 0
        self.closing = threading.Event()
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_port}"

    def close(self):
        self.closing.set()
        self.shutdown()
        self.server_close()

    def handle_error(self, request, client_address):
        """Ignore clients that close the connection: the tests kill them."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, status, value):
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("X-Kaggle-APIVersion", "99.0")  # makes the client suggest an upgrade
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_POST(self):
        server = self.server
        server.calls += 1
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        call = self.path.rpartition("/")[2]
        if call in server.silent:
            server.silent.remove(call)
            server.closing.wait()
        status = server.refuse.get(call, 200 if self.headers["Authorization"] else 401)
        if status != 200:
            self.answer(status, {"code": status, "message": "You may not."})
        elif call == "ListDataFiles":
            start = int(request.get("pageToken") or 0)
            names = sorted(server.files)
            files = [{"name": n, "totalBytes": server.sizes.get(n, len(server.files[n]))} for n in names]
            more = {"nextPageToken": str(start + PAGE)} if start + PAGE < len(names) else {}
            self.answer(200, {"files": files[start : start + PAGE], **more})
        elif call == "DownloadDataFile" and request["fileName"] in server.files:
            self.send_response(302)
            self.send_header("Location", f"http://localhost/storage/{request['fileName']}?signature=x")
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            self.answer(404, {"code": 404, "message": "Not found"})

    def do_GET(self):
        server = self.server
        name = self.path.rpartition("/")[2].partition("?")[0]
        data = server.files[name]
        wanted = self.headers["Range"]
        server.log.append((name, wanted))
        start = int(re.fullmatch(r"bytes=(\d+)-", wanted).group(1)) if wanted else 0
        self.send_response(206 if wanted else 200)
        if wanted:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(len(data) - start))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("ETag", f'"{hashlib.md5(data).hexdigest()}"')
        self.send_header("Last-Modified", "Fri, 01 May 2015 00:00:00 GMT")
        self.end_headers()
        self.send_body(name, data[start:])

    def send_body(self, name, data):
        server = self.server
        if name in server.slow:
            pause, step = server.slow[name], -(-len(data) // 100)
            for i in range(0, len(data), step):
                self.wfile.write(data[i : i + step])
                if server.closing.wait(pause):
                    return
            return
        stalled = server.stall.pop(name, None)
        broken = server.cut.pop(name, None) if stalled is None else None
        limit = stalled if stalled is not None else broken
        self.wfile.write(data[:limit])
        if stalled is not None:
            server.closing.wait()
        if limit is not None:
            self.wfile.flush()
            time.sleep(0.05)
            self.close_connection = True
