"""Stanford Dogs from a home that is a server of this test: fetched, resumed, refused, split, cropped."""

import hashlib
import http.server
import io
import json
import tarfile
import threading
from functools import partial

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from engine.datasets import download
from engine.datasets.download import fetch
from engine.datasets.sources.stanford import box_of, read_lists
from engine.errors import InputError, ServiceUnavailable
from engine.store import Store
from tests.pictures import kennel, plain

FOLDERS = {"pug": "n02110958-pug", "dalmatian": "n02110341-dalmatian"}
TRAIN = 12


class Home(http.server.ThreadingHTTPServer):
    """Serves files with ranges; `cut` lists after how many bytes the next answers break off."""

    def __init__(self, files, cut=()):
        self.files, self.cut, self.asked, self.tag = files, list(cut), [], '"one"'
        self.says_length = True
        super().__init__(("127.0.0.1", 0), _Answer)


class _Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        home, name = self.server, self.path.rsplit("/", 1)[-1]
        home.asked.append((name, self.headers.get("Range"), self.headers.get("If-Range")))
        if name not in home.files:
            self.send_error(404, "Not Found")
            return
        data, start = home.files[name], 0
        wanted = self.headers.get("Range")
        if wanted and self.headers.get("If-Range") == home.tag:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        else:
            self.send_response(200)
        if home.says_length:
            self.send_header("Content-Length", str(len(data) - start))
        self.send_header("ETag", home.tag)
        self.end_headers()
        self.wfile.write(data[start : start + home.cut.pop(0)] if home.cut else data[start:])

    def log_message(self, *_):
        pass


@pytest.fixture
def serve(monkeypatch):
    monkeypatch.setattr(download, "pause", lambda seconds: None)
    servers = []

    def start(files, cut=()):
        server = Home(files, cut)
        servers.append(server)
        threading.Thread(target=partial(server.serve_forever, poll_interval=0.01), daemon=True).start()
        server.url = f"http://127.0.0.1:{server.server_port}/ImageNetDogs"
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def packed(members):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return out.getvalue()


def matlab(names):
    """As the original lists are: a column of cells, each a text."""
    cells = np.empty((len(names), 1), dtype=object)
    cells[:, 0] = names
    out = io.BytesIO()
    savemat(out, {"file_list": cells, "labels": np.ones((len(names), 1))})
    return out.getvalue()


