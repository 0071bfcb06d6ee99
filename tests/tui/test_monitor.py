"""All jobs, live, and their logs; driven by keys."""

import asyncio

import pytest

from engine import Again, Browser, Engine, Remote, RemoteItem
from engine.jobs.again import PaidAgain
from tests.tui.looking import footer, shows, text_of, until
from tui.app import DogclsApp
from tui.screens import monitor as monitor_module
from tui.screens.dialogs import ConfirmScreen
from tui.widgets.jobs import JobTable
from tui.widgets.logview import PAGE, LogView


@pytest.fixture
def monitor(busy):
    return DogclsApp(busy, room="monitor")


def table(app):
    return app.screen.query_one(JobTable)


def log(app):
    return app.screen.query_one(LogView)


async def test_it_follows_what_runs_until_the_reader_moves(monitor):
    async with monitor.run_test(size=(80, 24)) as pilot:
        await shows(pilot, "Log of fine-tune 3", "Step 120", "following what runs")
        await pilot.press("j")
        await shows(pilot, "Log of deploy 4")
        await until(pilot, lambda: "Step 120" not in text_of(monitor), "only its log")
        await pilot.press("k", "k")
        await shows(pilot, "Log of probe 2")
        await pilot.press("G")
        await shows(pilot, "resume goes on from here")
        await pilot.press("f")
        await shows(pilot, "Log of fine-tune 3")


async def test_cancel_asks_first(monitor, busy):
    async with monitor.run_test(size=(80, 24)) as pilot:
        await shows(pilot, "Log of fine-tune 3")
        await pilot.press("c")
        await shows(pilot, "Cancel fine-tune 3?", "paid for")
        await pilot.press("n")
        await until(pilot, lambda: not isinstance(monitor.screen, ConfirmScreen), "the board")
        assert busy.store.jobs.view(3).request is None
        await pilot.press("c")
        await shows(pilot, "Cancel fine-tune 3?")
        await pilot.press("y")
        await shows(pilot, "cancelling")
        assert busy.store.jobs.view(3).request == "cancel"


async def test_what_is_left_on_the_service_of_a_failed_job_is_cancelled(monitor, busy, spawned):
    with busy.store.db.transaction() as db:
        db.execute("UPDATE jobs SET state = 'failed', pid = NULL WHERE id = 3")
    busy.store.jobs.intend(3, "fine-tune", "round-1")
    busy.store.jobs.made(3, "fine-tune", "round-1", "ftjob-left")
    async with monitor.run_test(size=(80, 24)) as pilot:
        await shows(pilot, "Log of")
        await pilot.press("g", "j", "j")
        await shows(pilot, "Log of fine-tune 3")
        await until(pilot, lambda: "cancel" in footer(monitor), "the key")
        await pilot.press("c")
        await shows(pilot, "Cancel fine-tune 3?", "ftjob-left is", "cancelled on the service")
        await pilot.press("y")
        await shows(pilot, "◌ cancellin")
        assert busy.store.jobs.get(3).state == "cancelling"
        assert [arguments[-2] for arguments in spawned] == ["3"]
        assert "cancel" not in footer(monitor), "it is being cancelled"
        busy.store.jobs.describe(3, "cancelling on the service", "Not cancelled on the service yet: 403")
        await until(pilot, lambda: "cancel" in footer(monitor), "that another worker can be started")


async def test_what_is_paid_again_is_shown_before_a_resume(monitor, busy, spawned, monkeypatch):
    with busy.store.db.transaction() as db:
        db.execute("UPDATE jobs SET state = 'failed', pid = NULL WHERE id = 3")
    lines = (PaidAgain(3, "another fine-tuning job is created", None),)

    async def again(self, job_id, retry=None):
        return Again((busy.store.jobs.view(job_id),), lines, False)

    monkeypatch.setattr(Browser, "again", again)
    async with monitor.run_test(size=(80, 24)) as pilot:
        await shows(pilot, "Log of")
        await pilot.press("g", "j", "j")
        await shows(pilot, "Log of fine-tune 3")
        await pilot.press("r")
        await shows(pilot, "Resume fine-tune 3 for an unknown price?", "another fine-tuning job")
        await pilot.press("n")
        await until(pilot, lambda: not isinstance(monitor.screen, ConfirmScreen), "the board")
        assert busy.store.jobs.get(3).state == "failed"


async def test_pause_and_resume(monitor, busy, spawned):
    async with monitor.run_test(size=(80, 24)) as pilot:
        await shows(pilot, "Log of fine-tune 3")
        await pilot.press("p")
        await shows(pilot, "pausing")
        await pilot.press("G")
        await shows(pilot, "Log of train 6")
        await until(pilot, lambda: "resume" in footer(monitor), "the key")
        await pilot.press("r")
        await until(pilot, lambda: busy.store.jobs.view(6).state == "queued", "that it is taken up")
        assert [arguments[-2:] for arguments in spawned] == [["6", "2"]]


