"""Sources that mean harm, or are broken: what is refused, what is told, and that nothing is left of it."""

import errno
import io
import os
import sys
import tarfile
import zipfile

import pytest

from engine.datasets import looking
from engine.datasets.catalog import build_catalog
from engine.datasets.kinds import PASSED
from engine.datasets.sources.archive import MOST_AT_ONCE
from engine.errors import InputError
from engine.store.staging import Staging
from tests.pictures import class_folders, plain, tar_of, zip_of
from tests.unit.cataloguing import catalog, found_in, left


def test_links_of_a_folder_are_not_followed_out_of_it(tmp_path):
    source = class_folders(tmp_path / "set", ["a", "b"], 5)
    (tmp_path / "secret.jpg").write_bytes(plain(999))
    (source / "a" / "inside.jpg").symlink_to(source / "b" / "000.jpg")
    (source / "loop").symlink_to(source)
    os.mkfifo(source / "a" / "pipe.jpg")
    found = catalog(source, tmp_path)
    assert len(found.images) == 11
    assert {("folder-link", "loop"), ("special", "a/pipe.jpg")} <= found_in(found)
    (source / "a" / "outside.jpg").symlink_to(tmp_path / "secret.jpg")
    with pytest.raises(InputError, match=r"set/a/outside\.jpg: it is a link that leads out of the source\. Copy"):
        catalog(source, tmp_path)
    assert ("link", "a/outside.jpg") in found_in(catalog(source, tmp_path, skip_bad=True))


def test_links_devices_and_ways_out_of_archives_are_told(tmp_path):
    source = class_folders(tmp_path / "set", ["a", "b"], 5)
    path = tar_of(source, tmp_path / "set.tar")
    with tarfile.open(path, "a") as archive:
        for name, kind in (
            ("a/sym.jpg", tarfile.SYMTYPE),
            ("a/hard.jpg", tarfile.LNKTYPE),
            ("a/dev.jpg", tarfile.CHRTYPE),
        ):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "../../etc/passwd"
            archive.addfile(member)
        slip = tarfile.TarInfo("../../a/slip.jpg")
        slip.size = len(plain(5))
        archive.addfile(slip, io.BytesIO(plain(5)))
        for name in ("a/latest", "a/._sym.jpg"):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, "sym.jpg"
            archive.addfile(member)
    found = catalog(path, tmp_path, skip_bad=True)
    assert len(found.images) == 10
    assert {(kind, name) for kind, name in found_in(found) if "link" in kind or kind in ("special", "unsafe-path")} == {
        ("packed-link", "a/sym.jpg"), ("packed-link", "a/hard.jpg"), ("archive-link", "a/latest"), ("special", "a/dev.jpg"),
        ("unsafe-path", "../../a/slip.jpg"),
    }  # fmt: skip

    path = zip_of(source, tmp_path / "set.zip")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("../../a/slip.jpg", plain(5))
        link = zipfile.ZipInfo("a/link.jpg")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(InputError, match=r"a/link\.jpg: it is a link in the archive, and no picture\. Pack"):
        build_catalog(path, tmp_path / "zipped")
    found = build_catalog(path, tmp_path / "zipped", skip_bad=True)
    assert {("unsafe-path", "../../a/slip.jpg"), ("packed-link", "a/link.jpg")} <= found_in(found)
    assert {p.name for p in tmp_path.iterdir()} == {"set", "set.tar", "set.zip", "target", "zipped"}


@pytest.mark.skipif(sys.platform == "darwin", reason="its disks take UTF-8 names only")
def test_a_name_that_is_not_utf8_is_refused(tmp_path):
    source = class_folders(tmp_path / "set", ["a", "b"], 5)
    (source / "a" / os.fsdecode(b"M\xfcller.jpg")).write_bytes(plain(99))
    with pytest.raises(InputError, match=r"set/a/M\\udcfcller\.jpg: its name is not UTF-8\. Rename it"):
        catalog(source, tmp_path)
    found = catalog(source, tmp_path, skip_bad=True)
    assert len(found.images) == 10
    with tarfile.open(tmp_path / "set.tar", "w") as archive:
        archive.add(source, "x")
    with pytest.raises(InputError, match="its name is not UTF-8"):
        catalog(tmp_path / "set.tar", tmp_path)


