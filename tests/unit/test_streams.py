"""Standard streams that are closed, full, broken, or of an encoding that lacks characters."""

import io
import json
import os
import subprocess
import sys

import pytest

from engine.streams import escape, is_unicode, nearest
from tests.conftest import ROOT
from tests.pictures import class_folders

COMMAND = [sys.executable, "-P", "-m", "tui"]


def stream(encoding):
    found = io.TextIOWrapper(io.BytesIO(), encoding=encoding, write_through=True)
    return found


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_every_character_can_be_printed(encoding):
    from engine.streams import print_anything

    out = stream(encoding)
    print_anything(out)
    out.write("90.1%–97.4% … → é 犬 🐕 \udcff")
    shown = out.buffer.getvalue().decode(encoding, "surrogateescape")
    if encoding == "ascii":
        assert shown == "90.1%-97.4% ... -> \\u00e9 \\u72ac \\ud83d\\udc15 \\udcff"
    assert shown.startswith("90.1%") and shown.endswith("\\udcff")


def test_escapes_are_those_of_json():
    text = json.dumps({"犬": "🐕 é –"}, ensure_ascii=False)
    assert escape(text).isascii() and json.loads(escape(text)) == {"犬": "🐕 é –"}


def test_the_handler_is_for_encoding_only():
    with pytest.raises(UnicodeDecodeError):
        nearest(UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid"))


def test_encodings_that_have_every_character():
    assert [is_unicode(stream(name)) for name in ("utf-8", "utf_16", "ascii", "latin-1")] == [True, True, False, False]
    assert is_unicode(object())  # a stream that names none does not encode


@pytest.fixture
def start(tmp_path):
    """Start `dogcls-tui` in a process of its own with some environment and streams; give (code, stdout, stderr)."""

    def run(*arguments, shell="", **env):
        home = {"DOGCLS_HOME": str(tmp_path / "home"), "PYTHONPATH": str(ROOT)}
        command = [*COMMAND, *arguments] if not shell else ["bash", "-c", f'"$@" {shell}', "bash", *COMMAND, *arguments]
        done = subprocess.run(
            command, capture_output=True, env={**os.environ, **home, **env}, cwd=tmp_path, timeout=60, check=False
        )
        assert b"Traceback" not in done.stderr + done.stdout, done.stderr.decode()
        assert b"Exception ignored" not in done.stderr
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    return run


@pytest.mark.parametrize(
    "shell", ["| head -1; exit ${PIPESTATUS[0]}", ">/dev/full", ">&-", ">&- 2>&-", "2>&-", "2>/dev/full"]
)
def test_a_stream_that_takes_nothing_is_one_line(start, shell):
    code, out, err = start("recipes" if "head" in shell else "--version", shell=shell)
    lost = shell.startswith((">", "|")) or code == 1
    assert code in ((0, 1) if "head" in shell else (1,) if lost else (0,)), (code, out, err)
    if shell == ">/dev/full":
        assert (
            err == "error: stdout: No space left on device. Free some space on its disk, then try again; a job "
            "continues with: dogcls-tui resume\n"
        )
    elif shell == ">&-":
        assert err.startswith("error: stdout: Bad file descriptor. It was closed")
    elif "2>" in shell and not lost:
        assert out.startswith("dogcls-tui ") and err == ""  # what is narrated does not come among the data


def test_without_stdin_and_terminal_the_app_is_one_line(start):
    code, out, err = start(shell="<&-", TERM="dumb")
    assert (code, out) == (2, "")
    assert (
        err == "error: The app needs a terminal, and stdout is none. Use --plain or --once, or name a command "
        "(see --help).\n"
    )


def test_names_in_another_encoding_are_printed_as_escapes(dogcls, tmp_path, start):
    """In an ASCII locale data is whole JSON, text has the nearest characters, and nothing fails."""
    home = tmp_path / "home"
    assert dogcls(home, "data", "add", class_folders(tmp_path / "p", ["犬", "wölfe"], 12), "--name", "pets")[0] == 0
    env = {"PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    code, out, _ = start("data", "show", "pets", "--json", **env)
    assert code == 0 and out.isascii() and "犬" in json.dumps(json.loads(out), ensure_ascii=False)
    code, out, _ = start("data", "show", "pets", **env)
    assert code == 0 and "\\u72ac" in out and "w\\u00f6lfe" in out