async def test_what_a_batch_left_unanswered_is_asked_again(monitor, busy, spawned, monkeypatch):
    with busy.store.db.transaction() as db:
        db.execute("""UPDATE jobs SET result = '{"images": 20, "unanswered": 3}', parameters = '{}' WHERE id = 1""")
    wanted = []

    async def again(self, job_id, retry=None):
        wanted.append((job_id, retry))
        view = busy.store.jobs.view(job_id)
        return Again((view,), (PaidAgain(job_id, f"3 images are queried again, {retry}", 0.0021),), True)

    async def resume(self, job_id, retry=None, corrections=()):
        wanted.append(("resume", job_id, retry))
        return [job_id]

    monkeypatch.setattr(Browser, "again", again)
    monkeypatch.setattr(Engine, "resume", resume)
    async with monitor.run_test(size=(80, 24)) as pilot:
        await shows(pilot, "Log of fine-tune 3")
        await pilot.press("g")
        await shows(pilot, "Log of batch 1")
        await until(pilot, lambda: "resume" in footer(monitor), "the key")
        await pilot.press("r")
        await shows(pilot, "3 images have no answer", "in a smaller batch", "in real time")
        await pilot.press("escape")
        await pilot.press("r")
        await shows(pilot, "3 images have no answer")
        await pilot.press("j", "enter")
        await shows(pilot, "Resume batch 1 for about $0.0021?", "3 images are queried again", "emulator's")
        assert ("resume", 1, "realtime") not in wanted
        await pilot.press("y")
        await until(pilot, lambda: wanted == [(1, "realtime"), ("resume", 1, "realtime")], "that it is taken up")


async def test_only_keys_that_would_do_something_are_offered(monitor):
    async with monitor.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "cancel" in footer(monitor) and "resume" not in footer(monitor), "the keys")
        await pilot.press("g")
        await until(pilot, lambda: "help" in footer(monitor) and "cancel" not in footer(monitor), "fewer keys")
        await pilot.press("c")
        await pilot.pause()
        assert not isinstance(monitor.screen, ConfirmScreen)


async def test_readonly_offers_and_does_nothing(busy, home):
    engine = Engine(home.root, readonly=True)
    app = DogclsApp(engine, room="monitor")
    async with app.run_test(size=(80, 24)) as pilot:
        await shows(pilot, "Log of fine-tune 3")
        await until(pilot, lambda: "details" in footer(app), "the keys")
        assert not {"cancel", "pause", "resume", "delete"} & set(footer(app).split())
        await pilot.press("c", "p", "r", "x", "y")
        await pilot.pause()
        assert not isinstance(app.screen, ConfirmScreen)
    assert busy.store.jobs.view(3).request is None
    engine.close()


async def test_details_in_tabs(monitor, busy):
    busy.home.job_log(busy.store.jobs.get(3)).write_text("Warning: \x1b[31m[b]printed[/] by a library")
    async with monitor.run_test(size=(80, 24)) as pilot:
        await shows(pilot, "Log of fine-tune 3")
        await pilot.press("enter")
        await shows(pilot, "Checkpoints", "Step 120")
        await pilot.press("left_square_bracket")
        await shows(pilot, "attempts", "120 of 214")
        await pilot.press("right_square_bracket", "right_square_bracket")
        await shows(pilot, "Warning: [b]printed[/] by a library")
        await pilot.press("right_square_bracket")
        await shows(pilot, "No checkpoints")
        await pilot.press("right_square_bracket")
        await shows(pilot, "jobs/3")
        await pilot.press("escape")
        await shows(pilot, "Log of fine-tune 3")


async def test_a_long_log_is_read_by_the_page(monitor, busy):
    with busy.store.db.transaction() as db:
        db.executemany(
            "INSERT INTO job_events (job_id, attempt, at, level, message) VALUES (3, 1, 0, ?, ?)",
            [("error" if n % 1000 == 7 else "info", f"line number {n} of many") for n in range(20_000)],
        )
    async with monitor.run_test(size=(80, 24), notifications=True) as pilot:
        await shows(pilot, "line number 19999", "following")
        await pilot.press("tab", "g")
        await shows(pilot, "created fine-tuning job")
        assert len(log(monitor)._pages) * PAGE < 5_000
        await pilot.press("slash", *"number 12345", "enter")
        await shows(pilot, "line number 12345", "/number 12345")
        await pilot.press("L")
        await shows(pilot, "warnings and errors")
        await pilot.press("g")
        await shows(pilot, "line number 7 of", "line number 3007")
        assert "line number 8 of" not in text_of(monitor)
        await pilot.press("slash", *"nowhere at all", "enter")
        await shows(pilot, "No line has")


