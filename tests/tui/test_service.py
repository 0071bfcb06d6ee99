"""What stands on the service, ours or not: looked into, cancelled, downloaded; and cleaning up."""

import asyncio
from pathlib import Path

import pytest

from engine import DogclsError, Engine, InputError, Leftover, Remote, RemoteItem, StandingCost
from tests.tui.conftest import AT
from tests.tui.looking import LOOKS, SIZES, footer, settled, shows, text_of, until
from tui.app import DogclsApp, Manners
from tui.screens import clean as clean_module
from tui.screens.dialogs import ConfirmScreen
from tui.screens.service import ItemScreen
from tui.widgets.jobs import JobTable

TUNED = "gpt-4o-2024-08-06.ft-0123-dogcls-9f3a"
ITEMS = [
    RemoteItem("batch", "batch_cats", "batch_cats", "in_progress", AT - 600, "12 of 400 requests", None),
    RemoteItem("batch", "batch_ours", "batch_ours", "completed", AT - 900, "20 of 20 requests", 1),
    RemoteItem("fine-tuning", "ftjob-ours", "ftjob-ours", "running", AT - 800, "gpt-4o-2024-08-06", 3),
    RemoteItem("file", "file-1", "colleagues[b]-cats.jsonl", "processed", AT - 700, "batch, 8.3 MB", None),
    RemoteItem("deployment", "pets", "pets", "Succeeded", None, TUNED, None),
]
OURS = [
    Leftover("deployment", "dogcls-ec7b", "dogcls-ec7b", TUNED, AT - 8_958, ""),
    Leftover("model", TUNED, TUNED, "", AT - 9_000, "deployed as dogcls-ec7b"),
    Leftover("model", "gpt-4o-2024-08-06.ft-9-dogcls-0", "gpt-4o-2024-08-06.ft-9-dogcls-0", "", AT - 90_000, ""),
    Leftover("file", "file-7", "dogcls-904e-round-1-train.jsonl", "fine-tune, 13.3 MB", AT - 9_100, ""),
    Leftover("file", "file-8", "dogcls-904e-round-1-val.jsonl", "fine-tune, 1.7 MB", AT - 9_100, "ftjob-3 needs it"),
    Leftover("file", "file-9", "dogcls-55aa-round-1-test.jsonl", "batch, 8.6 MB", AT - 9_200, ""),
]
THEIRS = [
    Leftover("deployment", "pets", "pets", TUNED, None, ""),
    Leftover("file", "file-1", "colleagues-cats.jsonl", "batch, 8.3 MB", AT, ""),
]


@pytest.fixture
def service(monkeypatch):
    """What is done to a service that stands still, in order."""
    acts = []

    async def items(self):
        return ITEMS

    async def leftovers(self, *, everybodys=False):
        gone = {name for act, name in acts if act == "delete"}
        return [item for item in [*(THEIRS[:1] if everybodys else []), *OURS, *(THEIRS[1:] if everybodys else [])]
                if item.id not in gone]  # fmt: skip

    async def delete(self, item_id, *, known_by=(), force=False):
        self._writing()
        if item_id == "file-9":
            raise DogclsError("file-9: [b]refused[/].", "Ask its owner.")
        acts.append(("delete", item_id))

    async def cancel(self, item_id):
        acts.append(("cancel", item_id))

    async def download(self, item_id, folder):
        acts.append(("download", str(folder)))
        return [folder / f"{item_id}-output.jsonl"]

    async def follow(self, item_id):
        yield "in_progress 12 of 400"
        await asyncio.sleep(0.3)
        yield "in_progress [b]13 of 400"
        await asyncio.sleep(3600)

    async def doctor(self):
        return []

    for name, fake in locals().copy().items():
        if name not in ("monkeypatch", "acts"):
            monkeypatch.setattr(Remote, name, fake)
    return acts


def table(app):
    return app.screen.query_one(JobTable)


async def choose(app, pilot, item_id):
    """Show the service's list, and put the cursor on one of it."""
    await pilot.press("4")
    await shows(pilot, "Log of")
    await pilot.press("v")
    await shows(pilot, "5 on the service")
    table(app).focus()
    await pilot.press("G")
    for _ in range(len(ITEMS)):
        if table(app).item is not None and table(app).item.id == item_id:
            return
        await pilot.press("k")
    raise AssertionError(item_id)


# -- one thing


