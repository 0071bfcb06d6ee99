"""The question, as a template: its texts, how labels are listed, what is answered; and one real request of it."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

from rich.text import Text
from textual import events, on
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import OptionList, Static, TextArea

from engine import DatasetView, DogclsError, Engine, Prompt, counted
from tui.guard import work
from tui.screens.dialogs import AskScreen
from tui.styles.theme import look
from tui.text import dollars, literal, one_line
from tui.widgets.data.base import DataTab, dials
from tui.widgets.lists import List

DEBOUNCE_SECONDS = 0.2
OWN = "own"
"""Each contestant answers in its own form."""
ANSWERS = {
    OWN: "zero-shot: JSON; tuned: the bare label",
    "json": "zero-shot and tuned: JSON",
    "text": "zero-shot and tuned: the bare label",
}
LISTED = {
    "commas": "beagle, pug",
    "lines": "one a line",
    "json": '["beagle", "pug"]: for labels with commas',
}
MOST_SHOWN = 1_200
"""Characters of a text in a request: two thousand labels are more than anybody reads, and hide what follows."""
END_SHOWN = 200
"""So many of them from its end."""


class PromptTab(DataTab):
    """Two texts, three choices, and what comes of them."""

    FOCUS = "#dials"

    def __init__(self, engine: Engine, **options: str) -> None:
        super().__init__(engine, **options)
        self._listed, self._answer, self._key = "commas", OWN, "label"
        self._request = 0
        """Which test image is asked about."""
        self._of: str | None = None
        """Whose prompt stands there."""
        self._stored: tuple[Prompt, str] | None = None
        """It, and how is answered, as they were kept the last time."""

    def compose(self) -> ComposeResult:
        """Lay it out."""
        yield TextArea(id="prompt", soft_wrap=True, show_line_numbers=False)
        yield TextArea(id="user", soft_wrap=True, show_line_numbers=False)
        yield List(id="dials")
        with VerticalScroll(id="request-box", can_focus=True):
            yield Static(id="request")

    def on_mount(self) -> None:
        """Name the texts."""
        self.query_one("#prompt").border_title = "system message"
        self.query_one("#user").border_title = "text beside the image, if any"

    async def draw(self, data: DatasetView, *, fresh: bool) -> None:
        """Show the dataset's prompt, and the request."""
        if fresh:
            self._request = 0
        try:
            await self.load(data)
        finally:
            self._draw_dials()
            self._preview()

    async def load(self, data: DatasetView) -> None:
        """Take up a dataset's prompt: what was kept for it, or the article's.

        Raises:
            InputError: what was kept cannot be read.

        """
        if self._of == data.name:
            return
        self._of = None
        self._take(Prompt.default(), bound=False)
        kept = await self.engine.curate.prompt(data.name)
        if kept is not None:
            self._take(*kept)
            self.desk.prompts[data.name] = str(self.engine.curate.prompt_file(data.name))
        self._of, self._stored = data.name, (self.prompt, self._answer)

    def _take(self, prompt: Prompt, bound: bool) -> None:
        with self.prevent(TextArea.Changed):
            self.query_one("#prompt", TextArea).text = prompt.system
            self.query_one("#user", TextArea).text = prompt.user
        self._listed, self._key = prompt.labels_as, prompt.key
        self._answer = prompt.answer if bound else OWN

    def _draw_dials(self) -> None:
        key = "of the JSON answer" if self._answer != "text" else "unused: nobody answers in JSON"
        self.query_one("#dials", List).show(
            dials(
                [
                    ("labels", self._listed, LISTED[self._listed]),
                    ("answer", self._answer, ANSWERS[self._answer]),
                    ("key", one_line(self._key, 30), key),
                ]
            )
        )

    @property
    def prompt(self) -> Prompt:
        """What is written there: as zero-shot is asked."""
        texts: dict[str, Any] = {
            "system": self.query_one("#prompt", TextArea).text.strip(),
            "user": self.query_one("#user", TextArea).text.strip(),
            "answer": "json" if self._answer == OWN else self._answer,
            "labels_as": self._listed,
        }
        return Prompt(detail="low", key=self._key, **texts)

    async def for_kind(self, data: DatasetView, kind: str) -> Prompt:
        """Return what a dataset's batch requests, or training examples, are made with; raises InputError."""
        await self.load(data)
        return replace(self.prompt, answer="text") if self._answer == OWN and kind == "fine-tune" else self.prompt

    @work(exclusive=True, group="preview")
    async def _preview(self) -> None:
        await asyncio.sleep(DEBOUNCE_SECONDS)
        data, box, at = self.data, self.query_one("#request", Static), look()
        if data is None:
            return
        try:
            p = await self.engine.browse.request(data.name, self.prompt, self._request)
        except DogclsError as error:
            box.update(Text(one_line(str(error), 300), at.bad))
            return
        tokens, share = p.text_tokens + p.image_tokens, data.test / 1000
        told = Text.assemble(
            (f"{counted(tokens, 'token')}", "bold"),
            (f", about {p.text_tokens:,} of text, {p.image_tokens:,} of image\n", at.dim),
            (f"1,000 requests: {dollars(p.batch_usd)} by batch, {dollars(p.real_time_usd)} one by one\n", at.accent),
            (
                f"the {data.test:,} of test: {dollars(p.batch_usd * share)}, {dollars(p.real_time_usd * share)}\n",
                at.dim,
            ),
            (f"about {one_line(p.image.name, 30)} (space: the next)", at.dim),
            (" · kept: launch asks with it\n" if data.name in self.desk.prompts else "\n", at.ok),
            literal(shortened(p.body)),
        )
        box.update(told)

    # -- what the reader does

    @on(TextArea.Changed)
    def _edited(self) -> None:
        self._preview()

    def more(self) -> None:
        """Ask about the next test image."""
        self._request += 1
        self._preview()

    @on(OptionList.OptionSelected, "#dials")
    def _selected(self) -> None:
        self.open()

    def open(self) -> None:
        """Choose the next of what stands under the cursor, or type it."""
        self._change()

    @work
    async def _change(self) -> None:
        chosen = self.query_one("#dials", List).chosen
        if chosen == "labels":
            self._listed = _next(LISTED, self._listed)
        elif chosen == "answer":
            self._answer = _next(ANSWERS, self._answer)
        else:
            typed = await self.app.push_screen_wait(AskScreen("The key of the JSON answer", self._key))
            self._key = (typed or "").strip() or self._key
        self._draw_dials()
        self._preview()
        self.keep()

    def on_descendant_blur(self, event: events.DescendantBlur) -> None:
        """Whoever leaves an editor, by whichever way, finds what was written kept."""
        if isinstance(event.widget, TextArea):
            self.keep()

    def keep(self) -> None:
        """Keep what was changed for the launch; the article's own is not kept."""
        if self.data is not None and (self.prompt, self._answer) != self._stored:
            self._keep(self.data.name, self.prompt, self._answer)

    @work(exclusive=True, group="keep")
    async def _keep(self, dataset: str, prompt: Prompt, answer: str) -> None:
        curate, own = self.engine.curate, answer == OWN
        if own and prompt == Prompt.default():
            await self.desk.doing(curate.forget_prompt(dataset))
            self.desk.prompts.pop(dataset, None)
        else:
            path = await self.desk.doing(curate.keep_prompt(dataset, prompt, with_answer=not own))
            if path is None:
                return
            self.desk.prompts[dataset] = str(path)
        self._of, self._stored = dataset, (prompt, answer)
        self._preview()


def shortened(body: str) -> str:
    """Return a request with the middle of its long texts left out, so that all of its parts are seen."""

    def short(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: short(each) for key, each in value.items()}
        if isinstance(value, list):
            return [short(each) for each in value]
        if isinstance(value, str) and len(value) > MOST_SHOWN:
            out = len(value) - MOST_SHOWN
            return f"{value[: MOST_SHOWN - END_SHOWN]} … {counted(out, 'character')} more … {value[-END_SHOWN:]}"
        return value

    return json.dumps(short(json.loads(body)), indent=2, ensure_ascii=False)


def _next(choices: dict[str, str], now: str) -> str:
    names = list(choices)
    return names[(names.index(now) + 1) % len(names)]