def annotation(*boxes):
    sides = ("xmin", "ymin", "xmax", "ymax")
    objects = "".join(
        f"<object><bndbox>{''.join(f'<{s}>{v}</{s}>' for s, v in zip(sides, box, strict=True))}</bndbox></object>"
        for box in boxes
    )
    return f"<annotation><folder>x</folder>{objects}</annotation>".encode()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The three archives, with drawn dogs."""
    root = kennel(tmp_path_factory.mktemp("dogs"), 15, tuple(FOLDERS))
    pictures = [
        (f"{FOLDERS[breed]}/{FOLDERS[breed][:9]}_{n}.jpg", (root / breed / f"{n:03d}.jpg").read_bytes())
        for breed in FOLDERS
        for n in range(15)
    ]
    of = {"train": [], "test": []}
    for number, (name, _) in enumerate(pictures):
        of["train" if number % 15 < TRAIN else "test"].append(name)
    return {
        "images.tar": packed((f"Images/{name}", data) for name, data in pictures),
        "annotation.tar": packed(
            (f"Annotation/{name[:-4]}", annotation((10, 20, 60, 90), (30, 40, 110, 80))) for name, _ in pictures
        ),
        "lists.tar": packed(
            [("train_list.mat", matlab(of["train"])), ("test_list.mat", matlab(of["test"])), ("file_list.mat", b"")]
        ),
    }


@pytest.fixture
def cli(tmp_path, dogcls):
    return partial(dogcls, tmp_path / "home")


def add(cli, server, *more):
    return cli("data", "add", "stanford-dogs", "--name", "dogs", "--url", server.url, *more)


def test_its_licence_is_shown_and_nothing_is_fetched_before_it_is_accepted(cli, serve, files):
    server = serve(files)
    code, _, err = add(cli, server)
    assert code == 2
    assert "non-commercial research" in err
    assert "ImageNet" in err
    assert "--accept-licence" in err
    assert server.asked == []


def test_it_comes_with_its_own_split_over_a_line_that_breaks(cli, serve, files, tmp_path):
    server = serve(files, cut=[100, 3000, 40_000, 10])
    code, _, err = add(cli, server, "--accept-licence")
    assert code == 0, err
    assert "added dogs: 2 classes, 22 train, 2 val, 6 test" in err
    assert "fetching images.tar" in err
    ranges = [wanted for name, wanted, _ in server.asked if name == "images.tar"]
    assert ranges[0] is None
    assert ranges[-1].startswith("bytes=")
    store = Store(tmp_path / "home" / "store.db")
    tests = {i.path.name for i in store.datasets.images("dogs", "test")}
    assert tests == {f"{folder[:9]}_{n}.jpg" for folder in FOLDERS.values() for n in range(TRAIN, 15)}
    assert store.datasets.get("dogs").labels == ("Dalmatian", "Pug")
    assert (store.datasets.get("dogs").source, store.datasets.get("dogs").split) == ("stanford-dogs", "official")
    store.close()
    kept = tmp_path / "home" / "cache" / "stanford-dogs"
    told = json.loads((kept / "images.tar.json").read_text())
    assert told["sha256"] == hashlib.sha256(files["images.tar"]).hexdigest()
    assert told["size"] == len(files["images.tar"])

    asked = len(server.asked)
    code, _, err = cli("data", "add", "stanford-dogs", "--name", "again", "--url", server.url, "--accept-licence")
    assert (code, len(server.asked)) == (0, asked)


def test_pictures_are_cut_to_their_boxes(cli, serve, files, tmp_path):
    code, _, err = add(
        cli, serve(files), "--accept-licence", "--crop-boxes", "--train", "5", "--val", "2", "--test", "3"
    )
    assert code == 0, err
    store = Store(tmp_path / "home" / "store.db")
    images = store.datasets.images("dogs", "train")
    assert {(i.width, i.height) for i in images} == {(100, 70)}
    assert len(images) == 10
    with Image.open(images[0].path) as image:
        assert image.size == (100, 70)
    store.close()


def test_other_sources_have_no_boxes(cli, tmp_path):
    code, _, err = cli("data", "add", tmp_path, "--name", "x", "--crop-boxes")
    assert code == 2
    assert "only stanford-dogs has that (--crop-boxes)" in err


def test_a_home_that_has_gone_is_told(cli, serve):
    code, _, err = add(cli, serve({}), "--accept-licence")
    assert code == 2
    assert "lists.tar: 404 Not Found" in err


def test_a_line_that_breaks_again_and_again_keeps_what_came(serve, tmp_path):
    data = bytes(range(256)) * 400
    server = serve({"x.tar": data}, cut=[1000] * download.ATTEMPTS)
    path = tmp_path / "x.tar"
    with pytest.raises(ServiceUnavailable, match="goes on from there"):
        fetch(f"{server.url}/x.tar", path, most=10**6)
    assert (tmp_path / "x.tar.partial").stat().st_size == 1000 * download.ATTEMPTS
    assert not path.exists()
    server.asked.clear()
    assert fetch(f"{server.url}/x.tar", path, most=10**6).size == len(data)
    assert path.read_bytes() == data
    assert server.asked == [("x.tar", f"bytes={1000 * download.ATTEMPTS}-", '"one"')]


def test_another_version_is_fetched_from_its_beginning(serve, tmp_path):
    server = serve({"x.tar": b"a" * 5000}, cut=[500] * download.ATTEMPTS)
    with pytest.raises(ServiceUnavailable):
        fetch(f"{server.url}/x.tar", tmp_path / "x.tar", most=10**6)
    server.files["x.tar"], server.tag = b"b" * 5000, '"two"'
    fetch(f"{server.url}/x.tar", tmp_path / "x.tar", most=10**6)
    assert (tmp_path / "x.tar").read_bytes() == b"b" * 5000


def test_a_damaged_file_is_fetched_again(serve, tmp_path):
    server = serve({"x.tar": b"a" * 5000})
    fetch(f"{server.url}/x.tar", tmp_path / "x.tar", most=10**6)
    (tmp_path / "x.tar").write_bytes(b"a" * 4999 + b"b")
    fetch(f"{server.url}/x.tar", tmp_path / "x.tar", most=10**6)
    assert (tmp_path / "x.tar").read_bytes() == b"a" * 5000


def test_what_is_too_large_or_not_what_it_should_be_is_refused(serve, tmp_path):
    server = serve({"x.tar": b"a" * 5000})
    with pytest.raises(InputError, match="5,000 bytes, and 4,000 were expected at most"):
        fetch(f"{server.url}/x.tar", tmp_path / "x.tar", most=4000)
    server.says_length = False
    with pytest.raises(InputError, match="more than 4,000 bytes"):
        fetch(f"{server.url}/x.tar", tmp_path / "y.tar", most=4000)
    with pytest.raises(InputError, match="its sha256 is"):
        fetch(f"{server.url}/x.tar", tmp_path / "z.tar", most=10**6, sha256="0" * 64)
    with pytest.raises(InputError, match="not an http address"):
        fetch("file:///etc/passwd", tmp_path / "z.tar", most=10**6)
    assert not list(tmp_path.glob("*.tar"))


def test_a_disk_that_fills_up_gives_the_space_back(serve, tmp_path, monkeypatch):
    monkeypatch.setattr(download.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 100})())
    server = serve({"x.tar": b"a" * 5000})
    with pytest.raises(InputError, match="5,000 bytes do not fit"):
        fetch(f"{server.url}/x.tar", tmp_path / "x.tar", most=10**6)
    assert not list(tmp_path.glob("*.partial"))


@pytest.mark.parametrize(
    ("xml", "words"),
    [
        (b'<!DOCTYPE a [<!ENTITY b "c">]><annotation>&b;</annotation>', "declares a document type"),
        (b"<annotation>", "no readable annotation"),
        (b"<annotation/>", "no box in it"),
        (annotation(("x", 1, 2, 3)), "no readable annotation"),
        (annotation(("inf", 1, 2, 3)), "no readable annotation"),
    ],
)
def test_annotations_that_are_none_are_refused(xml, words):
    with pytest.raises(InputError, match=words):
        box_of(xml, "a/b")


def test_lists_that_are_none_are_refused(tmp_path):
    path = tmp_path / "lists.tar"
    path.write_bytes(packed([("train_list.mat", plain())]))
    with pytest.raises(InputError, match=r"train_list\.mat has no file_list"):
        read_lists(path)
    path.write_bytes(packed([("train_list.mat", matlab(["a/b.jpg"]))]))
    with pytest.raises(InputError, match=r"test_list\.mat is missing"):
        read_lists(path)
    path.write_bytes(b"no tar")
    with pytest.raises(InputError, match="no readable tar file"):
        read_lists(path)