async def test_search_goes_on_in_both_directions(monitor):
    async with monitor.run_test(size=(80, 24)) as pilot:
        await shows(pilot, "Step 120")
        await pilot.press("tab", "g", "slash", *"step 1", "enter")
        await until(pilot, lambda: log(monitor).cursor == 3, "Step 10")
        await pilot.press("n")
        await until(pilot, lambda: log(monitor).cursor == 12, "Step 100")
        await pilot.press("N")
        await until(pilot, lambda: log(monitor).cursor == 3, "Step 10 again")
        await pilot.press("N")
        await until(pilot, lambda: log(monitor).cursor == 14, "the last one: it goes round")


async def test_wrap_shows_all_of_a_long_line(monitor, busy):
    busy.store.jobs.log(3, "begin " + "x" * 10_000 + " end")
    async with monitor.run_test(size=(80, 24)) as pilot:
        await shows(pilot, "begin")
        assert "x end" not in text_of(monitor)
        await pilot.press("w")
        await shows(pilot, "x end")
        await pilot.press("w")
        await shows(pilot, "begin")


async def test_copy_and_save(monitor, busy, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    async with monitor.run_test(size=(80, 24), notifications=True) as pilot:
        await shows(pilot, "Step 120")
        await pilot.press("tab", "G", "k", "Y")
        await shows(pilot, "Sent to your terminal")
        assert (busy.home.root / "clipboard.txt").read_text() == "Step 120: training loss=0.0083"
        assert (busy.home.root / "clipboard.txt").stat().st_mode & 0o077 == 0
        await pilot.press("S")
        await shows(pilot, "Save the log as")
        await pilot.press("enter")
        await until(pilot, lambda: (tmp_path / "job-3.log").exists(), "the file")
        assert "Step 50: training loss" in (tmp_path / "job-3.log").read_text()


async def test_what_stands_on_the_service(monitor, busy, monkeypatch):
    deleted = []

    async def remote(self):
        return [
            RemoteItem("deployment", "old-one", "old-one", "Succeeded", None, "gpt-4o.ft-1", None),
            RemoteItem("batch", "batch_1", "batch_1", "completed", 1_789_999_000.0, "20 of 20 requests", 1),
        ]

    async def delete(self, item_id, **options):
        deleted.append(item_id)

    monkeypatch.setattr(Remote, "items", remote)
    monkeypatch.setattr(Remote, "delete", delete)
    async with monitor.run_test(size=(120, 40)) as pilot:
        await shows(pilot, "Log of fine-tune 3")
        await pilot.press("v")
        await shows(pilot, "old-one", "batch_1", "2 on the service")
        table(monitor).focus()
        await pilot.press("G", "k", "x")
        await shows(pilot, "Delete deployment old-one?", "not known to be ours")
        await pilot.press("y")
        await until(pilot, lambda: deleted == ["old-one"], "that it is deleted")


async def test_a_dead_network_is_a_message_and_no_freeze(monitor, monkeypatch):
    from engine import DogclsError

    async def remote(self):
        raise DogclsError("example.invalid: no answer.", "Check the network.")

    monkeypatch.setattr(Remote, "items", remote)
    async with monitor.run_test(size=(80, 24), notifications=True) as pilot:
        await shows(pilot, "Log of fine-tune 3")
        await pilot.press("v")
        await shows(pilot, "example.invalid: no answer.", "the service does not answer")
        await pilot.press("g")
        await shows(pilot, "Log of batch 1")


async def test_a_slow_answer_is_waited_for_however_often_one_looks(monitor, monkeypatch):
    from engine import DogclsError

    go_on, asked = asyncio.Event(), []

    async def remote(self):
        asked.append(1)
        await go_on.wait()
        raise DogclsError("example.invalid: no answer within 20 seconds.")

    monkeypatch.setattr(Remote, "items", remote)
    monkeypatch.setattr(monitor_module, "SERVICE_SECONDS", 0.05)
    async with monitor.run_test(size=(80, 24)) as pilot:
        await shows(pilot, "Log of fine-tune 3")
        await pilot.press("v")
        await shows(pilot, "asking the service")
        await pilot.pause(0.5)  # ten more looks are due meanwhile
        assert len(asked) == 1
        go_on.set()
        await shows(pilot, "the service does not answer")


async def test_500_jobs(busy):
    from engine.store.experiments import NewJob

    for n in range(100):
        name = f"more-{n:03}"
        busy.store.experiments.add(
            name, dataset="dogs", profile="demo", spec="", contestants=[], jobs=[NewJob("deploy", {})] * 5
        )
    for view in busy.store.jobs.views():
        if view.experiment.startswith("more"):
            busy.store.jobs.change(view.id, "cancelled", expected=("waiting",), message="cancelled")
    app = DogclsApp(busy, room="monitor")
    async with app.run_test(size=(120, 40)) as pilot:
        await shows(pilot, "Log of fine-tune 3")
        await pilot.press("g")
        await shows(pilot, "more-099")
        assert table(app).row_count == 506
