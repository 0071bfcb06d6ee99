"""An experiment before it starts: who takes part, how, and for how much."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Container, Vertical
from textual.widgets import Input, OptionList, Static

from engine import DogclsError, InputError, Spec, make_spec, parameters
from tui.guard import work
from tui.screens.base import Room
from tui.screens.dialogs import ChooseScreen, ConfirmScreen
from tui.screens.papers import TextScreen
from tui.screens.pilot import IMAGES, PilotScreen, pilot_question
from tui.styles.theme import look
from tui.text import dollars, one_line
from tui.widgets.contestants import WHO, contestants
from tui.widgets.lists import List
from tui.widgets.price import price_lines, price_text
from tui.wording import recipe_lines

if TYPE_CHECKING:
    from engine import Outline, Outlook, PilotResult, Plan, Price, RecipeView, Terms

_UNLESS_GIVEN = {
    "name": "the dataset's, numbered",
    "prompt": "the article's",
    "weights": "the recipe's own",
    "max_cost": "none",
}
DEBOUNCE_SECONDS = 0.25
TALL = 36
"""Lines from which the price is told line by line."""


class LaunchScreen(Room):
    """Contestants, parameters, what each means, and the price of it all."""

    ROOM = "launch"
    FIRST = "#parameters"

    def __init__(self) -> None:
        super().__init__()
        self._parameters = parameters()
        self._values: dict[str, str] = {}
        self._recipes: dict[str, RecipeView] = {}
        self._contestants = {name for name, _, _ in WHO}
        self._datasets: list[str] = []
        self._known: object = None
        self._dataset: str | None = None
        self._spec: Spec | None = None
        self._made: tuple[Plan, Price] | None = None
        self._outline: Outline | None = None
        self._outlook: tuple[Outlook, ...] | str | None = None
        """None while it is asked for; why it is not known, where the profile itself is not."""
        self._problem = ""
        self._checking = False
        self._refused = ""
        """Why the last start did not come about."""
        self._pilot = ""
        """How far the pilot is that runs now."""
        self._ahead = ""  # what the contestants cost beyond this experiment

    def body(self) -> ComposeResult:
        """Lay it out."""
        yield Static(id="who", classes="pane")
        with Container(id="form"):
            with Vertical():
                yield List(id="parameters", classes="pane")
                yield Input(id="editor")
            with Vertical(id="told"):
                yield Static(id="meaning", classes="pane")
                yield Static(id="price", classes="pane")

    def on_mount(self) -> None:
        """Name the panes."""
        super().on_mount()
        for name in ("who", "parameters", "meaning", "price"):
            self.query_one(f"#{name}").border_title = {"who": "Contestants", "meaning": "What it means"}.get(
                name, name.capitalize()
            )
        self._draw()

    def on_screen_resume(self) -> None:
        """Datasets may have been added meanwhile."""
        super().on_screen_resume()
        self._find_datasets()

    @work(exclusive=True, group="datasets")
    async def _find_datasets(self) -> None:
        found = [d.name for d in await self.engine.datasets()]
        marks = (found, dict(self.desk.prompts))
        if marks == self._known:
            return
        self._known, self._datasets = marks, found
        wanted = self.desk.dataset if self.desk.dataset in found else (found[-1] if found else None)
        self._dataset = self._dataset if self._dataset in found else wanted
        self._changed()

    @work(exclusive=True, group="recipes")
    async def _find_recipes(self) -> None:
        """Find out what the recipes do, and how long they would take on this dataset."""
        try:
            found = await self.engine.browse.learning.recipes(self._dataset)
        except DogclsError as error:
            self.desk.trouble(str(error))
            return
        self._recipes = {each.name: each for each in found}
        self._explain()

    # -- what is shown

    def _draw(self) -> None:
        at = look()
        price = self._made[1] if self._made is not None else None
        self.query_one("#who", Static).update(contestants(self._contestants, price))
        title = f"Contestants on {one_line(self._dataset, 40)}" if self._dataset else "Contestants"
        self.query_one("#who").border_title = Text(title)
        self.query_one("#who").border_subtitle = f"D: next of {len(self._datasets)}" if len(self._datasets) > 1 else ""
        lines = []
        for p in self._parameters:
            kept = self.desk.prompts.get(self._dataset or "") if p.name == "prompt" else None
            value, own = self._values.get(p.name, kept or p.default), p.name in self._values or bool(kept)
            shown = Text(one_line(value or _UNLESS_GIVEN.get(p.name, "–"), 300), f"bold {at.accent}" if own else "")
            if not value:
                shown.stylize(at.dim)
            if p.allowed:
                shown.truncate(24, overflow="ellipsis", pad=True)
            allowed = f"  {p.allowed}" if p.allowed else ""
            lines.append((p.name, Text.assemble(f"{p.name:<17}", shown, (allowed, at.dim), no_wrap=True)))
        self.query_one("#parameters", List).show(lines)
        self._explain()
        self._draw_price()

    def _explain(self) -> None:
        chosen = self.query_one("#parameters", List).chosen
        told = next((p for p in self._parameters if p.name == chosen), None)
        box = self.query_one("#meaning", Static)
        box.border_subtitle = "enter: all recipes" if chosen == "recipe" and self._recipes else ""
        if self._refused and not self._problem:
            box.update(Text(one_line(f"Not started. {self._refused}", 400), look().bad))
        elif self._problem:
            box.update(Text(one_line(self._problem.removesuffix("See: dogcls-tui run --help"), 400), look().bad))
        elif told is not None:
            recipe = self._recipes.get(self._values.get("recipe", told.default)) if told.name == "recipe" else None
            own = f"  (default: {told.default or _UNLESS_GIVEN[told.name]})" if told.name in self._values else ""
            meaning = told.help if recipe is None else f"{recipe.name}: {recipe.about}"
            box.update(Text.assemble(meaning, (own, look().dim)))

    def _draw_price(self) -> None:
        box, at = self.query_one("#price", Static), look()
        ready = self._made is not None and not self.engine.readonly
        box.border_subtitle = Text.assemble(("s", f"bold {at.accent}"), " starts it") if ready else ""
        if self._checking:
            box.border_subtitle = "checking sign-in, endpoint and deployments …"
        elif self._pilot:
            box.border_subtitle = Text(self._pilot)
        if self._dataset is None:
            box.update(Text("There is no dataset yet: 2 adds one; 1 and d run the demo.", at.dim))
            return
        if self._made is None:
            box.update(Text("…" if not self._problem else "–", at.dim))
            return
        tall = self.size.height >= TALL
        told = (self._made[1], self._outline, self._outlook, self._ahead)
        box.update(price_text(*told, tall=tall, width=box.content_size.width))

    @on(OptionList.OptionHighlighted)
    def _highlighted(self, event: OptionList.OptionHighlighted) -> None:
        self._refused = ""
        self._explain()

    # -- what follows from a change

    def _make_spec(self, values: dict[str, str]) -> Spec:
        if self._dataset is None:
            raise InputError("There is no dataset yet.", "2 adds one.")
        if not self._contestants:
            raise InputError("Nobody takes part.", "z, t and c choose.")
        wanted = [name for name, _, _ in WHO if name in self._contestants]
        given = {name: value for name, value in values.items() if value != ""}
        prompt = self.desk.prompts.get(self._dataset)
        return make_spec(
            {**({"prompt": prompt} if prompt else {}), **given, "dataset": self._dataset, "contestants": wanted}
        )

    def _changed(self) -> None:
        """Check the parameters, and find out the new price."""
        self._made = self._outline = self._outlook = None
        self._refused = ""
        try:
            self._spec = self._make_spec(self._values)
            self._problem = ""
        except DogclsError as error:
            self._spec, self._problem = None, str(error) if self._dataset else ""
        self._draw()
        self.refresh_bindings()
        self._find_recipes()
        if self._spec is not None:
            self._find_price(self._spec)

    @work(exclusive=True, group="price")
    async def _find_price(self, spec: Spec) -> None:
        await asyncio.sleep(DEBOUNCE_SECONDS)
        try:
            made = await self.engine.plan(spec)
            self._outline = await self.engine.outline(spec, made[0])
            self._ahead = made[1].under(await self.engine.outcomes.terms())
            self._made = made
        except DogclsError as error:
            self._problem = str(error)
        self._draw()
        self.refresh_bindings()
        if self._made is not None:  # the price stands; what the service has to be asked for comes when it comes
            try:
                self._outlook = await self.engine.remote.outlook(self._made[0])
            except DogclsError as error:
                self._outlook = str(error)
            self._draw_price()

    # -- what the reader does

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Show only the keys that would do something now."""
        if action in ("start", "requests"):
            ready = not self.engine.readonly and not self._checking
            return self._made is not None and (action == "requests" or ready)
        if action == "pilot":
            return self._spec is not None and not self.engine.readonly and not self._pilot
        if action == "dataset":
            return len(self._datasets) > 1
        return True

    def action_contestant(self, name: str) -> None:
        """Take a contestant in, or leave it out."""
        self._contestants ^= {name}
        self._changed()

    def action_dataset(self) -> None:
        """Choose the next dataset."""
        if self._dataset in self._datasets:
            self._dataset = self._datasets[(self._datasets.index(self._dataset) + 1) % len(self._datasets)]
            self._changed()

    def action_change(self) -> None:
        """Open the field for the chosen parameter."""
        chosen = self.query_one("#parameters", List).chosen
        if chosen is None:
            return
        if chosen == "recipe" and self._recipes:
            self._choose_recipe()
            return
        editor = self.query_one("#editor", Input)
        told = next(p for p in self._parameters if p.name == chosen)
        editor.border_title = f"{chosen}: enter accepts, esc leaves it"
        with editor.prevent(Input.Changed):
            editor.value = self._values.get(chosen, told.default)
        editor.add_class("shown")
        editor.focus()

    @work
    async def _choose_recipe(self) -> None:
        """Show what each recipe does, and take one."""
        default = next(p.default for p in self._parameters if p.name == "recipe")
        choices = [(each.name, "\n".join(recipe_lines(each))) for each in self._recipes.values()]
        now = self._values.get("recipe", default)
        chosen = await self.app.push_screen_wait(ChooseScreen("By which recipe does the CNN learn?", choices, now))
        if chosen is not None:
            self._values = {**self._values, "recipe": chosen}
            if chosen == default:
                del self._values["recipe"]
            self._changed()

    @on(Input.Changed, "#editor")
    def _typing(self, event: Input.Changed) -> None:
        """Say what is wrong while it is typed."""
        try:
            self._make_spec(self._typed(event.value))
            self._problem = ""
        except DogclsError as error:
            self._problem = str(error)
        self._explain()

    def _typed(self, value: str) -> dict[str, str]:
        chosen = self.query_one("#parameters", List).chosen or ""
        told = next(p for p in self._parameters if p.name == chosen)
        values = {name: v for name, v in self._values.items() if name != chosen}
        return values if value.strip() == told.default else {**values, chosen: value.strip()}

    @on(Input.Submitted, "#editor")
    def _accept(self, event: Input.Submitted) -> None:
        if self._problem:
            return
        self._values = self._typed(event.value)
        self.action_back()

    def action_back(self) -> None:
        """Leave the field."""
        editor = self.query_one("#editor", Input)
        if editor.has_class("shown"):
            editor.remove_class("shown")
            self.query_one("#parameters").focus()
            self._changed()

    @work
    async def action_requests(self) -> None:
        """Show the command and the requests."""
        if self._outline is not None:
            told = [f"$ {self._outline.command}", self._outline.requests]
            if self._made is not None and self.size.height < TALL:  # where the price has no room for its lines
                lines = (*price_lines(self._made[1], self._outlook), self._ahead)
                told.insert(1, "\n".join(f"# {line}" for line in lines))
            text = "\n\n".join(told)
            await self.app.push_screen_wait(TextScreen("What would be sent", text))

    @work
    async def action_start(self) -> None:
        """Name the sum, ask, check everything that can be checked, start."""
        if self._made is None or self._spec is None:
            return
        spec, (plan, price) = self._spec, self._made
        whose = "It is the emulator's: nobody charges it." if price.emulated else f"At list prices of {price.as_of}."
        question = f"Start on {spec.dataset} for about {dollars(price.total)}?"
        if not await self.app.push_screen_wait(ConfirmScreen(question, "\n".join((whose, *price.cautions)))):
            return
        self._show_checking(True)
        well = await self.desk.doing(self.engine.check(plan))
        self._show_checking(False)
        if well is None:
            self._refused = self.desk.troubles[-1][1]
            self._explain()
            return
        name = await self.desk.doing(self.engine.start(spec, plan))
        if isinstance(name, str):
            self._values.pop("name", None)
            self.bridge.choose_experiment(name)
            self.desk.action_room("monitor")

    @work
    async def action_pilot(self) -> None:
        """Name the price of a few images, ask, ask the service, and show what follows."""
        spec = self._spec
        if spec is None or self._pilot:
            return
        self._show_pilot("looking what a pilot would cost …")
        try:
            found = await self._run_pilot(spec)
        except DogclsError as error:
            found = None
            self.desk.trouble(str(error))
        self._show_pilot("")
        if found is None:
            return
        if self.is_current:
            self.app.push_screen(PilotScreen(spec.dataset, found, self._set_terms))
        else:
            self.notify(f"The pilot on {one_line(spec.dataset, 40)} is done: 3 launch, p shows it.", markup=False)

    async def _run_pilot(self, spec: Spec) -> PilotResult | None:
        cost = await self.engine.pilots.cost(spec, IMAGES)
        if cost.images:
            self._show_pilot("pilot: waiting for your answer")
            asked = ConfirmScreen(*pilot_question(cost, spec.dataset))
            if not await self.app.push_screen_wait(asked):
                return None
        self._show_pilot("pilot: asking …")

        def progress(phase: str, done: int, total: int) -> None:
            self._show_pilot(f"pilot: {done:,} of {total:,}")

        terms = await self.engine.outcomes.terms()
        return await self.engine.pilots.run(spec, IMAGES, terms=terms, progress=progress)

    @work
    async def _set_terms(self, terms: Terms) -> None:
        await self.desk.doing(self.engine.outcomes.set_terms(terms))
        self._changed()

    def _show_pilot(self, how: str) -> None:
        changed, self._pilot = bool(how) != bool(self._pilot), how
        self._draw_price()
        if changed:
            self.refresh_bindings()

    def _show_checking(self, checking: bool) -> None:
        self._checking = checking
        self._draw_price()
        self.refresh_bindings()

    def repaint(self) -> None:
        """Draw everything in other colours."""
        super().repaint()
        self._draw()