@pytest.mark.parametrize("size", SIZES)
def test_list_and_details(done, service, snap_compare, size):
    async def go(pilot):
        await settled(pilot, "386/416")
        await choose(pilot.app, pilot, "batch_cats")
        await pilot.press("enter")
        await settled(pilot, "in_progress [b]13 of 400", "following", "not known to be ours")

    assert snap_compare(DogclsApp(done), terminal_size=size, run_before=go)


async def test_how_it_stands_is_followed_while_it_is_open(busy, service):
    app = DogclsApp(busy)
    async with app.run_test(size=(80, 24)) as pilot:
        await shows(pilot, "13/20")
        await choose(app, pilot, "batch_cats")
        await pilot.press("enter")
        await shows(pilot, "batch on the service", "in_progress 12 of 400", "in_progress [b]13 of 400", "following …")
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, ItemScreen), "the list")


async def test_an_end_and_an_error_are_told(busy, service, monkeypatch):
    async def follow(self, item_id):
        yield "completed 400 of 400"
        if item_id == "batch_cats":
            raise DogclsError("example.invalid: [i]gone.")

    monkeypatch.setattr(Remote, "follow", follow)
    app = DogclsApp(busy)
    async with app.run_test(size=(80, 24)) as pilot:
        await shows(pilot, "13/20")
        await choose(app, pilot, "batch_ours")
        await pilot.press("enter")
        await shows(pilot, "completed 400 of 400", "That is its end.", "of job 1 here", "d fetches · esc closes")
        await pilot.press("escape", "k", "enter")
        await shows(pilot, "example.invalid: [i]gone.", "c cancels")


async def test_what_we_did_not_start_is_cancelled_after_a_question(busy, service):
    app = DogclsApp(busy)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await shows(pilot, "13/20")
        await choose(app, pilot, "batch_cats")
        await until(pilot, lambda: "c cancel" in footer(app) and footer(app).rstrip().endswith("q quit"), "the keys")
        await pilot.press("c")
        await shows(pilot, "Cancel batch_cats?", "We did not start it.", "kept, and paid")
        await pilot.press("n")
        await until(pilot, lambda: not isinstance(app.screen, ConfirmScreen), "the list")
        assert service == []
        await pilot.press("enter")
        await shows(pilot, "c cancels")
        await pilot.press("c")
        await shows(pilot, "Cancel batch_cats?")
        await pilot.press("y")
        await until(pilot, lambda: service == [("cancel", "batch_cats")], "that it is cancelled")


async def test_what_belongs_to_a_job_that_runs_is_cancelled_with_it(busy, service):
    app = DogclsApp(busy)
    async with app.run_test(size=(80, 24)) as pilot:
        await shows(pilot, "13/20")
        await choose(app, pilot, "ftjob-ours")
        await pilot.press("c")
        await shows(pilot, "Cancel ftjob-ours?", "It belongs to job 3, which is cancelled with")
        await pilot.press("y")
        await until(pilot, lambda: busy.store.jobs.view(3).request == "cancel", "that the job is cancelled")
        assert service == []


