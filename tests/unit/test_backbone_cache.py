"""Features and maps that are computed once: by content, in pieces, within what the disk holds."""

import errno
import hashlib

import numpy as np
import pytest

from engine.backbones import cache as cache_module
from engine.backbones import cached_features, cached_views, load_backbone
from engine.errors import InputError


@pytest.fixture(scope="module")
def backbone(backbones):
    return load_backbone(backbones / "backbones")


@pytest.fixture(scope="module")
def cut(backbones):
    return load_backbone(backbones / "backbones", cut=3)


@pytest.fixture(autouse=True)
def short_chunks(monkeypatch):
    monkeypatch.setattr(cache_module, "CHUNK", 3)


@pytest.fixture(scope="module")
def files(dogs):
    return sorted(dogs.rglob("*.jpg"))[:7]


def digests(files):
    return [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]


class Counted:
    """Pictures as functions that count how often they are read."""

    def __init__(self, files):
        self.reads = 0
        self.sources = [lambda file=file: self._read(file) for file in files]

    def _read(self, file):
        self.reads += 1
        return file.read_bytes()


def fill_disk(monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(cache_module.np, "save", full)


def test_features_are_computed_once(backbone, files, tmp_path):
    counted, told = Counted(files), []
    first = cached_features(backbone, counted.sources, digests(files), tmp_path, lambda *n: told.append(n))
    assert (first.shape, len(first), first.dtype) == ((7, 1280), 7, np.float32)
    assert told == [(3, 7), (6, 7), (7, 7)]
    again = cached_features(backbone, counted.sources, digests(files), tmp_path)
    assert counted.reads == 7
    np.testing.assert_array_equal(first, again)
    chunk = min(tmp_path.rglob("*.npy"))
    for damage in (b"damaged", b""):
        chunk.write_bytes(damage)
        np.testing.assert_allclose(cached_features(backbone, files, digests(files), tmp_path), first, atol=1e-4)


def test_pictures_are_decoded_once_for_both_views(backbone, files, tmp_path):
    counted = Counted(files)
    plain, mirrored = cached_views(backbone, counted.sources, digests(files), tmp_path)
    assert counted.reads == 7
    for views in ((False,), (True,), (True, False)):
        found = cached_views(backbone, counted.sources, digests(files), tmp_path, views=views)
        for each, view in zip(found, views, strict=True):
            np.testing.assert_array_equal(each, mirrored if view else plain)
    assert counted.reads == 7
    alone = cached_features(backbone, files, digests(files), tmp_path / "alone", mirrored=True)
    np.testing.assert_allclose(alone, mirrored, atol=1e-4)
    assert not np.allclose(plain, mirrored, atol=1e-2)


def test_maps_lie_on_disk(cut, backbone, files, tmp_path):
    found = cached_features(cut, files, digests(files), tmp_path)
    assert (found.shape, found.dtype) == ((7, 192, 7, 7), np.float16)
    again = cached_features(cut, Counted(files).sources, digests(files), tmp_path)
    assert all(isinstance(chunk.base, np.memmap) for chunk in again._chunks)
    np.testing.assert_array_equal(np.asarray(again), np.asarray(found))
    assert cut.identity != backbone.identity


def test_pictures_are_taken_in_any_order(backbone, files, tmp_path):
    found = cached_features(backbone, files, digests(files), tmp_path)
    everything = np.asarray(found)
    for indices in ([6, 0, 3, 3, 2], np.array([5]), []):
        taken = found.take(indices)
        np.testing.assert_array_equal(taken, everything[np.asarray(indices, int)])
        taken[:] = 0  # it is a copy
    np.testing.assert_array_equal(np.asarray(found), everything)
    for wrong in (7, -1):
        with pytest.raises(IndexError):
            found.take([wrong])
    assert cached_features(backbone, [], [], tmp_path).shape == (0, 1280)


def test_no_space_for_features_keeps_them_in_memory_and_says_so(backbone, files, tmp_path, monkeypatch):
    expected = np.asarray(cached_features(backbone, files, digests(files), tmp_path / "a"))
    fill_disk(monkeypatch)
    said = []
    found = cached_features(backbone, files, digests(files), tmp_path / "b", say=lambda *words: said.append(words))
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert [level for _, level in said] == ["warning"]
    assert "no space left" in said[0][0]
    assert not [path for path in (tmp_path / "b").rglob("*") if path.is_file()]


def test_no_space_for_maps_is_said_before_and_while_they_are_made(cut, files, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(cache_module.shutil, "disk_usage", lambda _: cache_module.shutil._ntuple_diskusage(9, 9, 9))
        counted = Counted(files)
        with pytest.raises(InputError, match=r"no space left.* 0 MB are needed.*Make room"):
            cached_features(cut, counted.sources, digests(files), tmp_path)
        assert counted.reads == 0
    fill_disk(monkeypatch)
    with pytest.raises(InputError, match="no space left"):
        cached_features(cut, files, digests(files), tmp_path)


def test_a_run_that_is_stopped_goes_on_where_it_was(backbone, files, tmp_path):
    def stop(done, _):
        if done == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cached_features(backbone, files, digests(files), tmp_path, stop)
    counted = Counted(files)
    cached_features(backbone, counted.sources, digests(files), tmp_path)
    assert counted.reads == 1


def test_a_picture_that_is_none_is_named(backbone, files, tmp_path):
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(files[0].read_bytes()[:500])
    some = [*files[:4], bad]
    with pytest.raises(OSError, match=r"bad\.jpg"):
        cached_features(backbone, some, digests(some), tmp_path)
