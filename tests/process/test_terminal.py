"""The app on a real terminal: redrawn, suspended and taken up again, cut off."""

import os
import re
import signal
import sys

import psutil
import pytest

from tests.conftest import ROOT, wait_for
from tests.terminal import Terminal
from tests.tui.make_store import restore


@pytest.fixture
def terminal(home):
    """The app over the store of a real run, in a terminal of 80×24."""
    home.root.mkdir(mode=0o700)
    restore(home.store)
    home.store.chmod(0o600)
    env = {"PYTHONPATH": str(ROOT), "DOGCLS_HOME": str(home.root), "DOGCLS_PROFILE": "demo", "TMUX": ""}
    terminal = Terminal([sys.executable, "-P", "-m", "tui"], env)
    yield terminal
    terminal.close()


def whole(text):
    """Tell whether the screen is there from its first line to its last."""
    return all(word in text for word in (" 1 home ", "Experiments", "Nothing runs", "386/416", "q quit"))


def become(terminal, status):
    """Wait until the app's process is in a state, reading what it still says."""

    def reached():
        terminal.read(0.02)
        return terminal.process.status() == status

    wait_for(reached, what=f"a process that is {status}")


def test_ctrl_l_draws_all_of_it_again(terminal):
    terminal.sees(whole, "the home")
    terminal.rest()
    terminal.wipe()
    assert not whole(terminal.text())
    terminal.press("\x0c")
    terminal.sees(whole, "the home again")


def test_ctrl_z_gives_the_shell_its_screen_and_comes_back_with_all_of_ours(terminal):
    terminal.sees(whole, "the home")
    terminal.press("\x1a")
    become(terminal, psutil.STATUS_STOPPED)
    terminal.sees(lambda text: not text.strip(), "an empty screen for the shell")
    os.kill(terminal.pid, signal.SIGCONT)
    terminal.sees(whole, "the home again")
    terminal.press("4")
    terminal.shows("Log of")


def test_a_terminal_that_hangs_up_ends_the_app(terminal):
    terminal.sees(whole, "the home")
    os.kill(terminal.pid, signal.SIGHUP)
    become(terminal, psutil.STATUS_ZOMBIE)
    assert "Traceback" not in terminal.text()


def test_when_it_closes_the_shell_has_the_comparison_and_its_own_title(terminal):
    terminal.sees(whole, "the home")
    terminal.press("4")
    terminal.shows("Log of")
    terminal.forget()
    terminal.press("q")
    become(terminal, psutil.STATUS_ZOMBIE)
    while terminal.read(0.1):
        pass
    text = terminal.text()
    assert "Log of" not in text and re.search(r"cnn +386/416 +92.8%", text), text
    assert terminal.sent(b"\x1b]9;4;0;0\x07") and terminal.sent(b"\x1b[23;2t")


@pytest.mark.parametrize(
    ("shell", "more", "words"),
    [
        ("2>{err}", {}, ("╭─ Experiments", "386/416", "q quit")),
        pytest.param(
            "",
            {"PYTHONIOENCODING": "ascii", "LC_ALL": "C"},
            ("+- Experiments", "386/416", "q quit"),
            marks=pytest.mark.full,
        ),
        ("", {"TERM": "dumb"}, ("The app needs a terminal that can place text", "Set TERM, as in TERM=xterm-256color")),
        ("</dev/null", {}, ("The app needs a terminal for its keys, and stdin is none.",)),
    ],
    ids=["stderr to a file", "ascii", "a dumb terminal", "no stdin"],
)
def test_the_app_is_drawn_where_it_can_be_and_else_one_line_names_why(home, tmp_path, shell, more, words):
    home.root.mkdir(mode=0o700)
    restore(home.store)
    home.store.chmod(0o600)
    env = {"PYTHONPATH": str(ROOT), "DOGCLS_HOME": str(home.root), "DOGCLS_PROFILE": "demo", "TMUX": "", **more}
    err = tmp_path / "err"
    command = ["bash", "-c", f'"$0" -P -m tui {shell.format(err=err)}', sys.executable]
    terminal = Terminal(command, env, columns=120, rows=30)
    try:
        terminal.sees(lambda text: all(word in text for word in words), "what is expected")
        if "q quit" in words:
            terminal.press("q")
        become(terminal, psutil.STATUS_ZOMBIE)
        assert "Traceback" not in terminal.text() + (err.read_text() if err.exists() else "")
        assert not err.exists() or "\x1b" not in err.read_text()
    finally:
        terminal.close()