async def test_what_was_made_is_downloaded_into_a_folder_that_is_told(busy, service, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    app = DogclsApp(busy)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await shows(pilot, "13/20")
        await choose(app, pilot, "batch_ours")
        await pilot.press("d")
        await shows(pilot, "Download into the folder")
        await pilot.press("ctrl+u", *"new/here", "enter")
        await shows(pilot, "1 file downloaded", "new/here/batch_ours-output.jsonl")
        assert Path("new/here").is_dir()  # noqa: ASYNC240
        assert service == [("download", "new/here")]


async def test_what_cannot_be_downloaded_says_why(busy, service, tmp_path, monkeypatch):
    async def download(self, item_id, folder):
        raise InputError(f"{item_id} has made no file yet.", "Wait for its end.")

    monkeypatch.setattr(Remote, "download", download)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").write_text("")
    app = DogclsApp(busy)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await shows(pilot, "13/20")
        await choose(app, pilot, "batch_cats")
        await pilot.press("d")
        await shows(pilot, "Download into the folder")
        await pilot.press("enter")
        await shows(pilot, "batch_cats has made no file yet", "Wait for its end.")
        await pilot.press("d")
        await shows(pilot, "Download into the folder")
        await pilot.press("ctrl+u", *"taken", "enter")
        await shows(pilot, "taken: File exists.")


async def test_readonly_looks_and_downloads_only(busy, service, home):
    engine = Engine(home.root, readonly=True)
    app = DogclsApp(engine)
    async with app.run_test(size=(80, 24)) as pilot:
        await shows(pilot, "13/20")
        await choose(app, pilot, "batch_cats")
        await until(pilot, lambda: "fetch" in footer(app), "the keys")
        assert "cancel" not in footer(app)
        await pilot.press("c", "x", "enter")
        await shows(pilot, "d fetches · esc closes")
        assert "cancels" not in text_of(app)
    engine.close()


async def test_a_deployment_of_somebody_elses_is_told_on_the_first_page(busy, service):
    app = DogclsApp(busy)
    async with app.run_test(size=(120, 40)) as pilot:
        await shows(pilot, "13/20")
        assert "not ours" not in text_of(app)
        await choose(app, pilot, "pets")
        await pilot.press("1")
        await shows(pilot, "$ pets", "not ours, $1.70/h")


# -- cleaning up


@pytest.mark.parametrize(("look", "size"), LOOKS)
def test_clean(done, service, snap_compare, monkeypatch, look, size):
    if look == "no-color":
        monkeypatch.setenv("NO_COLOR", "1")

    async def go(pilot):
        await settled(pilot, "386/416")
        await choose(pilot.app, pilot, "pets")
        await pilot.press("X")
        await settled(pilot, "dogcls-ec7b", "6 things", "1 deployment, 2 files", "$1.70")

    manners = Manners(theme="kennel-day" if look == "light" else "kennel", ascii=look == "ascii")
    assert snap_compare(DogclsApp(done, manners=manners), terminal_size=size, run_before=go)


@pytest.mark.parametrize("size", SIZES)
def test_clean_up_went_wrong(done, service, snap_compare, size):
    async def go(pilot):
        await settled(pilot, "386/416")
        pilot.app.action_clean()
        await settled(pilot, "6 things")
        await pilot.press("x")
        await settled(pilot, "Delete 3 things?")
        await pilot.press("y")
        await settled(pilot, "file-9: [b]refused[/].", "4 things")
        await pilot.press("G")
        pilot.app.clear_notifications()
        await settled(pilot, "Ask its owner")

    assert snap_compare(DogclsApp(done), terminal_size=size, run_before=go)


async def test_taken_out_and_in_and_deleted_after_a_yes(done, service):
    app = DogclsApp(done)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await shows(pilot, "386/416")
        app.action_clean()
        await shows(pilot, "Taken: 1 deployment, 2 files", "saves $1.70 an hour", "kept: deployed as dogcls-ec7b")
        await until(pilot, lambda: footer(app).rstrip().endswith("q quit"), "all keys")
        await pilot.press("space")
        await shows(pilot, "Taken: 2 files")
        await pilot.press("enter", "j", "space")  # what is kept cannot be taken
        await shows(pilot, "Taken: 1 deployment, 2 files", "It is kept: deployed as")
        await pilot.press("G", "space", "k", "space")
        await shows(pilot, "Taken: 1 deployment, 1 file")
        await pilot.press("x")
        await shows(pilot, "Delete 2 things?", "saves $1.70 an hour", "cannot be undone")
        await pilot.press("n")
        await until(pilot, lambda: not isinstance(app.screen, ConfirmScreen), "the list")
        assert service == []
        await pilot.press("x")
        await shows(pilot, "Delete 2 things?")
        await pilot.press("y")
        await until(pilot, lambda: [i for _, i in service] == ["dogcls-ec7b", "file-7"], "that both are deleted")
        await shows(pilot, "4 things", "2 things deleted.", "Nothing is taken")
        await pilot.press("x")
        await pilot.pause()
        assert not isinstance(app.screen, ConfirmScreen)  # nothing is taken
        await pilot.press("escape")
        await shows(pilot, "Experiments")


async def test_one_that_cannot_be_deleted_keeps_no_other_from_it(done, service):
    app = DogclsApp(done)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await shows(pilot, "386/416")
        app.action_clean()
        await shows(pilot, "Taken: 1 deployment, 2 files")
        await pilot.press("x", "y")
        await shows(pilot, "1 of 3 could not be deleted", "file-9: [b]refused[/]")
        assert [i for _, i in service] == ["dogcls-ec7b", "file-7"]


async def test_what_the_service_is_slow_to_let_go_is_told_until_it_is_gone(done, service, monkeypatch):
    gone = []

    async def leftovers(self, *, everybodys=False):
        return OURS[1:] if gone else OURS

    monkeypatch.setattr(Remote, "leftovers", leftovers)
    monkeypatch.setattr(clean_module, "AGAIN_SECONDS", 0.1)
    app = DogclsApp(done)
    async with app.run_test(size=(120, 40)) as pilot:
        await shows(pilot, "386/416")
        app.action_clean()
        await shows(pilot, "Taken: 1 deployment, 2 files")
        await pilot.press("G", "space", "k", "k", "space", "x")
        await shows(pilot, "Delete 1 deployment?")
        await pilot.press("y")
        await shows(pilot, "deleted; the service still lists it", "6 things", "Nothing is taken")
        gone.append(1)
        await shows(pilot, "5 things")
        assert "deleted;" not in text_of(app)


@pytest.fixture
def standing(busy, monkeypatch):
    """A deployment of ours lives; return the jobs whose deployment was deleted by the book."""
    booked = []

    async def costs(self):
        return [] if booked else [StandingCost(4, "dogs", "dogcls-ec7b", AT, 1.7, 5.1)]

    async def delete_deployment(self, job_id, *, force=False):
        booked.append(job_id)

    monkeypatch.setattr(type(busy.browse), "standing", costs)
    monkeypatch.setattr(Engine, "delete_deployment", delete_deployment)
    return booked


async def test_our_own_deployments_are_deleted_by_the_book(busy, service, standing):
    app = DogclsApp(busy)
    async with app.run_test(size=(80, 24)) as pilot:
        await shows(pilot, "13/20", "$1.70/h")
        app.action_clean()
        await shows(pilot, "Taken: 1 deployment, 2 files")
        await pilot.press("G", "space", "k", "k", "space", "x")
        await shows(pilot, "Delete 1 deployment?")
        await pilot.press("y")
        await until(pilot, lambda: standing == [4], "that its job is told")
        assert service == []


async def test_a_job_whose_deployment_lives_can_delete_it_from_the_table(busy, service, standing):
    app = DogclsApp(busy, room="monitor")
    async with app.run_test(size=(80, 24)) as pilot:
        await shows(pilot, "Log of fine-tune 3", "$1.70/h")
        await pilot.press("j")
        await shows(pilot, "Log of deploy 4")
        await until(pilot, lambda: "x delete" in footer(app), "the key")
        await pilot.press("x")
        await shows(pilot, "Delete deployment dogcls-ec7b?", "$5.10")
        await pilot.press("y")
        await until(pilot, lambda: standing == [4], "that it is deleted")


async def test_of_other_tools_nothing_is_taken_unasked(done, service):
    app = DogclsApp(done)
    async with app.run_test(size=(80, 24)) as pilot:
        await shows(pilot, "386/416")
        app.action_clean()
        await shows(pilot, "Clean up: ours", "6 things")
        await pilot.press("a")
        await shows(pilot, "Clean up: everybody's", "8 things", "○  deployment  pets", "Taken: 1 deployment, 2 files")
        await pilot.press("G", "space")
        await shows(pilot, "Taken: 1 deployment, 3 files")
        await pilot.press("a")
        await shows(pilot, "Clean up: ours", "6 things", "Taken: 1 deployment, 2 files")


async def test_readonly_only_lists(done, service, home):
    engine = Engine(home.root, readonly=True)
    app = DogclsApp(engine)
    async with app.run_test(size=(80, 24)) as pilot:
        await shows(pilot, "386/416")
        app.action_clean()
        await shows(pilot, "only to look at (--readonly)", "$1.70/h", "Nothing is taken")
        assert "delete" not in footer(app) and "take" not in footer(app)
        await pilot.press("space", "x")
        await pilot.pause()
        assert not isinstance(app.screen, ConfirmScreen)
        assert "Nothing is taken" in text_of(app)
    assert service == []
    engine.close()


async def test_a_service_that_does_not_answer(done, service, monkeypatch):
    async def leftovers(self, *, everybodys=False):
        raise DogclsError("example.invalid: no [b]answer.", "Check the network.")

    monkeypatch.setattr(Remote, "leftovers", leftovers)
    app = DogclsApp(done)
    async with app.run_test(size=(80, 24)) as pilot:
        await shows(pilot, "386/416")
        app.action_clean()
        await shows(pilot, "could not be asked; r asks again", "example.invalid: no [b]answer.", "Check the network.")


@pytest.mark.parametrize("size", [(20, 5), (40, 12), (300, 80)])
async def test_any_size(done, service, size):
    app = DogclsApp(done)
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: app.opened.is_set(), "the engine")
        app.action_clean()
        await until(pilot, lambda: app.current_mode == "clean", "the page")
        await pilot.resize_terminal(81, 25)
        await shows(pilot, "Taken: 1 deployment, 2 files")