def test_names_may_be_strange(tmp_path):
    source = class_folders(tmp_path / "set", ["a", "כלב"], 4)
    for n, name in enumerate(("new\nline.jpg", "\x1b[2Jclear.jpg", "\u202egpj.exe.jpg", "كلب.jpg", "[b]x[b].jpg")):
        (source / "a" / name).write_bytes(plain(50 + n))
    found = catalog(source, tmp_path)
    assert {i.path for i in found.images} >= {"a/new\nline.jpg", "a/كلب.jpg", "a/[b]x[b].jpg"}
    odd = {path for kind, path in found_in(found) if kind == "odd-name"}
    assert odd == {"a/new\nline.jpg", "a/\x1b[2Jclear.jpg", "a/\u202egpj.exe.jpg"}
    archive = build_catalog(tar_of(source, tmp_path / "set.tar"), tmp_path / "other")
    assert archive.digest == found.digest


@pytest.mark.parametrize("name", ["a\nb", "a\x1b[2J", "a\u202eb"])
def test_a_class_whose_name_could_steer_a_prompt_is_refused(tmp_path, name):
    class_folders(tmp_path / "set", [name, "b"], 4)
    with pytest.raises(InputError, match="has control characters or marks of direction in its name") as caught:
        catalog(tmp_path / "set", tmp_path)
    assert name not in str(caught.value)


def test_names_that_differ_in_capitals_alone(tmp_path, monkeypatch):
    source = class_folders(tmp_path / "set", ["a", "b"], 4)
    (source / "a" / "X.jpg").write_bytes(plain(50))
    (source / "a" / "x.jpg").write_bytes(plain(51))
    found = catalog(source, tmp_path)
    assert {("case", "a/X.jpg"), ("case", "a/x.jpg")} <= found_in(found)
    # A disk on which both are one must not lose either.
    real = os.open

    def one(path, flags, *more, **options):
        return real(str(path).replace("/X.jpg", "/x.jpg"), flags, *more, **options)

    monkeypatch.setattr(looking.os, "open", one)
    with pytest.raises(InputError, match=r"two names that are one on this disk\. Rename"):
        catalog(tar_of(source, tmp_path / "set.tar"), tmp_path)
    assert not left(tmp_path)


def sized(name, size, **more):
    member = tarfile.TarInfo(name)
    member.size = size
    for key, value in more.items():
        setattr(member, key, value)
    return member


def test_absurd_sizes_are_refused_unread(tmp_path):
    source = class_folders(tmp_path / "set", ["a", "b"], 5)
    path = tar_of(source, tmp_path / "set.tar")
    with tarfile.open(path, "a") as archive:
        archive.addfile(sized("a/huge.jpg", 10**7 + 512), io.BytesIO(bytes(10**7 + 512)))
    with pytest.raises(InputError, match=r"a/huge\.jpg: 10,000,512 bytes, and the service takes 10,000,000\. Scale"):
        catalog(path, tmp_path)
    with zipfile.ZipFile(zip_of(source, tmp_path / "set.zip"), "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/bomb.jpg", bytes(10**7 + 1))
    with pytest.raises(InputError, match=r"a/bomb\.jpg: 10,000,001 bytes"):
        catalog(tmp_path / "set.zip", tmp_path)
    with tarfile.open(tmp_path / "bomb.tgz", "w:gz") as archive:
        archive.add(source / "a" / "000.jpg", "a/000.jpg")
        archive.fileobj.write(sized("a/bomb.jpg", 10**12).tobuf(tarfile.GNU_FORMAT))
    with pytest.raises(InputError, match=r"bomb\.tgz: a/bomb\.jpg: 1,000,000,000,000 bytes, unpacked"):
        catalog(tmp_path / "bomb.tgz", tmp_path)
    assert not left(tmp_path)


