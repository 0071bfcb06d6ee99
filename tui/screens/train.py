"""Fine-tuning and the CNN while they learn: curves of several runs, worst pictures, whether more labels would help."""

from __future__ import annotations

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import OptionList, Static, TabbedContent, TabPane

from engine import ACTIVE, DogclsError, JobView, TrainingView, mistakes
from tui.bridge import Looked
from tui.curves import AXES, MEASURES, SMOOTHINGS, Run, epochs, measured
from tui.guard import work
from tui.screens.jobs import JobRoom
from tui.styles.theme import look
from tui.text import dollars, one_line, size, span
from tui.widgets.bar import bar
from tui.widgets.jobs import state_of
from tui.widgets.labelling import labelling
from tui.widgets.lists import List
from tui.widgets.plot import Curves, Layer
from tui.widgets.tables import Table
from tui.widgets.worst import Mistake, Worst

MOST_MISTAKES = 500
FIGURES = (
    ("train", "loss", ("loss", "train_loss")),
    ("val", "loss", ("val_loss", "valid_loss")),
    ("train", "acc", ("accuracy", "train_accuracy", "train_mean_token_accuracy")),
    ("val", "acc", ("val_accuracy", "valid_mean_token_accuracy")),
)
"""What is told of the newest values: of which images, what, and by which names it may have been measured."""


