"""Files that a user names are replaced as a whole, or left as they were."""

import errno
import os
import stat
from pathlib import Path

import pytest

from engine import output_files
from engine.errors import InputError
from engine.output_files import write_outputs


@pytest.fixture(autouse=True)
def umask(monkeypatch):
    monkeypatch.setattr(output_files, "_umask", 0o027)


def rights(path):
    return oct(stat.S_IMODE(path.stat().st_mode))


def listing(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def full(monkeypatch, after):
    """Let the disk be full after so many bytes."""
    fsync, left = os.fsync, [after]

    def refuse(descriptor):
        left[0] -= os.fstat(descriptor).st_size
        if left[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", refuse)


def test_new_files_have_the_rights_that_the_umask_leaves_and_old_ones_keep_theirs(tmp_path):
    new, old = tmp_path / "new.md", tmp_path / "old.md"
    old.write_text("before")
    old.chmod(0o604)
    write_outputs({new: "a\n", old: "b\n"})
    assert (new.read_text(), old.read_text()) == ("a\n", "b\n")
    assert (rights(new), rights(old)) == ("0o640", "0o604")
    assert len(listing(tmp_path)) == 2


@pytest.mark.parametrize("room", [0, 10])
def test_on_a_full_disk_every_file_stays_as_it_was(tmp_path, monkeypatch, room):
    """All of them, also where the first had room."""
    first, second, third = (tmp_path / f"r{n}.csv" for n in range(3))
    first.write_text("old one")
    second.write_text("old two")
    before = listing(tmp_path)
    full(monkeypatch, room)
    with pytest.raises(InputError, match=r"r\d\.csv: No space left on device\. The file that was there is unchanged"):
        write_outputs({first: "0123456789", second: "0123456789", third: "x"})
    assert listing(tmp_path) == before


def test_a_link_stays_a_link_and_its_file_is_replaced(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "real.md").write_text("old")
    (tmp_path / "link.md").symlink_to(tmp_path / "a" / "real.md")
    write_outputs({tmp_path / "link.md": "new"})
    assert (tmp_path / "link.md").is_symlink() and (tmp_path / "a" / "real.md").read_text() == "new"


def test_devices_and_pipes_are_written_to_and_never_replaced(tmp_path):
    write_outputs({Path("/dev/null"): "lost"})
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)
    reader, writer = os.pipe()
    write_outputs({Path(f"/dev/fd/{writer}"): "through"})
    os.close(writer)
    assert os.read(reader, 99) == b"through"
    os.close(reader)
    with pytest.raises(InputError, match="/dev/full: No space left on device"):
        write_outputs({Path("/dev/full"): "lost"})


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("folder", "folder: Is a directory"),
        ("none/r.md", "r.md: No such file or directory"),
        ("file/r.md", "r.md: Not a directory"),
        ("loop", "loop: Too many levels of symbolic links"),
        ("x" * 300, "File name too long"),
        ("a\0b", "no name of a file"),
    ],
)
def test_a_place_that_takes_no_file_is_named(tmp_path, name, words):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("x")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(InputError, match=words):
        write_outputs({tmp_path / name: "text"})
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_a_file_that_its_user_made_read_only_is_not_replaced(tmp_path, monkeypatch):
    file = tmp_path / "r.md"
    file.write_text("kept")
    monkeypatch.setattr(os, "access", lambda path, mode, **_: False)
    with pytest.raises(InputError, match=r"r\.md: Permission denied\. The file that was there is unchanged"):
        write_outputs({file: "new"})
    assert file.read_text() == "kept"


def test_a_name_as_long_as_a_file_may_have_is_written(tmp_path):
    write_outputs({tmp_path / ("x" * 255): "text"})
    assert (tmp_path / ("x" * 255)).read_text() == "text"
