"""By hand: a tour of the app over a real ssh to loopback, by keys alone, the line cut twice while jobs run.

    python -m tests.process.ssh_tour [--size 80x24] [--out DIR] [--keep DIR]

An sshd of its own, with keys made for this run, serves the current user; nobody's ~/.ssh is read or written. The
demo is launched; the ssh client, and later the server's end of the line, are killed while its jobs run. Each time
the app must end by that and the jobs must go on. Every step is waited for on the screen and told with its time.
Exit codes: 0 everything was seen; 1 something was not (then the screen is printed); 2 OpenSSH is not installed.
"""

import argparse
import contextlib
import getpass
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from tests.conftest import wait_for
from tests.terminal import Terminal

ROOT = Path(__file__).parents[2]
APP = shlex.join([sys.executable, "-P", "-m", "tui"])
PROMPT = "far> "
CONTESTANTS = ("zero-shot", "fine-tuned", "cnn")
ONWARD = ("waiting", "queued", "running", "succeeded")
ASTRAY = ("failed", "interrupted", "cancelled", "paused")
ROW = re.compile(r"│ +(\d+) +(\S+) .*?[·○●✓✗⊘‖!] (\w+)( ×\d+)? .*? (\d+)%")
LINE = re.compile(r"│(\d\d:\d\d:\d\d \S.*?) *│")
NAMES = {"\r": "enter", "\x1b": "esc"}
PATIENCE = 300.0
"""Seconds for what takes the demo its time, on a busy machine; all else has a minute."""
SERVER = """\
ListenAddress 127.0.0.1
Port {port}
HostKey "{folder}/host"
AuthorizedKeysFile "{folder}/client.pub"
PidFile "{folder}/sshd.pid"
StrictModes no
UsePAM no
PasswordAuthentication no
"""
CLIENT = """\
HostName 127.0.0.1
Port {port}
User {user}
IdentityFile "{folder}/client"
IdentitiesOnly yes
IdentityAgent none
UserKnownHostsFile "{folder}/known_hosts"
GlobalKnownHostsFile none
BatchMode yes
RemoteCommand cd {elsewhere} && exec {shell}
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", default="80x24", help="columns x rows of the terminal")
    parser.add_argument("--out", type=Path, help="where the screen of each step is saved")
    parser.add_argument("--keep", type=Path, help="a new folder for home, keys and the server's log, which stays")
    options = parser.parse_args()
    if options.keep and options.keep.exists():
        parser.error("--keep wants a folder that is not there yet: the tour begins with an empty home")
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"))
    tools = {name: shutil.which(name, path=path) for name in ("sshd", "ssh", "ssh-keygen")}
    if None in tools.values():
        print("This tour needs OpenSSH: apt-get install openssh-server openssh-client", file=sys.stderr)
        return 2
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, lambda *_: sys.exit(1))  # so that whatever was started is ended all the same
    with contextlib.ExitStack() as stack:
        folder = (options.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))).resolve()
        (folder / "elsewhere").mkdir(mode=0o700, parents=True)
        stack.callback(end, folder / "home")
        server = stack.enter_context(serving(folder, tools))
        tour = Tour(folder, [tools["ssh"], "-tt", "-F", str(folder / "client.conf"), "app"], server, options)
        stack.callback(tour.hang_up)
        try:
            walk(tour)
        except (TimeoutError, AssertionError) as error:  # a TimeoutError has the screen in it
            print(f"not seen: {error}", "" if isinstance(error, TimeoutError) else tour.screen, sep="\n")
            print(f"The server's log:\n{(folder / 'sshd.log').read_text()}", flush=True)
            return 1
    return 0


def walk(tour):
    """Go the whole way. What is not there in time ends the tour."""
    tour.connect("run the demo")
    tour.press("d", "the monitor with the demo's jobs", lambda text: len(jobs_on(text)) > 3, PATIENCE)
    known = set(LINE.findall(tour.screen))
    tour.press("f", "new lines in the log", lambda text: "Log of" in text and set(LINE.findall(text)) - known, PATIENCE)
    tour.see("jobs under way", lambda text: any(share > 0 for _, share in running(text)), PATIENCE)
    before = jobs_on(tour.screen)
    tour.cut("kill -9 of the ssh client", [tour.terminal.process])
    before = tour.come_back(before)
    tour.cut("kill -9 of the server's end", tour.sessions())
    tour.come_back(before)
    done = ONWARD.index("succeeded")
    tour.see("all jobs succeeded", lambda text: {state for state, _ in jobs_on(text).values()} == {done}, PATIENCE)
    look_around(tour, list(jobs_on(tour.screen)))
    tour.press("q", "the shell, with the comparison", lambda text: PROMPT in text and compared(text))
    tour.press("echo $((6*7))\r", "a shell that echoes and answers", r"far> echo \$\(\(6\*7\)\) *\n42 ")
    tour.terminal.press("exit\r")
    wait_for(tour.is_over, what="the end of the line")
    written = [path.name for path in (tour.folder / "elsewhere").iterdir()]
    assert not written, f"written outside the home: {written}"
    tour.tell("the line is closed, and nothing was written outside the home")


def look_around(tour, jobs):
    """From the monitor through a job, the curves and the results, as a reader would."""
    tour.press("g", "the first job's log", f"Log of {jobs[0]}")
    tour.press("j", "the next job's log", f"Log of {jobs[1]}")
    tour.press("k", "the first again", f"Log of {jobs[0]}")
    tour.press("\r", "the job, its log", "Checkpoints")
    tour.turn("its checkpoints", "No checkpoints")
    tour.turn("its files", r"jobs/\d")
    tour.turn("its details", r"attempts  +1")
    tour.press("\x1b", "back in the monitor", f"Log of {jobs[0]}")
    tour.press("5", "the curves", "◆ validation")
    tour.turn("by epoch", r"epoch +loss")
    tour.turn("the worst pictures", "taken for")
    tour.press("6", "the results", lambda text: "Comparison of" in text and compared(text))
    tour.turn("confusion", "taken for")
    tour.turn("latency", r"p50 .*p95 .* ms")
    tour.turn("cost", "█ hosting")
    tour.turn("differences", r"truth .*zero-shot")
    tour.press("?", "the keys", "esc closes")
    tour.press("\x1b", "the results again", lambda text: "esc closes" not in text and "Comparison of" in text)


class Tour:
    """Somebody at a terminal, at the near end of an ssh line."""

    def __init__(self, folder, command, server, options):
        self.folder, self.command, self.server, self.out = folder, command, server, options.out
        self.home = folder / "home"
        self.size = [int(number) for number in options.size.split("x")]
        self.begun, self.steps = time.monotonic(), 0
        self.terminal = None

    @property
    def screen(self):
        return self.terminal.text() if self.terminal else ""

    def connect(self, wanted):
        """Get a shell on the far side, and open the app there."""
        self.hang_up()
        self.terminal = Terminal(self.command, {}, *self.size)
        self.see("a shell over ssh", PROMPT)
        self.press(f"{APP}\r", f"the app: {wanted}", wanted)

    def hang_up(self):
        if self.terminal is not None:
            self.terminal.close()
            self.terminal = None

    def is_over(self):
        """Tell whether the ssh client has ended, reading what it still says."""
        self.terminal.read(0.02)
        return not lives(self.terminal.process)

    def press(self, keys, what, wanted, seconds=60.0):
        """Type, and wait for what must come of it."""
        self.terminal.press(keys)
        self.see(f"{NAMES.get(keys, keys)}: {what}" if len(keys) == 1 else what, wanted, seconds)

    def turn(self, what, wanted):
        """Go from tab to tab until this one is there: which comes next is the app's business."""
        for _ in range(9):
            self.terminal.press("]")
            self.terminal.rest()
            if re.search(wanted, self.screen):
                break
        self.see(f"]: {what}", wanted)

    def see(self, what, wanted, seconds=60.0):
        """Wait until the screen has a pattern, or meets a condition."""

        def seen(text):
            assert not self.is_over(), f"{what}: the line broke before"
            return wanted(text) if callable(wanted) else re.search(wanted, text)

        self.terminal.sees(seen, what, seconds)
        self.tell(what)

    def tell(self, what):
        """Print a step with its time; keep the screen as it is then."""
        self.steps += 1
        print(f"{time.monotonic() - self.begun:6.1f} s  {what}", flush=True)
        if self.out:
            self.out.mkdir(parents=True, exist_ok=True)
            name = re.sub(r"\W+", "-", what).strip("-")
            (self.out / f"{self.steps:02}-{name}.txt").write_text(self.screen + "\n", encoding="utf-8")

    def sessions(self):
        """Return the server's processes that hold this line (named sshd, or sshd-session)."""
        below = psutil.Process(self.server.pid).children(recursive=True)
        return [process for process in below if process.name().startswith("sshd")]

    def cut(self, what, victims):
        """Kill an end of the line while jobs run: the app must end by that, the workers must not."""
        app, workers = processes(self.home, "tui"), processes(self.home, "engine.jobs.worker")
        assert running(self.screen), "no job runs any more: there is nothing to cut off"
        assert len(app) == 1 and workers and victims, f"{len(app)} apps, {len(workers)} workers, {victims}"
        cut_at = time.monotonic()
        kill(victims)
        wait_for(lambda: not lives(app[0]), what=f"{what}: the end of the app")
        took = time.monotonic() - cut_at
        wait_for(self.is_over, what="the end of the ssh client")
        left = [worker for worker in workers if lives(worker)]
        assert left, f"no worker outlived {what}"
        self.tell(f"{what}: the app ended after {took:.2f} s, {len(left)} of {len(workers)} workers live on")

    def come_back(self, before):
        """Connect again and find the same jobs further on; return how far they are."""
        self.connect("Experiments")
        self.press("4", "the same jobs, further on", lambda text: further(before, jobs_on(text)), PATIENCE)
        return jobs_on(self.screen)


