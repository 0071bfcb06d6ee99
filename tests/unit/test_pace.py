"""The pace of requests against simulated quotas, in simulated time."""

import heapq
import itertools

import pytest

from engine.azure.pace import Pace


class Windows:
    """Counts requests in windows of some seconds, and tokens in a minute, each from its first request on."""

    def __init__(self, capacity, *, window=10.0, minute=60.0, cost=150, headers=True, retry_after=True):
        self.cost, self.headers, self.retry_after = cost, headers, retry_after
        self.limits = {"requests": capacity * 6, "tokens": capacity * 1000}
        self.most = {"requests": max(1, int(capacity * 6 * window / minute)), "tokens": capacity * 1000}
        self.lengths = {"requests": window, "tokens": minute}
        self.since = dict.fromkeys(self.most, -1e9)
        self.used = dict.fromkeys(self.most, 0)

    def ask(self, now):
        """Return what is told: (headers, None), or (None, seconds to wait)."""
        takes = {"requests": 1, "tokens": self.cost}
        for name in self.most:
            if now >= self.since[name] + self.lengths[name]:
                self.since[name], self.used[name] = now, 0
            if self.used[name] + takes[name] > self.most[name]:
                return None, self.since[name] + self.lengths[name] - now if self.retry_after else None
        told = {}
        for name in self.most:
            self.used[name] += takes[name]
            if self.headers != "remaining":
                told[f"x-ratelimit-limit-{name}"] = str(self.limits[name])
            told[f"x-ratelimit-remaining-{name}"] = str(self.most[name] - self.used[name])
        return (told if self.headers else {}), None


class Trickle(Windows):
    """Two buckets that refill all the time: ten seconds' requests and a minute's tokens deep."""

    def ask(self, now):
        takes = {"requests": 1, "tokens": self.cost}
        for name, limit in self.limits.items():
            past = max(0.0, now - self.since[name])
            self.used[name] = max(0.0, self.used[name] - past * limit / 60)
            self.since[name] = now
            if self.used[name] + takes[name] > self.most[name]:
                return None, (self.used[name] + takes[name] - self.most[name]) / (limit / 60)
        told = {}
        for name in self.most:
            self.used[name] += takes[name]
            told[f"x-ratelimit-limit-{name}"] = str(self.limits[name])
            told[f"x-ratelimit-remaining-{name}"] = str(int(self.most[name] - self.used[name]))
        return told, None


class Free(Windows):
    """Tells limits that it does not keep to."""

    def ask(self, now):
        self.used = dict.fromkeys(self.most, 0)
        self.since = dict.fromkeys(self.most, -1e9)
        told, _ = super().ask(now)
        return told, None


def simulate(quota, count, *, most=64, latency=1.5, pace=None):
    """Score; return seconds, refusals and the most that were under way."""
    now = 0.0
    pace = pace or Pace(most)
    pace._now = lambda: now
    pace.most = most
    todo, ends, numbers, highest = count, [], itertools.count(), 0
    while todo or ends:
        wait = pace.wait() if todo else None
        if wait is not None and wait <= 0:
            ticket = pace.take()
            todo -= 1
            highest = max(highest, pace._under_way)
            headers, seconds = quota.ask(now)
            took = latency(pace._under_way) if callable(latency) else latency
            heapq.heappush(
                ends, (now + (took if headers is not None else 0.05), next(numbers), ticket, headers, seconds, took)
            )
            continue
        soonest = ends[0][0] if ends else float("inf")
        if wait is not None and now + wait < soonest:
            now += wait + 1e-4
            continue
        now, _, ticket, headers, seconds, took = heapq.heappop(ends)
        if headers is None:
            pace.went_badly(ticket, seconds)
            todo += 1
        else:
            pace.went_well(ticket, headers, tokens=quota.cost, latency_ms=took * 1000)
        pace.leave()
    return now, pace.refused, highest


def even(count, capacity, cost=150, latency=1.5, most=64):
    return count / min(capacity / 10, capacity * 1000 / 60 / cost, most / latency) + latency


@pytest.mark.parametrize("window", [1.0, 5.0, 10.0])
def test_requests_are_spread_evenly_and_none_is_refused(window):
    seconds, refused, _ = simulate(Windows(100, window=window), 1200)
    assert refused <= (8 if window == 1.0 else 0)  # nobody knows the limit of a second before the first answer
    assert seconds < 1.1 * even(1200, 100)


def test_tokens_are_spent_while_there_are_some():
    """At most the one that finds the minute's tokens spent is refused, with those that are under way."""
    seconds, refused, _ = simulate(Windows(100, cost=400), 1000)
    assert seconds < 1.1 * even(1000, 100, cost=400)
    assert refused <= 8


