"""A program in a terminal of its own: what it writes, when, and what it costs."""

import contextlib
import fcntl
import os
import pty
import re
import select
import struct
import termios
import time

import psutil
import pyte

_ESCAPES = re.compile(rb"\x1b\[[0-9;?]*[a-zA-Z]|\x1b\][^\x07]*\x07|\x1b[()=>][A-Z0-9]?")


class Terminal:
    """Runs a command on a pseudo-terminal and reads what it draws."""

    def __init__(self, command, env, columns=80, rows=24):
        self.begun = time.perf_counter()
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvpe(command[0], command, {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", **env})
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.process = psutil.Process(self.pid)
        self.bytes = 0
        self.read_at = self.begun
        self._seen = b""
        self._unshown = b""
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)

    def read(self, seconds):
        """Read what comes within so many seconds; return it (nothing when the time was up)."""
        ready, _, _ = select.select([self.fd], [], [], max(0.0, seconds))
        if not ready:
            return b""
        try:
            found = os.read(self.fd, 1 << 16)
        except OSError:
            return b""
        self.read_at = time.perf_counter()
        self.bytes += len(found)
        self._seen = (self._seen + found)[-400_000:]
        self._unshown += found
        return found

    def until(self, word, seconds=60.0):
        """Read until a word was drawn at once since the last `forget`; return when that was."""
        return self._until(lambda: word.encode() in _ESCAPES.sub(b"", self._seen), word, seconds)

    def shows(self, word, seconds=60.0):
        """Read until a word stands on the screen, however it came there; return when that was."""
        return self._until(lambda: word in self.text(), word, seconds)

    def sees(self, condition, what, seconds=60.0):
        """Read until the screen's text meets a condition; return when that was."""
        return self._until(lambda: condition(self.text()), what, seconds)

    def _until(self, found, word, seconds):
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            if found():
                return self.read_at
            self.read(min(0.5, end - time.perf_counter()))
        raise TimeoutError(f"{word!r} was never drawn; there is:\n{self.text()}")

    def text(self):
        """Return what stands on the screen."""
        half = re.search(rb"\x1b\[?[<>?$0-9;]*\Z", self._unshown)  # a sequence that is cut waits for its other half
        end = half.start() if half else len(self._unshown)
        data, self._unshown = self._unshown[:end], self._unshown[end:]
        data = data.replace(b"\x1b[?1049l", b"\x1b[2J\x1b[H")  # pyte has no other screen to go back to: an empty one
        self._stream.feed(re.sub(rb"\x1b\[[<>][0-9;]*u|\x1b\[\?[0-9;]*\$p", b"", data))  # pyte prints what it knows not
        return "\n".join(self._screen.display)

    def sent(self, sequence):
        """Tell whether a control sequence came since the last `forget`."""
        return sequence in self._seen

    def wipe(self):
        """Lose what stands on the screen, as when another program writes over it."""
        self.text()
        self._screen.reset()

    def forget(self):
        """Begin to look anew at what is drawn."""
        self._seen = b""

    def rest(self, quiet=0.3, most=10.0):
        """Read until nothing has come for a while."""
        end = time.perf_counter() + most
        while time.perf_counter() < end and self.read(quiet):
            pass

    def press(self, keys):
        """Type; return when."""
        os.write(self.fd, keys.encode())
        return time.perf_counter()

    def close(self):
        """End it."""
        for child in [*self.process.children(recursive=True), self.process]:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        os.waitpid(self.pid, 0)
        os.close(self.fd)
