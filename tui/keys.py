"""One table of keys: it feeds dispatch, footer, help and palette, on every screen."""

from __future__ import annotations

from dataclasses import dataclass

from textual.binding import Binding

ROOMS = ("home", "data", "launch", "monitor", "train", "results")
"""The screens, in the order of their digits."""


STEPPING = {"tab": (-1, 1), "pair": (1, -1), "volume": (1, -1), "horizon": (1, -1)}
"""Actions of two keys, and which way each of them goes."""


@dataclass(frozen=True)
class Key:
    """One key (or several, by commas), what it does, how that is told in short and in full, and where it works."""

    keys: str
    action: str
    label: str
    help: str
    where: tuple[str, ...] = ()
    footer: bool = True
    shown: str = ""

    @property
    def display(self) -> str:
        """The key as people call it."""
        names = {"question_mark": "?", "colon": ":", "slash": "/", "space": "space", "left_square_bracket": "["}
        return self.shown or names.get(self.keys.split(",")[0], self.keys.split(",")[0])


def _key(keys: str, action: str, label: str, where: str, text: str, **more: object) -> Key:
    return Key(keys, action, label, text, tuple(where.split()), **more)  # type: ignore[arg-type]


KEYS = (
    _key("d", "demo", "demo", "home", "Run the demo: drawn dogs, the embedded emulator, no account, no cost."),
    _key("enter", "open", "open", "home", "Watch the chosen experiment's jobs."),
    _key("x", "delete", "delete", "home", "Delete the chosen experiment and what it stored. You are asked first."),
    _key("a", "add", "add", "data", "Add a dataset: a folder, archive, .csv or .jsonl, or one that is built in."),
    _key("c", "check", "check", "data", "Look at every picture again, with progress; esc stops."),
    _key("e", "edit", "prompt", "data", "Edit the prompt; request and price follow. esc keeps it for the launch."),
    _key("w", "write", "files", "data", "Files for the service: what each form of the images costs. Again: write."),
    _key("f", "sift", "kind", "data", "Findings of one kind alone; after the last, all."),
    _key("space", "more", "more", "data", "More pictures; of the prompt, the next request."),
    _key("enter", "open", "open", "data", "All files of a finding, with pictures; the next of what can be chosen."),
    _key("z", "contestant('zero-shot')", "zero-shot", "launch", "Take zero-shot part, or leave it out.", footer=False),
    _key(
        "t", "contestant('fine-tuned')", "fine-tuned", "launch", "Take fine-tuned part, or leave it out.", footer=False
    ),
    _key("c", "contestant('cnn')", "cnn", "launch", "Take the CNN part, or leave it out.", footer=False),
    _key("D", "dataset", "dataset", "launch", "Choose the next dataset."),
    _key("enter", "change", "change", "launch", "Change the chosen parameter."),
    _key("v", "requests", "requests", "launch", "The exact command, and the requests that would be sent."),
    _key("p,P", "pilot", "pilot", "launch", "Ask a few validation images first, for cents. The price is named."),
    _key("s", "start", "start", "launch", "Start. The sum is named, and you are asked first."),
    _key("enter", "details", "details", "monitor", "All about the chosen job, or how the thing on the service stands."),
    _key(
        "c",
        "cancel",
        "cancel",
        "monitor job train",
        "Cancel the job, here and on the service. You are asked first.",
    ),
    _key("p", "pause", "pause", "monitor job train", "Pause the job; it can be resumed."),
    _key(
        "r",
        "resume",
        "resume",
        "monitor job train",
        "Resume the job and what it needs. What is paid again is shown first.",
    ),
    _key("y", "deploy", "deploy", "monitor job", "Deploy the model that this job tuned. The price is named first."),
    _key("x", "delete", "delete", "monitor job", "Delete the deployment, or file on the service. You are asked."),
    _key("f", "follow", "follow", "monitor job", "Follow whichever job runs; in a log, follow its end."),
    _key("v", "resource", "service", "monitor", "Show what stands on the service, ours or not; again: only our jobs."),
    _key("d", "download", "fetch", "monitor", "Download what the chosen thing on the service made."),
    _key("X", "clean", "clean", "monitor doctor", "List what was left on the service, and delete what you choose."),
    _key("slash", "search", "search", "monitor job", "Search the log; n and N go on.", footer=False),
    _key("n", "search_next", "next", "monitor job", "The next line that has it.", footer=False),
    _key("N", "search_last", "last", "monitor job", "The last line that has it.", footer=False),
    _key("L", "level", "level", "monitor job", "Show all lines; warnings and errors; errors only.", footer=False),
    _key("w", "wrap", "wrap", "monitor job", "Wrap long lines, or cut them.", footer=False),
    _key("Y", "copy", "copy", "monitor job", "Send the chosen line to your clipboard, and to a file.", footer=False),
    _key("S", "save", "save", "monitor job", "Save the whole log to a file.", footer=False),
    _key("space", "overlay", "lay over", "train", "Lay the chosen run over the others, or take it away."),
    _key("m", "measure", "measure", "train", "Loss, accuracy, learning rate, images a second, memory."),
    _key("a", "axis", "axis", "train", "By step, by epoch, or by time."),
    _key("s", "smooth", "smooth", "train", "Smooth the curves, more or not at all.", footer=False),
    _key("o", "sort", "sort", "results", "Sort what has the focus: the comparison, or the classes."),
    _key("b", "baseline", "baseline", "results", "Compare with the next contestant."),
    _key("e", "experiment", "experiment", "results", "The next experiment.", footer=False),
    _key("e", "experiment", "next run", "train", "The next run.", footer=False),
    _key("c", "contestant", "contestant", "results", "The next contestant: classes, confusion."),
    _key("p,P", "pair", "pair", "results", "The next pair of contestants; P the one before.", shown="p"),
    _key("f", "sift", "only", "results", "Disagreements: all, where one is right, where none is.", footer=False),
    _key("enter", "open", "images", "results", "The images that tell the chosen pair apart.", footer=False),
    _key("m", "measure", "measure", "results", "What contestants are judged by.", footer=False),
    _key("v", "terms", "terms", "results", "Set volume, horizon, hours, prices: what money is reckoned for."),
    _key("plus,minus", "volume", "volume", "results", "More images a month, or fewer.", footer=False, shown="+ -"),
    _key(
        "greater_than_sign,less_than_sign",
        "horizon",
        "horizon",
        "results",
        "A longer horizon, or a shorter one.",
        footer=False,
        shown="> <",
    ),
    _key("z", "zoom", "zoom", "results", "The tab alone, over the whole screen; again: all."),
    _key("s", "export", "export", "results", "Write it to a file: Markdown, table, JSON or CSV."),
    _key("y", "code", "call", "results", "The call to the tuned deployment, as curl and Python.", footer=False),
    _key(
        "left_square_bracket,right_square_bracket",
        "tab",
        "tabs",
        "data results train job",
        "The tab before, the tab after.",
        shown="[ ]",
    ),
    _key("enter", "change", "change", "emulator", "Change the chosen setting: turn it on or off, or type it."),
    _key("space", "turn", "next", "emulator", "The next of the values that are tried most."),
    _key("p", "preset", "presets", "emulator", "Set several at once: a storm of 429s, a bad day …"),
    _key("x", "all_off", "all off", "emulator", "Put all faults out."),
    _key("r", "again", "ask again", "doctor clean", "Ask the service again."),
    _key("space,enter", "take", "take", "clean", "Take the chosen thing, to be deleted, or leave it."),
    _key("a", "everybodys", "everybody's", "clean", "Also list what other tools have made; again: only ours."),
    _key("x", "delete", "delete", "clean", "Delete all that is taken. The number is named, and you are asked."),
    _key(
        "escape",
        "back",
        "done",
        "data",
        "Out of the editor: the prompt is kept. Stops a check, or writing.",
        shown="esc",
    ),
    _key("escape", "back", "back", "doctor clean", "Back to where you were.", shown="esc"),
    _key("escape", "back", "back", "emulator", "Back to where you were.", shown="esc"),
    _key("escape", "back", "back", "job", "Back to the table.", shown="esc"),
    _key("E", "emulator", "emulator", "", "The demo's emulator: its speed, its faults, its ledger.", footer=False),
    _key("H", "doctor", "doctor", "", "The doctor: is everything ready? Costs nothing.", footer=False),
    _key("T", "theme", "theme", "", "Dark, light, for colour-blind eyes, or of 16 colours.", footer=False),
    _key("M", "messages", "messages", "", "What went wrong so far, and what helps.", footer=False),
    _key("colon", "command_palette", "actions", "", "Every action, by name.", footer=False),
    _key("question_mark", "help", "help", "", "Show or hide these keys."),
    _key("ctrl+l", "redraw", "redraw", "", "Draw the whole screen again.", footer=False),
    _key("ctrl+z", "suspend_process", "suspend", "", "To the shell and back (fg).", footer=False),
    _key("q", "quit", "quit", "", "Close the app. Jobs go on without it."),
)