def test_what_remains_is_enough_to_know_the_limit():
    """Azure often tells no more."""
    seconds, refused, _ = simulate(Windows(100, headers="remaining"), 1200)
    assert (refused, seconds < 1.1 * even(1200, 100)) == (0, True)


def test_a_burst_is_refused_though_much_remains():
    class Bursts(Windows):
        """Counts by the second and tells of ten seconds; as reported of Azure."""

        second = (-1, 0)

        def ask(self, now):
            then, used = self.second
            self.second = (int(now), used + 1 if int(now) == then else 1)
            return (None, int(now) + 1 - now) if self.second[1] > 5 else super().ask(now)

    seconds, refused, _ = simulate(Bursts(50, headers="remaining"), 600)
    assert seconds < 1.15 * even(600, 50)
    assert refused <= 12


@pytest.mark.parametrize("retry_after", [True, False])
@pytest.mark.parametrize("window", [1.0, 10.0])
def test_without_headers_the_limit_is_found_from_refusals(window, retry_after):
    seconds, refused, _ = simulate(Windows(100, window=window, headers=False, retry_after=retry_after), 1200)
    assert seconds < (1.2 if retry_after else 1.5) * even(1200, 100)
    assert refused < 0.1 * 1200


def test_a_quota_that_trickles():
    seconds, refused, _ = simulate(Trickle(100), 1200)
    assert seconds < 1.1 * even(1200, 100)
    assert refused < 12


@pytest.mark.parametrize("minute", [0.25, 2.0])
def test_a_minute_that_is_shorter_than_one_is_noticed(minute):
    """As with an emulator in a hurry: what it tells by the minute is not what it means."""
    seconds, refused, _ = simulate(Windows(100, window=minute / 6, minute=minute), 2000, latency=0.02)
    assert seconds < 0.15 * 2000 / 10
    assert refused < 0.03 * 2000


def test_refusals_that_are_not_for_the_quota_slow_nothing_down():
    class Moody(Windows):
        asked = 0

        def ask(self, now):
            self.asked += 1
            return (None, 1.0) if self.asked % 10 == 0 else super().ask(now)

    seconds, refused, _ = simulate(Moody(1000), 450)
    assert 45 <= refused <= 50  # one request in ten
    assert seconds < 2.2 * refused  # each makes all wait for a second, and answers take a second and a half


def test_limits_that_are_told_and_not_kept_to():
    seconds, refused, _ = simulate(Free(100), 2000, latency=0.1)
    assert (refused, seconds < 10) == (0, True)  # at the told rate it would be 200 s


def test_what_one_scoring_has_learnt_serves_the_next():
    quota, pace = Windows(100, window=1.0), Pace(1)
    simulate(quota, 10, most=1, pace=pace)
    quota.since = dict.fromkeys(quota.most, -1e9)
    pace._next = pace._tokens_at = 0.0
    _, refused, _ = simulate(quota, 300, pace=pace)
    assert refused == 0


def test_more_at_once_while_answers_come_as_fast():
    _, _, highest = simulate(Windows(100_000), 2000, latency=1.0)
    assert highest == 64
    _, _, highest = simulate(Windows(100_000), 2000, latency=lambda under_way: 0.1 * under_way)
    assert highest < 32  # each more makes all the others wait


def test_a_long_wait_is_honoured():
    now = 0.0
    pace = Pace(4, now=lambda: now)
    ticket = pace.take()
    assert pace.went_badly(ticket, 86_400.0) >= 86_400
    pace.leave()
    assert pace.wait() >= 86_400


def test_refusals_of_one_moment_are_one_event():
    now = 0.0
    pace = Pace(8, now=lambda: now)
    tickets = [pace.take() for _ in range(8)]
    now = 1.0
    for ticket in tickets:
        pace.went_badly(ticket, 1.0)
        pace.leave()
    assert pace.refused == 8
    assert pace.limit >= 5  # not 8 / 2 ** 8


def test_one_request_at_a_time_while_nothing_is_answered():
    """A service whose waits are too short would else get eight requests after each of them."""
    now = 0.0
    pace = Pace(8, now=lambda: now)
    tickets = [pace.take() for _ in range(8)]
    for _ in range(2):
        for ticket in tickets:
            pace.went_badly(ticket, 0.1)
            pace.leave()
        now += 1.0
        tickets = [pace.take() for _ in range(pace.limit)]
    assert len(tickets) == 1
    assert pace.wait() is None
    pace.went_well(tickets[0], {})
    assert pace.limit > 1
