"""What came out of an experiment: findings for screens, files of them, and whether they still hold."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from engine.errors import InputError, NotFoundError
from engine.failures import door
from engine.jobs.paths import Home
from engine.output_files import write_outputs
from engine.places import home_folder
from engine.store import Store
from engine.store.files import write_atomic
from engine.text_files import is_there

if TYPE_CHECKING:
    from engine.evaluation.findings import Findings
    from engine.evaluation.terms import Terms
    from engine.jobs.measuring import Chosen
    from engine.jobs.verifying import Verification

RESULT_FORMS = ("table", "json", "full-json", "csv", "csv-classes", "csv-images", "markdown", "html")
"""In which findings can be written."""
CSV_PARTS = ("classes", "images")
"""What `csv` is written of besides contestants, each into a file of its own."""


@door
class Scoring:
    """Evaluates predictions that were made elsewhere, and writes findings. It needs no store."""

    def __init__(self, synonyms: Path | None) -> None:
        """`synonyms` is the table of other names of labels; None, or a file that is not there, is none."""
        self._synonyms = synonyms

    @classmethod
    def of(cls, chosen: Path | None) -> Scoring:
        """Return one for a home of which only that table is read, if there is one: nothing is made or opened.

        Args:
            chosen: `--home`; see `engine.places.home_folder`.

        """
        with contextlib.suppress(InputError):  # the home cannot be found or read
            path = home_folder(chosen) / "synonyms.toml"
            return cls(path if is_there(path) else None)
        return cls(None)

    async def score(
        self,
        file: Path,
        labels: Path | None = None,
        *,
        common: bool = False,
        measure: str | None = None,
        costs: Path | None = None,
    ) -> Findings:
        """Return all that can be said of predictions that were made elsewhere; see `engine.jobs.scoring`.

        Args:
            file: CSV with the columns contestant, image, truth, answer, and optionally latency_ms and probability.
            labels: one label a line; those of the truths unless given.
            common: compare on the images that all contestants have, where they have different ones.
            measure: by which contestants are judged; accuracy, or the cost of mistakes where `costs` is given.
            costs: a costs.toml.

        Raises:
            InputError: the file cannot be compared; names the line and the cure.

        """
        from engine.jobs.scoring import score

        return await asyncio.to_thread(score, file, labels, self._synonyms, common=common, measure=measure, costs=costs)

    async def render(self, found: Findings, form: str, *, references: bool = False) -> str:
        """Return findings as text, in one of `RESULT_FORMS`.

        Args:
            found: of an experiment, or of predictions made elsewhere.
            form: see `RESULT_FORMS`.
            references: show published results too, marked as such (table, Markdown, HTML; full JSON always has them).

        Raises:
            InputError: there is no such form.

        """
        return await asyncio.to_thread(_render, found, form, references)

    def files(self, form: str, path: Path) -> list[Path]:
        """Return the files that `write` makes."""
        parts = CSV_PARTS if form == "csv" else ()
        return [path, *(path.with_name(f"{path.stem}-{part}{path.suffix}") for part in parts)]

    async def write(self, found: Findings, form: str, path: Path, *, references: bool = False) -> list[Path]:
        """Write findings; return the files.

        Args:
            found: of an experiment, or of predictions made elsewhere.
            form: see `RESULT_FORMS`; `csv` makes three files: of contestants, classes and images.
            path: of the file; the other two of `csv` lie beside it.
            references: as in `render`.

        Raises:
            InputError: there is no such form, or a file cannot be written.

        """
        return await asyncio.to_thread(self._write, found, form, path, references)

    def _write(self, found: Findings, form: str, path: Path, references: bool) -> list[Path]:
        forms = (form,) if form != "csv" else (form, *(f"csv-{part}" for part in CSV_PARTS))
        files = self.files(form, path)
        texts = {file: _render(found, each, references) for file, each in zip(files, forms, strict=True)}
        write_outputs({file: text.rstrip("\n") + "\n" for file, text in texts.items()})
        return list(texts)


@door
class Outcomes(Scoring):
    """Reads one home's results. Everything is reckoned in threads."""

    def __init__(self, store: Store, home: Home) -> None:
        super().__init__(home.synonyms)
        self._store, self._home = store, home
        self.own_terms: Terms | None = None
        """Terms that this engine has set."""
        self._writing = Lock()

    async def choose(self, experiment: str | None, measure: str | None = None, costs: Path | None = None) -> Chosen:
        """Return the measure that a user has named for an experiment; see `engine.jobs.measuring.chosen`.

        Args:
            experiment: its name; the newest one with contestants unless given.
            measure: its name; the one that is kept unless given.
            costs: a costs.toml; the costs that are kept unless given.

        Raises:
            NotFoundError: there is no such experiment.
            InputError: there is no such measure or class, or the file is no table of costs.

        """
        from engine.jobs.measuring import chosen

        return await asyncio.to_thread(lambda: chosen(self._store, self._named(experiment), measure, costs))

    async def keep(self, experiment: str | None, chosen: Chosen) -> bool:
        """Keep a measure with an experiment; return whether it is another one than before, False where nothing is kept.

        With `--readonly` nothing is.
        """
        from engine.jobs.measuring import keep

        if self._home.readonly:
            return False
        return await asyncio.to_thread(lambda: keep(self._store, self._named(experiment), *chosen))

    async def findings(
        self,
        experiment: str | None = None,
        terms: Terms | None = None,
        *,
        measure: bool = False,
        chosen: Chosen | None = None,
    ) -> Findings:
        """Return all that can be said of an experiment.

        Args:
            experiment: its name; the newest one with contestants unless told.
            terms: under which money is computed; the home's unless given.
            measure: look at the test images' brightness where it is not known yet, some milliseconds each.
            chosen: by which measure contestants are judged; the one that is kept with the experiment unless given.

        Raises:
            NotFoundError: there is no such experiment, or it has no contestants.
            InputError: contestants that cannot be compared, or a table of the home's that cannot be read.

        """
        return await asyncio.to_thread(self._findings, experiment, terms, measure, chosen)

    async def terms(self) -> Terms:
        """Return the home's terms: those that were set last, by which pilot, launch, results and reports compute.

        Raises:
            InputError: the home's prices or terms cannot be read.

        """
        return await asyncio.to_thread(self._terms)

    async def set_terms(self, terms: Terms) -> None:
        """Set the home's terms; of a home that is only read, or cannot be written, until this engine closes.

        Raises:
            InputError: they cannot be written.

        """
        self.own_terms = terms
        if not self._home.readonly:
            await asyncio.to_thread(self._write_terms)

    async def verify(self, experiment: str | None = None, *, every_file: bool = False) -> Verification:
        """Reckon an experiment's results again from what is stored, and say whether they still hold.

        Args:
            experiment: its name; the newest one with contestants unless told.
            every_file: look at each file of the data set; else at a sample.

        Raises:
            NotFoundError: there is no such experiment, or it has no contestants.

        """
        from engine.jobs.verifying import verify

        return await asyncio.to_thread(lambda: verify(self._store, self._home, self._named(experiment), every_file))

    def _named(self, experiment: str | None) -> str:
        name = experiment or self._store.experiments.latest()
        if name is None:
            raise NotFoundError("There is no experiment yet.", "Start one: dogcls-tui demo")
        return name

    def _findings(self, experiment: str | None, terms: Terms | None, measure: bool, chosen: Chosen | None) -> Findings:
        from engine.evaluation.findings import find
        from engine.jobs.evidence import evidence

        name = self._named(experiment)
        terms = terms or self._terms()
        try:
            return find(evidence(self._store, self._home, name, measure=measure, chosen=chosen), terms)
        except ValueError as error:
            raise InputError(f"{name}: {error}.", "Compare contestants of one experiment.") from error

    def _terms(self) -> Terms:
        from engine.azure.prices import load_prices
        from engine.evaluation.terms import load_terms

        return self.own_terms or load_terms(self._home.terms, load_prices(self._home.prices).machine)

    def _write_terms(self) -> None:
        """Write the terms that were set last: several may be set before the first is written."""
        from engine.azure.prices import load_prices
        from engine.evaluation.terms import written_terms

        try:
            with self._writing:
                text = written_terms(self.own_terms or self._terms(), load_prices(self._home.prices).machine)
                write_atomic(self._home.terms, text)
        except OSError as error:
            raise InputError(
                f"{self._home.terms}: {error.strerror}.", "Make room there, or make it writable."
            ) from error


def _render(found: Findings, form: str, references: bool) -> str:
    """Return findings as text; nothing heavy is loaded for a form that does not need it."""
    from engine.evaluation import exports, report

    if form == "html":
        from engine.datasets.data_uri import data_uri
        from engine.evaluation.page import page

        return page(found, data_uri, references=references)
    if form in ("table", "markdown"):
        return (report.table_of if form == "table" else report.markdown_of)(found, references=references)
    plain = {"json": exports.plain_json, "full-json": exports.full_json}
    if form in plain:
        return exports.as_text(plain[form](found))
    rows = {"csv": exports.contestants_csv, "csv-classes": exports.classes_csv, "csv-images": exports.images_csv}
    if form not in rows:
        raise InputError(f"{form}: no such format.", f"Choose one of: {', '.join(RESULT_FORMS)}.")
    return rows[form](found)