class TrainScreen(JobRoom):
    """Runs at the left, what they do at the right."""

    ROOM = "train"
    FIRST = "#runs"

    def __init__(self) -> None:
        super().__init__()
        self._jobs: dict[str, JobView] = {}
        self._runs: dict[str, Run] = {}
        self._epochs: dict[str, float | None] = {}
        self._views: dict[str, TrainingView] = {}
        self._over: set[str] = set()
        self._measure, self._axis, self._smoothing = "loss", AXES[0], 2
        self._read_at: dict[str, object] = {}
        self._at = 0.0

    def body(self) -> ComposeResult:
        """Lay it out."""
        with Horizontal(classes="row"):
            yield List(id="runs", classes="pane")
            with Vertical():
                yield Static(id="figures")
                with TabbedContent(initial="curves", id="tabs"):
                    with TabPane("Curves", id="curves"):
                        yield Curves()
                    with TabPane("Epochs", id="by-epoch"):
                        yield Table(id="epoch-table")
                    with TabPane("Worst pictures", id="worst"):
                        yield Worst(self.engine.browse)
                    with TabPane("More labels?", id="labels"), VerticalScroll(id="labels-box"):
                        yield Static(id="labels-text")

    def on_mount(self) -> None:
        """Name the pane."""
        super().on_mount()
        self.query_one("#runs").border_title = "Runs"

    @property
    def _chosen(self) -> str | None:
        return self.query_one("#runs", List).chosen

    @property
    def job(self) -> JobView | None:
        """The chosen run's job."""
        return self._jobs.get(self._chosen or "")

    @on(Looked)
    def _looked(self, message: Looked) -> None:
        self._at = message.at
        jobs = measured(message.jobs)
        self._jobs = {str(job.id): job for job in jobs}
        runs = self.query_one("#runs", List)
        runs.show([(str(j.id), self._line(j, runs.content_size.width)) for j in jobs])
        if not jobs:
            told = Text("Nothing has learned yet. 3 launches an experiment; 1 and d start the demo.", look().dim)
            self.query_one("#figures", Static).update(told)
        self.offer_keys(message)
        self._read()

    def _line(self, job: JobView, room: int) -> Text:
        mark, style = look().state(job.state)
        over = "◆" if str(job.id) in self._over else " "
        text = Text.assemble((mark, style), f"{over}{job.kind} {job.id}", no_wrap=True, overflow="ellipsis")
        return text.append(f" {one_line(job.experiment, 40)}", look().dim)

    @work(exclusive=True, group="read")
    async def _read(self) -> None:
        """Read what the runs in sight have measured since the last time."""
        wanted = {key for key in (self._chosen, *self._over) if key in self._jobs}
        for key in wanted:
            job = self._jobs[key]
            marks = (job.state, job.done, job.total, job.attempt)
            if self._read_at.get(key) == marks:
                continue
            run = self._runs.setdefault(key, Run())
            try:
                if key not in self._epochs:
                    detail = await self.engine.browse.job(job.id)
                    told = detail.parameters.get("epochs")
                    self._epochs[key] = float(told) if isinstance(told, int | float) else None
                if job.kind == "train":
                    self._views[key] = await self.engine.browse.learning.run(job.id)
                run.add(await self.engine.browse.metrics_since(job.id, run.last - 1e-3))
            except DogclsError as error:
                self.desk.trouble(str(error))
                return
            self._read_at[key] = marks
        self._draw()

    # -- drawing

    @on(Curves.Ready)
    def _draw(self) -> None:
        key, job = self._chosen, self.job
        if key is None or job is None:
            return
        self.query_one("#figures", Static).update(self._figures(job))
        tab = self.query_one("#tabs", TabbedContent).active
        if tab == "curves":
            keys = [key, *sorted((self._over & self._jobs.keys()) - {key}, key=int)]
            layers = [Layer(self._jobs[one], self._runs.get(one, Run()), self._epochs.get(one)) for one in keys]
            self.query_one(Curves).show(layers, self._measure, self._axis, SMOOTHINGS[self._smoothing])
        elif tab == "by-epoch":
            self._draw_epochs(self._runs.get(key, Run()))
        elif tab == "worst":
            self._draw_worst(job)
        else:
            self._draw_labels(job)

    def _figures(self, job: JobView) -> Text:
        """Return how the run stands, how and where it trains, and its newest values: a line each."""
        wide = self.has_class("-wide") or self.has_class("-huge")
        told, run, dim = self._views.get(str(job.id)), self._runs.get(str(job.id), Run()), look().dim
        text = bar(job.progress, 10 if wide else 6, look().state(job.state)[1])
        left = self.bridge.pace.left(job)
        age = job.seconds(self._at)
        if job.state not in ACTIVE or job.request:
            text.append("  ").append_text(state_of(job))
        elif told is not None:  # its note names the backbone first, and has its own time left
            first, comma, rest = one_line(job.note, 120).partition(", ")
            text.append(f"  {rest if comma and not wide else first + comma + rest}")
            left = None if "left" in rest else left
        else:
            text.append(f"  {job.done_of_total} {one_line(job.note, 24)}")
        text.append(f"  {span(age)}" + (f", {span(left)} left" if left is not None else ""), dim)
        rate, pace, memory = run.latest("images_per_second"), self.bridge.pace.rate(job), run.latest("memory_mb")
        speed = f"  {rate:,.0f} images/s" if rate else f"  {pace:,.1f}/s" if pace and told is None else ""
        if told is not None:
            device = one_line(told.device, 60)
            text.append("\n").append(one_line(told.recipe, 24), look().contestant(job.contestant))
            text.append(f" on {device if wide else device.partition(' (')[0]}", dim)
            speed += f"  {size(memory * 1e6)}" if memory else ""
        text.append(speed, dim)
        text.append(f"  {dollars(job.cost_usd)}" if job.cost_usd else "", dim)
        text.append("\n")
        for whose, what, names in FIGURES:
            value = next((run.latest(name) for name in names if name in run.values), None)
            if value is not None:  # on a narrow screen each is told beside what it belongs to, in one word
                words = f"{whose} {what}" if wide else what if whose == "train" else whose
                text.append(f"{words} ", dim).append(f"{value:.3f}  ")
        best = told.val_accuracy if told is not None and told.val_accuracy is not None else run.best("val_accuracy")
        if best is not None:
            text.append("best ", dim).append(f"{best:.1%}", f"bold {look().ok}")
        if told is not None and told.caution:
            text.append(f"\n{one_line(told.caution, 300)}", look().warn)
        return text

    def _draw_epochs(self, run: Run) -> None:
        columns, rows = epochs(run, self._epochs.get(self._chosen or ""))
        cells = {
            key: [Text(cell, look().dim if n == 0 else "", justify="right") for n, cell in enumerate(row)]
            for key, row in rows.items()
        }
        table = self.query_one("#epoch-table", Table)
        room, shown = table.content_size.width or self.size.width, 0
        for n in range(len(columns)):  # what has no room at all is not cut to pieces
            room -= 2 + max([len(columns[n]), *(row[n].cell_len for row in cells.values())])
            shown += room >= 0
        table.fill(columns[:shown], {key: row[:shown] for key, row in cells.items()})

    @work(exclusive=True, group="worst")
    async def _draw_worst(self, job: JobView) -> None:
        """Show what the last validation got most wrong; without one, the test images that were."""
        try:
            about, found = await self._validated(job) if job.kind == "train" else ("", [])
            if not found:
                about, found = await self._mistaken(job)
        except (DogclsError, KeyError):
            about, found = "No picture was taken for another yet.", []
        self.query_one(Worst).show(about, found)

    async def _validated(self, job: JobView) -> tuple[str, list[Mistake]]:
        found = await self.engine.browse.learning.worst(job.id)
        wrong = sum(each.truth != each.said for each in found)
        about = f"Last validation, worst first: {wrong} of these {len(found)} are wrong."
        return about, [Mistake(str(w.image_id), w.path, w.name, w.truth, w.said, w.sure, w.truth_sure) for w in found]

    async def _mistaken(self, job: JobView) -> tuple[str, list[Mistake]]:
        answers = await self.engine.browse.answers(job.experiment)
        contestant = answers.of(job.contestant or "")
        found = []
        for image, sure in mistakes(answers, contestant)[:MOST_MISTAKES]:
            path, said = answers.images[image], contestant.predicted[image]
            named = answers.labels[said] if said is not None else "no label"
            found.append(Mistake(str(image), str(path), path.name, answers.labels[answers.truths[image]], named, sure))
        if not found:
            return "No picture was taken for another yet.", []
        return f"Test images that were taken for others, the surest first: {len(found):,}.", found

    def _draw_labels(self, job: JobView) -> None:
        told = self._views.get(str(job.id))
        box = self.query_one("#labels-text", Static)
        if job.kind != "train":
            box.update(Text("Learning curves are measured of the local CNN; choose one of its runs.", look().dim))
        else:
            width = self.query_one("#labels-box").content_size.width
            box.update(labelling(told.curve, width, told.doubled, told.curve_note) if told else labelling((), width))

    # -- what the reader does

    @on(OptionList.OptionHighlighted)
    def _another(self, event: OptionList.OptionHighlighted) -> None:
        self.offer_keys()
        self._read()

    @on(TabbedContent.TabActivated)
    def _tab(self) -> None:
        self.refresh_bindings()
        self._draw()

    def tab_shown(self, tab: str) -> None:
        """Give the focus to what is in front."""
        first = {"curves": "#runs", "by-epoch": "#epoch-table", "worst": "#worst-table", "labels": "#labels-box"}
        self.query_one(first[tab]).focus()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Curves alone are measured, smoothed and laid over each other."""
        if action in ("overlay", "measure", "axis", "smooth"):
            return not self.is_mounted or self.query_one("#tabs", TabbedContent).active == "curves"
        return super().check_action(action, parameters)

    def action_overlay(self) -> None:
        """Lay the chosen run over the others, or take it away."""
        if key := self._chosen:
            self._over ^= {key}
            self.bridge.look_now()

    def action_measure(self) -> None:
        """Draw the next of what was measured."""
        sight = [self._runs[key] for key in (self._chosen, *self._over) if key in self._runs]
        names = [name for name in MEASURES if any(run.names(name) for run in sight)] or list(MEASURES)
        at = names.index(self._measure) if self._measure in names else -1
        self._measure = names[(at + 1) % len(names)]
        self._draw()

    def action_axis(self) -> None:
        """By step, epoch or time."""
        self._axis = AXES[(AXES.index(self._axis) + 1) % len(AXES)]
        self._draw()

    def action_smooth(self) -> None:
        """Smooth more, or not at all."""
        self._smoothing = (self._smoothing + 1) % len(SMOOTHINGS)
        self._draw()

    def action_experiment(self) -> None:
        """Go to the next run."""
        self.query_one("#runs", List).action_cursor_down()

    def repaint(self) -> None:
        """Draw everything in other colours."""
        for table in self.query(Table):
            table.redraw()
        super().repaint()
        self._draw()
