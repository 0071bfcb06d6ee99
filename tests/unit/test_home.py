"""Homes that cannot be: a file, a link to nothing, unreadable, read-only, of a user without a home folder."""

import os

import platformdirs
import pytest

from engine import Engine, about, settings
from engine.errors import InputError, ReadOnlyError
from engine.jobs import doctor, paths
from engine.jobs.paths import open_home
from engine.places import home_folder
from engine.store import Store
from tests.outcomes import experiment


def a_file(path):
    path.write_text("x")
    return path


def below_a_file(path):
    path.write_text("x")
    return path / "home"


def a_circular_link(path):
    path.symlink_to(path)
    return path


def a_long_name(path):
    return path.parent / ("x" * 300)


WRONG = {
    a_file: "the home is a file, not a folder",
    below_a_file: "the home cannot be opened: Not a directory",
    a_circular_link: "the home cannot be opened: Too many levels of symbolic links",
    a_long_name: "the home cannot be opened: File name too long",
}


@pytest.mark.parametrize("make", WRONG, ids=lambda make: make.__name__)
@pytest.mark.parametrize("readonly", [False, True])
def test_a_home_that_cannot_be_is_one_line_with_a_hint(dogcls, tmp_path, make, readonly):
    home = make(tmp_path / "home")
    with pytest.raises(InputError) as caught:
        open_home(home, readonly=readonly)
    assert str(caught.value) == f"{home}: {WRONG[make]}. Choose another --home (or DOGCLS_HOME)."
    option = ["--readonly"] if readonly else []
    code, out, err = dogcls(home, *option, "data", "list")
    assert (code, out, err) == (2, "", f"error: {caught.value}\n")


@pytest.mark.parametrize("make", WRONG, ids=lambda make: make.__name__)
def test_what_needs_no_home_works_without_one(dogcls, tmp_path, make):
    """`info` shows the problem, `score` evaluates, `--help` and `--version` print, the doctor names it."""
    home = make(tmp_path / "home")
    code, out, _ = dogcls(home, "info")
    assert code == 0 and f"home: {home}" in out and WRONG[make] in out.split("problems:\n")[1]
    rows = "".join(f"{who},{n},cat,{answer}\n" for n in range(9) for who, answer in (("a", "cat"), ("b", "dog")))
    (tmp_path / "given.csv").write_text(f"contestant,image,truth,answer\n{rows}")
    code, out, _ = dogcls(home, "score", tmp_path / "given.csv")
    assert code == 0 and "9/9" in out
    assert dogcls(home, "--help")[0] == dogcls(home, "--version")[0] == 0
    code, out, _ = dogcls(home, "doctor")
    assert code == 3 and WRONG[make] in out and "→ Choose another --home" in out


def test_a_home_that_cannot_be_made_is_named(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(paths, "private_folder", refuse)
    with pytest.raises(InputError, match=r"new: the home cannot be made: Permission denied\. Choose another --home"):
        open_home(tmp_path / "new")


def test_a_link_to_a_folder_that_is_not_there_is_made(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "there")
    assert open_home(tmp_path / "link").root == tmp_path / "there" and (tmp_path / "there").is_dir()


def _refuse(*_, **__):
    raise RuntimeError("could not determine the home directory")


def test_a_user_without_a_home_folder_is_told_to_choose_one(monkeypatch, tmp_path):
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: str(path))  # as where the password file has no such user
    monkeypatch.setattr(platformdirs, "user_data_path", _refuse)
    monkeypatch.setattr(settings, "user_config_path", _refuse)
    for chosen in (None, "~/x", "~nobody-of-this-name/x"):
        with pytest.raises(InputError, match="Set DOGCLS_HOME to a folder, or choose one with --home"):
            home_folder(None if chosen is None else type(paths.Path())(chosen))
    found = about(None, None)
    assert found["paths"]["home"] is None and "HOME is not set" in found["problems"][0]
    assert settings.load_settings(tmp_path).default_profile() == "demo"