MOVING = (
    ("1 … 6", "home, data, launch, monitor, train, results."),
    ("j k ↓ ↑", "Next, previous line."),
    ("g G", "First, last."),
    ("tab  h l", "From pane to pane."),
    ("esc", "Back, or out of a field."),
)


def keys_of(room: str) -> list[Key]:
    """Return the keys that work in a room."""
    return [key for key in KEYS if not key.where or room in key.where]


def bindings(room: str) -> list[Binding]:
    """Return a room's keys as Textual wants them."""
    found = []
    for key in keys_of(room):
        names = key.keys.split(",")
        for number, name in enumerate(names):
            action = key.action
            if action in STEPPING:
                action = f"{action}({STEPPING[action][number]})"
            elif action in ("command_palette", "suspend_process", "redraw", "emulator", "doctor"):
                action = f"app.{action}"
            found.append(Binding(name, action, key.label, show=key.footer and number == 0, key_display=key.display))
    found += [Binding(str(digit), f"app.room('{name}')", name, show=False) for digit, name in enumerate(ROOMS, start=1)]
    found += [
        Binding("h", "app.focus_previous", show=False),
        Binding("l", "app.focus_next", show=False),
    ]
    if not any(binding.key == "escape" for binding in found):
        found.append(Binding("escape", "back", show=False))
    return found


WALKING = (
    Binding("j", "cursor_down", show=False),
    Binding("k", "cursor_up", show=False),
    Binding("g", "first", show=False),
    Binding("G", "last", show=False),
    Binding("down", "cursor_down", show=False),
    Binding("up", "cursor_up", show=False),
    Binding("home", "first", show=False),
    Binding("end", "last", show=False),
    Binding("pagedown", "page_down", show=False),
    Binding("pageup", "page_up", show=False),
)
"""For every list and table. Enter is the room's, so that the footer says what it does."""