def test_a_header_that_would_fill_the_memory_is_refused(tmp_path):
    with tarfile.open(tmp_path / "set.tar.gz", "w:gz") as archive:
        archive.fileobj.write(sized("x", MOST_AT_ONCE + 1, type=tarfile.GNUTYPE_LONGNAME).tobuf(tarfile.GNU_FORMAT))
        for _ in range(MOST_AT_ONCE // 512 + 2):
            archive.fileobj.write(bytes(512))
    with pytest.raises(InputError, match=r"set\.tar\.gz: no readable tar file"):
        catalog(tmp_path / "set.tar.gz", tmp_path)


def test_a_sparse_member_is_refused(tmp_path):
    source = class_folders(tmp_path / "set", ["a", "b"], 5)
    path = tar_of(source, tmp_path / "set.tar")
    with tarfile.open(path, "a", format=tarfile.GNU_FORMAT) as archive:
        header = bytearray(sized("a/sparse.jpg", 512, type=tarfile.GNUTYPE_SPARSE).tobuf(tarfile.GNU_FORMAT))
        header[386:398], header[398:410] = b"%011o\0" % 0, b"%011o\0" % 512
        header[483:495] = b"%011o\0" % 10**9
        header[148:156] = b" " * 8
        header[148:156] = b"%06o\0 " % sum(header)
        archive.fileobj.seek(archive.offset)
        archive.fileobj.write(header + bytes(512))
        archive.offset = archive.fileobj.tell()
    with pytest.raises(InputError, match=r"a/sparse\.jpg: it is stored as a sparse file"):
        catalog(path, tmp_path)


@pytest.mark.parametrize("name", ["set.tar", "set.tgz", "set.zip"])
def test_an_archive_that_is_cut_off_leaves_nothing(tmp_path, name):
    source = class_folders(tmp_path / "set", ["a", "b"], 30)
    path = zip_of(source, tmp_path / name) if name.endswith("zip") else tar_of(source, tmp_path / name)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    with pytest.raises(InputError, match=name.replace(".", r"\.")):
        catalog(path, tmp_path)
    assert not left(tmp_path)


def test_a_zip_with_a_wrong_checksum_or_a_password_is_named(tmp_path):
    source = class_folders(tmp_path / "set", ["a", "b"], 5)
    path = zip_of(source, tmp_path / "set.zip")
    data = path.read_bytes()
    first = data.index(plain(0))
    path.write_bytes(data[: first + 300] + b"XX" + data[first + 302 :])
    with pytest.raises(InputError, match=r"a/000\.jpg: Bad CRC-32"):
        catalog(path, tmp_path)


@pytest.mark.parametrize("after", [0, 7])
def test_a_disk_that_fills_up_leaves_nothing(tmp_path, monkeypatch, after):
    source = tar_of(class_folders(tmp_path / "set", ["a", "b"], 10), tmp_path / "set.tar")
    real, opened = os.open, []

    def full(path, flags, *more, **options):
        if "partial" in str(path) and flags & os.O_CREAT:
            opened.append(path)
            if len(opened) > after:
                raise OSError(errno.ENOSPC, "No space left on device", path)
        return real(path, flags, *more, **options)

    monkeypatch.setattr(looking.os, "open", full)
    with pytest.raises(InputError, match=r"No space left on device\. Free some space"):
        catalog(source, tmp_path)
    assert not left(tmp_path)


def test_what_cannot_fit_is_told_before_anything_is_unpacked(tmp_path, monkeypatch):
    source = tar_of(class_folders(tmp_path / "set", ["a", "b"], 10), tmp_path / "set.tar")
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 100})())
    with pytest.raises(InputError, match=r"its pictures take [\d,]+ bytes, and 100 are free"):
        catalog(source, tmp_path)
    assert not left(tmp_path)


def test_an_archive_that_changes_meanwhile_is_refused(tmp_path, monkeypatch):
    source = tar_of(class_folders(tmp_path / "set", ["a", "b"], 10), tmp_path / "set.tar")
    real = Staging.leave_out_bad

    def meddle(staging):
        with source.open("ab") as file:
            file.write(b"\0" * 512)
        return real(staging)

    monkeypatch.setattr(Staging, "leave_out_bad", meddle)
    with pytest.raises(InputError, match=r"set\.tar: it changed while the set was read"):
        catalog(source, tmp_path)
    assert not left(tmp_path)


def test_what_is_no_picture_is_told_and_junk_is_not(tmp_path):
    source = class_folders(tmp_path / "set", ["a", "b"], 5)
    for name in ("readme.txt", "a/notes.md", "a/.DS_Store", "a/._000.jpg", "Thumbs.db", "stray.jpg"):
        (source / name).write_bytes(plain(7))
    found = {(kind, path) for kind, path in found_in(catalog(source, tmp_path)) if kind in PASSED}
    assert found == {("other-file", "readme.txt"), ("other-file", "a/notes.md"), ("no-class", "stray.jpg")}