def jobs_on(screen):
    """Return how far each job in the monitor is: its state as a number, its percentage."""
    found = {}
    for number, kind, state, again, share in ROW.findall(screen):
        assert state not in ASTRAY and not again, f"{kind} {number} is {state}{again}"
        if state in ONWARD:  # a row that is half painted has a state that nobody knows
            found[f"{kind} {number}"] = (ONWARD.index(state), int(share))
    return found


def running(screen):
    return [job for job in jobs_on(screen).values() if ONWARD[job[0]] == "running"]


def further(before, now):
    """Tell whether the jobs are the same, none in an earlier state, and at least one has got on."""
    same = before.keys() == now.keys()
    return same and all(now[n][0] >= before[n][0] for n in now) and any(now[n] > before[n] for n in now)


def compared(text):
    """Tell whether all contestants are there with their accuracy."""
    return all(re.search(rf"{name}\b.* \d+\.\d%", text) for name in CONTESTANTS)


def lives(process):
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.status() != psutil.STATUS_ZOMBIE
    return False


def processes(home, module=""):
    """Return the processes that work for this home, or those of them that run a module."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            own = process.environ().get("DOGCLS_HOME") == str(home)
            if own and (not module or module in process.cmdline()):
                found.append(process)
    return found


def kill(victims):
    for process in victims:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def end(home):
    """End whatever works for this home, and what that has started meanwhile."""
    while left := processes(home):
        kill(left)
        psutil.wait_procs(left, timeout=10)


@contextlib.contextmanager
def serving(folder, tools):
    """Run an sshd for the current user alone; it ends with all its sessions."""
    for key in ("host", "client"):
        subprocess.run([tools["ssh-keygen"], "-q", "-t", "ed25519", "-N", "", "-f", folder / key], check=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    configure(folder, port)
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # root's sshd wants it; a service manager would make it
    log = folder / "sshd.log"
    command = [tools["sshd"], "-D", "-e", "-f", folder / "server.conf"]
    with log.open("wb") as told:
        server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=told, stderr=told)
    try:
        wait_for(lambda: "listening" in log.read_text() or server.poll() is not None, what="an sshd that listens")
        assert server.poll() is None, log.read_text()
        yield server
    finally:
        if server.poll() is None:
            kill([*psutil.Process(server.pid).children(recursive=True), server])
        server.wait()


def configure(folder, port):
    """Write what client and server need to know, so that neither asks anybody nor looks anywhere else."""
    far = {"PS1": PROMPT, "ENV": "", "DOGCLS_HOME": folder / "home", "DOGCLS_PROFILE": "demo", "PYTHONPATH": ROOT}
    shell = shlex.join(["env", *(f"{name}={value}" for name, value in far.items()), "sh"])
    told = {"folder": folder, "port": port, "user": getpass.getuser(), "shell": shell}
    told["elsewhere"] = shlex.quote(str(folder / "elsewhere"))
    (folder / "server.conf").write_text(SERVER.format(**told))
    (folder / "client.conf").write_text(CLIENT.format(**told))
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {(folder / 'host.pub').read_text()}")


if __name__ == "__main__":
    sys.exit(main())