# -- a home that is only read, although nobody requested that


@pytest.fixture
def unwritable(home, tmp_path, monkeypatch):
    """A home with an experiment, on a disk that is mounted read-only."""
    store = Store(home.store)
    experiment(store, tmp_path / "pets")
    store.close()
    access = os.access

    def refuse(path, mode, **options):
        return access(path, mode, **options) and not (mode & os.W_OK and str(path).startswith(str(home.root)))

    monkeypatch.setattr(os, "access", refuse)
    return home


@pytest.mark.parametrize(
    "command", ["data list", "jobs", "results pets", "logs 1", "info", "--once", "--readonly jobs", "experiment pets"]
)
def test_a_home_that_cannot_be_written_is_read(dogcls, unwritable, command):
    before = sorted(path.lstat().st_mtime_ns for path in unwritable.root.rglob("*"))
    code, out, err = dogcls(unwritable.root, *command.split())
    assert code == 0 and (out or err)
    where = out if command == "info" else err
    assert (f"{unwritable.root}: Permission denied: it is only read" in where) == (command != "--readonly jobs")
    assert sorted(path.lstat().st_mtime_ns for path in unwritable.root.rglob("*")) == before


@pytest.mark.parametrize("command", ["cancel 1", "data add demo --name d", "train --dataset pets --detach", "emulator"])
def test_what_would_change_it_is_refused_with_the_reason(dogcls, unwritable, command):
    code, _, err = dogcls(unwritable.root, *command.split())
    assert code == 2
    line = next(line for line in err.splitlines() if line.startswith("error: "))
    assert f"{unwritable.root}: Permission denied" in line and "Make it writable" in line and "--readonly" not in line


def test_without_a_store_there_is_nothing_to_read(tmp_path, monkeypatch):
    (tmp_path / "home").mkdir()
    monkeypatch.setattr(os, "access", lambda path, mode, **_: not mode & os.W_OK)
    with pytest.raises(InputError, match=r"home: Permission denied\. Make it writable, or"):
        open_home(tmp_path / "home")
    monkeypatch.setattr(os, "access", lambda path, mode, **_: False)
    with pytest.raises(InputError, match=r"the home cannot be read: Permission denied"):
        open_home(tmp_path / "home")


async def test_the_engine_of_such_a_home_refuses_changes_with_the_reason(unwritable):
    engine = Engine(unwritable.root, "demo")
    try:
        assert engine.readonly and engine.home.unwritable
        with pytest.raises(ReadOnlyError, match="Permission denied"):
            await engine.cancel(1)
    finally:
        engine.close()


@pytest.mark.parametrize("lacks", ["nothing", "room", "shared memory", "temporary files"])
def test_the_doctor_checks_what_jobs_need_of_this_machine(home, monkeypatch, lacks):
    home.root.mkdir(mode=0o700)
    monkeypatch.setattr(doctor.reserve, "free", lambda _: 1_000_000 if lacks == "room" else 5_000_000_000)
    monkeypatch.setattr(doctor, "can_share", lambda: lacks != "shared memory")

    def no_folder():
        raise FileNotFoundError(2, "No usable temporary directory found in ['/tmp']")

    if lacks == "temporary files":
        monkeypatch.setattr(doctor.tempfile, "gettempdir", no_folder)
    found = {check.name: (check.state, check.found, check.cure) for check in doctor._machine(home)}
    expected = {
        "room": ("home", "warning", "1.0 MB free", "Free some space"),
        "shared memory": ("shared memory", "warning", "There is none (/dev/shm)", "mount /dev/shm"),
        "temporary files": ("temporary files", "problem", "No folder takes them", "Set TMPDIR"),
    }
    assert set(found) == {"home", *([lacks] if lacks in expected and lacks != "room" else [])}
    if lacks in expected:
        name, state, *words = expected[lacks]
        assert found[name][0] == state and all(word in " ".join(found[name]) for word in words)
    else:
        assert found["home"][:2] == ("ok", f"{home.root}, 5.0 GB free")
