"""The bench's client, its figures, its table and its guard. Its servers are not started."""

import itertools
import json
import os
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate

import pytest

from tools import ROOT
from tools.bench import client, documents, figures, published, rows, scale
from tools.bench.client import (
    Connection,
    Expected,
    Job,
    Samples,
    Stream,
    Target,
    Unexpected,
    cpu_nanoseconds,
    fetched,
    take_turns,
)
from tools.bench.figures import Figure, Ratio, Result
from tools.bench.rows import Call, Goal, Row
from tools.bench.servers import AIWORKER, GUARDED, HEADERS, JAVASCRIPT, MODELS, SDK, VARIABLES, Server

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
EMPTY = b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"


def whole(body: bytes, status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


@contextmanager
def server(*answers: list[bytes], closes: bool = False) -> Generator[int]:
    """Answer each request with the given parts, and yield the port. closes: end the connection each time."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        waiting = iter(answers)
        while True:
            try:
                client, _ = listening.accept()
            except OSError:
                return
            for parts in waiting:
                if not client.recv(65_536):
                    break
                for part in parts:
                    client.sendall(part)
                if closes:
                    break
            client.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield listening.getsockname()[1]
    listening.close()


# ---- the client ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parts", "body"),
    [
        ([whole(b"all of it")], b"all of it"),
        ([whole(b"all of it")[:20], whole(b"all of it")[20:]], b"all of it"),
        ([CHUNKED, b"3\r\nall\r\n", b"6\r\n of it\r\n0\r\n\r\n"], b"all of it"),
        ([CHUNKED + b"5\r\na\r\n0b\r\n0\r\n", b"\r\n"], b"a\r\n0b"),
        ([EMPTY], b""),
    ],
)
def test_an_answer_is_read_to_its_end_however_it_comes(parts: list[bytes], body: bytes) -> None:
    with server(parts) as port:
        answer = Connection("it", port).ask(b"GET / HTTP/1.1\r\n\r\n")
    assert answer.whole() == body
    assert 0 < answer.first <= answer.total


def test_a_connection_that_was_closed_meanwhile_is_made_anew() -> None:
    with server([whole(b"one")], [whole(b"two")], closes=True) as port:
        connection = Connection("it", port)
        assert connection.ask(b"GET / HTTP/1.1\r\n\r\n").body == b"one"
        connection._socket.recv(1, socket.MSG_PEEK)  # pyright: ignore[reportPrivateUsage] - until the close has come
        assert connection.ask(b"GET / HTTP/1.1\r\n\r\n").body == b"two"


def test_an_answer_that_breaks_off_is_no_measurement() -> None:
    with server([whole(b"all of it")[:-3]], closes=True) as port, pytest.raises(Unexpected, match="has closed"):
        fetched(port, "/")


@pytest.mark.parametrize(
    ("expected", "is_fine"),
    [
        (Expected(), True),
        (Expected((404, 200), "data: ", 2), True),
        (Expected((404,)), False),
        (Expected(marker="data: ", least=3), False),
    ],
)
def test_an_unexpected_answer_is_not_measured(expected: Expected, *, is_fine: bool) -> None:
    with server(*[[whole(b"data: 1\n\ndata: 2\n\n")]] * 2) as port:
        job = Job([Target("it", port, ["GET / HTTP/1.1\r\n\r\n"])], [expected], rounds=1)
        if is_fine:
            assert len(take_turns(job)["it"].total) == 1
        else:
            with pytest.raises(Unexpected, match="it has answered 200, 18 bytes"):
                take_turns(job)


def test_servers_take_turns_and_slow_ones_take_part_seldom() -> None:
    many = [[whole(b"x")]] * 13
    with server(*many) as one, server(*many) as other:
        targets = [
            Target("one", one, ["GET / HTTP/1.1\r\n\r\n"]),
            Target("other", other, ["GET / HTTP/1.1\r\n\r\n"], 3),
        ]
        samples = take_turns(Job(targets, [Expected()], rounds=9, warm_up=3))
    assert (len(samples["one"].total), len(samples["other"].total)) == (9, 3)


def test_the_processor_time_of_a_process_counts_what_it_computes() -> None:
    began, own = cpu_nanoseconds(os.getpid()), time.process_time_ns()
    sum(range(300_000))
    took = time.process_time_ns() - own
    assert 0 < took <= cpu_nanoseconds(os.getpid()) - began


def test_processor_time_is_that_of_the_measured_turns_with_what_follows_them(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = itertools.count(step=1_000_000)  # a millisecond from each turn to the next

    def tick(_: int) -> int:
        return next(ticks)

    monkeypatch.setattr(client, "cpu_nanoseconds", tick)
    with server(*[[whole(b"x")]] * 12) as port:
        target = Target("it", port, ["GET / HTTP/1.1\r\n\r\n"], every=2, process=1)
        samples = take_turns(Job([target], [Expected()], rounds=4, warm_up=3))["it"]
    assert (samples.cpu, len(samples.total)) == ([1.0, 1.0], 2)


def test_a_job_survives_its_file() -> None:
    job = Job([Target("it", 80, ["a\r\n"], 2, 7)], [Expected((200, 201), "m", 5)], 3, 1, 20, 500)
    assert Job.from_json(job.to_json()).to_json() == job.to_json()


def test_the_delay_of_a_frame_counts_from_its_writing_to_the_part_that_completes_it() -> None:
    frames = [b'{"response":"t1000000"}{"response":"t50', b'00000"}']  # the second frame comes in two parts
    head, last = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", b"0\r\n\r\n"
    parts = [head, *(b"%x\r\n%s\r\n" % (len(frame), frame) for frame in frames), last]
    ends = list(accumulate(map(len, parts)))
    stream = Stream(socket.socket(), bytearray(b"".join(parts)), ends, [0, 3_000_000, 9_000_000, 10_000_000])
    assert stream.delays() == [2.0, 4.0]
    assert stream.delays(since=2_000_000) == [4.0]
    assert stream.delays(until=2_000_000) == [2.0]
    stream.socket.close()


# ---- rows ------------------------------------------------------------------------------------------------------------


def test_requests_are_whole_and_carry_the_key() -> None:
    head, _, body = Call("POST", "/chat", {"prompt": "a"}).over_the_wire(8080).partition("\r\n\r\n")
    lines = head.split("\r\n")
    assert lines[0] == "POST /chat HTTP/1.1"
    assert f"content-length: {len(body)}" in lines
    assert f"authorization: {HEADERS['authorization']}" in lines
    assert json.loads(body) == {"prompt": "a"}


def test_the_key_that_is_sent_is_among_those_that_the_worker_knows() -> None:
    from aiworker.auth import access

    policy = access.Policy(access.parse_keys(VARIABLES["API_KEYS"]), "", None)

    class Request:
        method, path, origin = "POST", "/chat", "http://localhost"

        def header(self, name: str) -> str | None:
            return HEADERS.get(name)

    for scope in ("chat", "embed", "image", "rag:read"):
        assert access.identify(Request(), policy, scope, 0).has_scope(scope)  # pyright: ignore[reportArgumentType]


def test_every_row_has_aiworker_and_whomever_its_goals_name() -> None:
    selected = rows.rows()
    assert len({row.name for row in selected}) == len(selected)
    for row in selected:
        assert {AIWORKER, JAVASCRIPT, *(goal.peer for goal in row.goals)} <= {*row.servers}
        assert row.direct or MODELS not in row.servers


def test_a_server_that_does_not_run_takes_no_part() -> None:
    row = Row("work", "some work", [Call("GET", "/")], (JAVASCRIPT, AIWORKER))
    job = row.job({AIWORKER: Server(AIWORKER, 1, 2)}, 100)
    assert [(target.name, target.port, target.process) for target in job.targets] == [(AIWORKER, 1, 2)]


def test_the_routes_that_are_measured_are_those_of_the_worker() -> None:
    from aiworker.routes import ROUTES, find

    for row in rows.rows():
        for call in row.calls:
            if call.path != "/nothing":
                route, _ = find(call.method, call.path)
                assert route is ROUTES[route.path][call.method]


# ---- figures ---------------------------------------------------------------------------------------------------------


def result(own: float, goals: Sequence[Goal] = (), **peers: float) -> Result:
    cpu = {name.replace("_", "-"): each for name, each in peers.items()}
    shown = {name: Figure(2 * each, 3 * each, 9, each) for name, each in {AIWORKER: own, **cpu}.items()}
    return Result(
        "work", "some work", "total", shown, {name: Ratio.of([own], [each]) for name, each in cpu.items()}, goals
    )


@pytest.mark.parametrize(("share", "value"), [(50, 50), (95, 95), (100, 100), (0, 1), (0.5, 1)])
def test_a_percentile_is_one_of_the_values(share: float, value: float) -> None:
    assert figures.percentile([*range(100, 0, -1)], share) == value


def test_figures_are_of_the_samples() -> None:
    samples = {
        AIWORKER: Samples([3, 1, 2], [1, 1, 4], cpu=[2, 4, 6]),
        JAVASCRIPT: Samples([1, 1, 1], [1, 1, 1], cpu=[1, 2, 3]),
        MODELS: Samples([1], [1]),
    }
    total, first = figures.results(Row("work", "some work", [], (), measures=("total", "first")), samples)
    assert total.figures[AIWORKER] == Figure(2, 3, 3, 4)
    assert first.figures[AIWORKER] == Figure(1, 4, 3, None)
    assert total.ratios == {JAVASCRIPT: Ratio(2, 2, 2)}  # in pairs: each round took aiworker twice as much
    assert (total.name, first.name) == ("work", "work, first")


def test_the_interval_of_a_ratio_is_wide_where_the_samples_are() -> None:
    narrow, wide = Ratio.of([2, 2.1, 1.9] * 20, [1, 1, 1] * 20), Ratio.of([2, 4, 0.1] * 20, [1, 1, 1] * 20)
    assert narrow.low <= narrow.value <= narrow.high < wide.high
    assert wide.low < narrow.low


def test_peers_that_take_part_seldom_have_a_ratio_too() -> None:
    assert Ratio.of([2] * 10, [1] * 5) == Ratio(2, 2, 2)


@pytest.mark.parametrize(
    ("own", "verdict"), [(13.5, "≤ 1.35 of javascript: met"), (13.6, "≤ 1.35 of javascript: MISSED")]
)
def test_the_table_says_whether_a_goal_is_met(own: float, verdict: str) -> None:
    line = figures.table([result(own, [Goal(1.35, JAVASCRIPT)], javascript=10)]).splitlines()[2]
    assert verdict in line
    assert f"{own:.1f} ({2 * own:.1f})" in line
    assert f"{own / 10:.2f} ({own / 10:.2f} to {own / 10:.2f})" in line


def test_a_server_that_has_not_taken_part_has_an_empty_cell() -> None:
    both = [result(1, javascript=1), result(1, javascript=1, python_sdk=1)]
    head, _, line, _ = figures.table(both).splitlines()
    columns = [cell.strip() for cell in head.split("|")]
    assert line.split("|")[columns.index(SDK)].strip() == ""


def test_results_survive_their_file() -> None:
    made = result(6, [Goal(0.1, SDK)], javascript=10, python_sdk=100)
    assert Result.from_json(json.loads(json.dumps(made.to_json()))) == made


def test_the_guard_compares_processor_time_with_three_peers() -> None:
    made = result(6, javascript=10, javascript_guarded=12, python_sdk=100, hono=10)
    expected = {f"work / {JAVASCRIPT}": 0.6, f"work / {GUARDED}": 0.5, f"work / {SDK}": 0.06}
    assert figures.guarded_ratios([made]) == expected


def test_every_quick_row_has_recorded_ratios() -> None:
    recorded = figures.guarded_ratios(published.results())
    quick = {f"{row.name} / {JAVASCRIPT}" for row in rows.rows() if row.quick_rounds}
    assert quick <= recorded.keys()


def test_a_ratio_is_worse_from_thirty_per_cent_on() -> None:
    recorded = {"a": 1.0, "b": 1.0, "gone": 1.0}
    assert figures.worse({"a": 1.3, "b": 1.31}, recorded) == {"b": "b: 1.31, recorded 1.00: 1.31 times as much"}


def test_a_ratio_that_was_never_recorded_guards_nothing_and_fails() -> None:
    assert "none is recorded" in figures.worse({"new": 1.0}, {"a": 1.0})["new"]


def test_the_price_of_a_million_is_that_of_requests_and_processor_time() -> None:
    assert scale.dollars(cpu_ms=5) == pytest.approx(0.40)  # 0.30 and 5 million milliseconds at 0.02
    assert scale.dollars(cpu_ms=0, requests=2) == pytest.approx(0.60)


# ---- documents -------------------------------------------------------------------------------------------------------


@pytest.fixture
def database() -> Iterator[Callable[[str], list[tuple[object, ...]]]]:
    with sqlite3.connect(":memory:") as connection:
        for text in documents.made_from()[1:]:
            connection.executescript(text)
        connection.executescript(documents.made_from()[0])
        yield lambda query: connection.execute(query).fetchall()
    connection.close()


def test_the_documents_fit_the_tables_and_are_live(database: Callable[[str], list[tuple[object, ...]]]) -> None:
    live = "SELECT count(*) FROM chunks c JOIN documents d ON d.live_version = c.version"
    assert database(live) == [(documents.PASSAGES,)]


def test_words_find_some_passages_and_not_all(database: Callable[[str], list[tuple[object, ...]]]) -> None:
    for index in ("chunk_words", "passage_words"):
        [(count,)] = database(f"""SELECT count(*) FROM {index} WHERE {index} MATCH '{{heading text}} : "valve"'""")
        assert isinstance(count, int)
        assert 50 < count < documents.PASSAGES


def test_the_model_server_knows_how_many_passages_there_are() -> None:
    assert f"% {documents.PASSAGES}}}`" in (ROOT / "tools/bench/model_server/server.mjs").read_text()
