"""The bench's client, its figures, its table and its guard. Its servers are not started."""

import json
import socket
import sqlite3
import threading
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import accumulate

import pytest

from tools import ROOT
from tools.bench import documents, figures, rows, scale
from tools.bench.client import Connection, Expected, Job, Samples, Stream, Target, Unexpected, fetched, take_turns
from tools.bench.figures import Figure, Result
from tools.bench.rows import Call, Goal, Row
from tools.bench.servers import AIWORKER, HEADERS, JAVASCRIPT, MODELS, SDK, VARIABLES

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
    with server([whole(b"data: 1\n\ndata: 2\n\n")] * 1) as port:
        job = Job([Target("it", port, ["GET / HTTP/1.1\r\n\r\n"])], [expected], rounds=1)
        if is_fine:
            assert len(take_turns(job)["it"].total) == 1
        else:
            with pytest.raises(Unexpected, match="it has answered 200, 18 bytes"):
                take_turns(job)


def test_servers_take_turns_and_slow_ones_take_part_seldom() -> None:
    many = [[whole(b"x")]] * 12
    with server(*many) as one, server(*many) as other:
        targets = [
            Target("one", one, ["GET / HTTP/1.1\r\n\r\n"]),
            Target("other", other, ["GET / HTTP/1.1\r\n\r\n"], 3),
        ]
        samples = take_turns(Job(targets, [Expected()], rounds=9, warm_up=3))
    assert (len(samples["one"].total), len(samples["other"].total)) == (9, 3)


def test_a_job_survives_its_file() -> None:
    job = Job([Target("it", 80, ["a\r\n"], 2)], [Expected((200, 201), "m", 5)], 3, 1, 20, 500)
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
    selected = rows.rows("key.png")
    assert len({row.name for row in selected}) == len(selected)
    for row in selected:
        named = {goal.peer for goals in row.goals.values() for goal in goals}
        assert {AIWORKER, JAVASCRIPT, *named} <= {*row.servers}
        assert row.direct or MODELS not in row.servers


def test_the_routes_that_are_measured_are_those_of_the_worker() -> None:
    from aiworker.routes import ROUTES, find

    for row in rows.rows(f"{'0' * 64}.png"):
        for call in row.calls:
            if call.path != "/nothing":
                route, _ = find(call.method, call.path)
                assert route is ROUTES[route.path][call.method]


# ---- figures ---------------------------------------------------------------------------------------------------------


def row(goals: Mapping[str, Sequence[Goal]]) -> Row:
    return Row("work", "some work", [], (), goals)


def result(own: float, goals: list[Goal], measure: str = "total", **peers: float) -> Result:
    times = {AIWORKER: own, **{name.replace("_", "-"): time for name, time in peers.items()}}
    return Result(row({measure: goals}), measure, {name: Figure(time, time, 9) for name, time in times.items()})


@pytest.mark.parametrize(("share", "value"), [(50, 50), (95, 95), (100, 100), (0, 1), (0.5, 1)])
def test_a_percentile_is_one_of_the_values(share: float, value: float) -> None:
    assert figures.percentile([*range(100, 0, -1)], share) == value


def test_figures_are_of_the_samples() -> None:
    samples = {AIWORKER: Samples([3, 1, 2], [1, 1, 4]), JAVASCRIPT: Samples([1, 1, 1], [1, 1, 1])}
    total, first = figures.results(row({"total": [], "first": []}), samples)
    assert (total.figures[AIWORKER].median, total.figures[AIWORKER].p95, total.figures[AIWORKER].runs) == (2, 3, 3)
    assert (total.ratio(), first.ratio()) == (2, 1)
    assert (total.name, first.name) == ("work", "work, first")


@pytest.mark.parametrize(
    ("goal", "own", "verdict"),
    [
        (Goal(1.35), 13.5, "1.35, met"),
        (Goal(1.35), 13.6, "1.36, MISSED"),
        (Goal(2, is_difference=True), 12.0, "+2.00 ms, met"),
        (Goal(2, is_difference=True), 12.1, "+2.10 ms, MISSED"),
        (Goal(0.1, SDK), 10.0, "0.10, met"),
    ],
)
def test_the_table_says_whether_a_goal_is_met(goal: Goal, own: float, verdict: str) -> None:
    shown = figures.table([result(own, [goal], javascript=10, python_sdk=100)], [JAVASCRIPT, SDK, AIWORKER])
    assert verdict in shown.splitlines()[2]


def test_a_server_that_has_not_taken_part_is_a_dash() -> None:
    shown = figures.table([result(1, [], javascript=1)], [JAVASCRIPT, SDK, AIWORKER])
    assert shown.splitlines()[2].split("|")[3].strip() == "–"


def test_only_ratios_of_whole_times_are_recorded() -> None:
    results = [result(6, [Goal(0.1, SDK)], javascript=10, python_sdk=100), result(1, [], "first", javascript=1)]
    assert figures.ratios(results) == {"work / javascript": 0.6, "work / python-sdk": 0.06}


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
