"""The traceback of a fault of our own is kept in the home, private, bounded, without locals and secrets."""

import os

import pytest

from engine import Engine, UnexpectedError, described, error_log, secrets
from tests.outcomes import experiment

KEY = "4f1c2d3e5a6b7c8d9e0f1122334455664f1c2d3e5a6b7c8d9e0f112233445566"


@pytest.fixture(autouse=True)
def nowhere_else():
    yield
    error_log.keep_in(None)


def fault(text="wrong"):
    hidden = f"a local {len(text)}"
    try:
        raise ValueError(f"{text} value{hidden[:0]}")
    except ValueError as error:
        return error


def test_the_line_names_the_file_and_the_file_has_the_traceback(tmp_path):
    error_log.keep_in(tmp_path)
    path = tmp_path / "logs" / "errors.log"
    umask = os.umask(0)
    try:
        found = described(fault())
    finally:
        os.umask(umask)
    assert isinstance(found, UnexpectedError)
    assert str(found).endswith(f"report it with the end of {path}.") and "\n" not in str(found)
    text = path.read_text()
    assert "Traceback (most recent call last)" in text and "ValueError: wrong value" in text
    assert "in fault" in text and "a local 5" not in text
    assert path.stat().st_mode & 0o777 == 0o600 and path.parent.stat().st_mode & 0o777 == 0o700


def test_no_secret_is_in_the_file_nor_one_of_its_causes(tmp_path):
    error_log.keep_in(tmp_path)
    with secrets.forgotten():
        secrets.register(KEY)
        try:
            try:
                raise fault(f"key {KEY}")
            except ValueError as cause:
                raise RuntimeError(f"header {KEY!r}") from cause
        except RuntimeError as error:
            described(error)
    text = (tmp_path / "logs" / "errors.log").read_text()
    assert KEY[:16] not in text
    assert f"ValueError: key {secrets.HIDDEN} value" in text and f"RuntimeError: header '{secrets.HIDDEN}'" in text


def test_it_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(error_log, "LARGEST_BYTES", 2_000)
    error_log.keep_in(tmp_path)
    for n in range(60):
        described(fault(f"number {n}"))
    logs = tmp_path / "logs"
    assert sorted(p.name for p in logs.iterdir()) == ["errors.log", "errors.log.1"]
    assert all(p.stat().st_size < 3_000 for p in logs.iterdir())
    assert "number 59" in (logs / "errors.log").read_text()
    described(fault("x" * 300_000))
    assert (logs / "errors.log").stat().st_size < error_log.LONGEST_CHARACTERS + 3_000


def test_the_same_fault_again_is_written_once(tmp_path):
    error_log.keep_in(tmp_path)
    lines = {str(described(error)) for error in [fault()] * 5}
    assert len(lines) == 1
    assert (tmp_path / "logs" / "errors.log").read_text().count("ValueError") == 2, "its line and its message"


def test_where_it_cannot_be_written_the_line_is_shown_all_the_same(tmp_path):
    (tmp_path / "logs").write_text("a file where the folder should be")
    error_log.keep_in(tmp_path)
    found = described(fault())
    assert isinstance(found, UnexpectedError) and str(found).endswith("report it with this line.")


@pytest.mark.parametrize("readonly", [False, True])
def test_a_command_keeps_it_but_not_with_readonly(store, home, dogcls, tmp_path, monkeypatch, readonly):
    experiment(store, tmp_path / "pets")

    def broken(*_):
        raise KeyError("a fault of ours")

    monkeypatch.setattr("engine.store.jobs.Jobs.views", broken)
    path = home.root / "logs" / "errors.log"
    code, _, err = dogcls(home.root, *(["--readonly"] if readonly else []), "jobs")
    assert code == 1 and err.count("\n") == 1 and "Unexpected KeyError" in err
    assert (str(path) in err, path.exists()) == (not readonly, not readonly)
    if not readonly:
        assert "a fault of ours" in path.read_text()


async def test_a_closed_engine_keeps_nothing_more(home):
    engine = Engine(home.root, "demo")
    engine.close()
    described(fault())
    assert not (home.root / "logs" / "errors.log").exists()
