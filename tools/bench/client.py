"""The client of the bench, a program of its own, so that nothing else delays what it measures.

python -m tools.bench.client JOB RESULT     reads the job (JSON) and writes what it has measured (JSON)

Plain sockets, one connection for each server. The servers take turns, request by request, so that other work of the
machine affects all of them alike. Processor time is that of a server's whole process from one of its turns to the next,
so that what it does after a response counts as well.
"""

import json
import random
import re
import select
import socket
import struct
import sys
import time
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import accumulate
from pathlib import Path

PART = 262_144
"""Largest number of bytes received at a time."""
SECONDS = 60
"""Longest wait for a part of a response."""
END_OF_HEAD = b"\r\n\r\n"
END_OF_CHUNKS = b"0\r\n\r\n"
STAMP = re.compile(rb'"t(\d+)"')
"""Matches the text of a frame of tools/bench/model_server: the time at which it was written."""
LAST_KEY = "{key}"
"""Placeholder in a request for the key of the image that the request before it has stored."""
KEY = re.compile(rb'"key": ?"([^"]+)"')


class Unexpected(Exception):  # noqa: N818 - a sentence for whoever runs the bench
    """A server has sent an unexpected response. The message describes it."""


@dataclass(frozen=True)
class Expected:
    """The response that a request has to get, so that failures are not measured as work."""

    statuses: Sequence[int] = (200,)
    marker: str = ""
    least: int = 1
    """Least number of times that the marker must be in the response."""

    def check(self, server: str, answer: "Answer") -> None:
        """Check a response. Raises Unexpected."""
        body = answer.whole()
        count = body.count(self.marker.encode())
        if answer.status not in self.statuses or count < self.least:
            raise Unexpected(
                f"{server} has answered {answer.status}, {len(body):,} bytes, {count} of {self.least} {self.marker}: "
                f"{body[:300].decode(errors='replace')} … {body[-300:].decode(errors='replace')}"
            )


@dataclass(frozen=True)
class Target:
    """A server, and the requests of one piece of work in their order."""

    name: str
    port: int
    requests: Sequence[str]
    """Requests as bytes of HTTP/1.1."""
    every: int = 1
    """The target takes part in every n-th round."""
    process: int = 0
    """Process id of the server, whose processor time is measured; 0 for none."""


@dataclass(frozen=True)
class Job:
    targets: Sequence[Target]
    expected: Sequence[Expected]
    """Expected response of each request of a piece of work."""
    rounds: int
    warm_up: int = 0
    clients: int = 1
    """Number of clients at once. With more than one, the delays of the frames are measured."""
    settle_ms: int | None = None
    """Count frames from this many milliseconds after the last stream began until the first one ends; None for all."""

    @classmethod
    def from_json(cls, text: str) -> "Job":
        data = json.loads(text)
        targets = [Target(**each) for each in data.pop("targets")]
        return cls(targets, [Expected(**each) for each in data.pop("expected")], **data)

    def to_json(self) -> str:
        return json.dumps(asdict(self))


@dataclass
class Samples:
    """Milliseconds of each piece of work; sums if it has several requests."""

    total: list[float] = field(default_factory=list[float])
    first: list[float] = field(default_factory=list[float])
    """Milliseconds until the first byte of the body."""
    delay: list[float] = field(default_factory=list[float])
    """Milliseconds of each frame from the model's write to its arrival here."""
    cpu: list[float] = field(default_factory=list[float])
    """Milliseconds of processor time, all threads of the server's process together."""


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    total: int
    """Nanoseconds until the first byte of the body."""
    first: int

    def whole(self) -> bytes:
        """The body without the sizes of chunks."""
        return _without_chunks(self.body) if self.body.endswith(END_OF_CHUNKS) else self.body


# ---- one request after the other -------------------------------------------------------------------------------------


class Connection:
    """A connection that is kept for the next request, and made again if the server has closed it."""

    def __init__(self, name: str, port: int) -> None:
        """name: the server's name, for messages."""
        self._name = name
        self._port = port
        self._socket = connected(port)

    def ask(self, request: bytes) -> Answer:
        self._reconnect_if_closed()
        began = time.perf_counter_ns()
        self._socket.sendall(request)
        head, body = self._head()
        first = time.perf_counter_ns() if body else 0
        parts = [body]
        left = _Remainder(head, body)
        while left(parts):
            parts.append(self._received())
            first = first or time.perf_counter_ns()
        ended = time.perf_counter_ns()
        return Answer(int(head[9:12]), b"".join(parts), ended - began, (first or ended) - began)

    def close(self) -> None:
        self._socket.close()

    def _head(self) -> tuple[bytes, bytes]:
        received = b""
        while END_OF_HEAD not in received:
            received += self._received()
        head, _, body = received.partition(END_OF_HEAD)
        return head.lower(), body

    def _received(self) -> bytes:
        part = self._socket.recv(PART)
        if not part:
            raise Unexpected(f"{self._name} has closed the connection in the middle of an answer.")
        return part

    def _reconnect_if_closed(self) -> None:
        try:
            is_closed = not self._socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        if is_closed:
            self._socket.close()
            self._socket = connected(self._port)


def connected(port: int) -> socket.socket:
    made = socket.create_connection(("127.0.0.1", port))
    # a time-out of the kernel's: Python's own asks the kernel twice for each part
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", SECONDS, 0))
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


class _Remainder:
    """Whether a part of the body is still to come, according to the head of the response."""

    def __init__(self, head: bytes, body: bytes) -> None:
        length = re.search(rb"\r\ncontent-length: *(\d+)", head)
        self._is_chunked = b"\r\ntransfer-encoding: chunked" in head
        self._missing = int(length[1]) - len(body) if length else 0
        self._seen = 1

    def __call__(self, parts: list[bytes]) -> bool:
        if self._is_chunked:
            return not b"".join(parts[-2:]).endswith(END_OF_CHUNKS)
        self._missing -= sum(len(part) for part in parts[self._seen :])
        self._seen = len(parts)
        return self._missing > 0


def fetched(port: int, path: str, **headers: str) -> bytes:
    """Send one GET request, and return the body."""
    connection = Connection(f"The server of {path}", port)
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    answer = connection.ask(f"GET {path} HTTP/1.1\r\nhost: bench\r\n{lines}\r\n".encode())
    connection.close()
    return answer.whole()


def _without_chunks(body: bytes) -> bytes:
    return b"".join([body[begin:end] for begin, end in _chunks(body)])


def _chunks(body: bytes | bytearray, at: int = 0) -> Iterator[tuple[int, int]]:
    """Return the start and end of each chunk's content. at: position of the first chunk's size."""
    while at < len(body):
        begin = body.index(b"\r\n", at) + 2
        end = begin + int(body[at : begin - 2], 16)
        yield begin, end
        at = end + 2


def take_turns(job: Job) -> dict[str, Samples]:
    """Measure each server round by round. A further round, which is not counted, ends the last one's processor time."""
    connections = {target.name: Connection(target.name, target.port) for target in job.targets}
    samples = {target.name: Samples() for target in job.targets}
    clocks = {target.name: Clock(target.process) for target in job.targets}
    for number in range(-job.warm_up, job.rounds + 1):
        for target in _in_turn(job.targets, number):
            if 0 <= number < job.rounds and number % target.every:
                continue
            made = samples[target.name]
            made.cpu += clocks[target.name].since_last_turn()
            answers = _ask(connections[target.name], target.requests)
            for expected, answer in zip(job.expected, answers, strict=True):
                expected.check(target.name, answer)
            if 0 <= number < job.rounds:
                clocks[target.name].is_counted = True
                made.total.append(sum(answer.total for answer in answers) / 1e6)
                made.first.append(sum(answer.first for answer in answers) / 1e6)
    for connection in connections.values():
        connection.close()
    return samples


def _ask(connection: Connection, requests: Sequence[str]) -> list[Answer]:
    """Send the requests of a piece of work, each with the key that the answer before it has."""
    answers: list[Answer] = []
    for request in requests:
        stored = KEY.search(answers[-1].whole()) if LAST_KEY in request else None
        filled = request.replace(LAST_KEY, stored[1].decode()) if stored else request
        answers.append(connection.ask(filled.encode()))
    return answers


class Clock:
    """The processor time of a server from one of its turns to the next."""

    def __init__(self, process: int) -> None:
        """process: a process id, or 0 for no measurement."""
        self.is_counted = False
        """True if the turn that ends next counts."""
        self._process = process
        self._last = 0

    def since_last_turn(self) -> list[float]:
        """Return the milliseconds since the last turn began, as a list of one; an empty list if that turn does not
        count."""
        if not self._process:
            return []
        last, self._last = self._last, cpu_nanoseconds(self._process)
        was_counted, self.is_counted = self.is_counted, False
        return [(self._last - last) / 1e6] if was_counted else []


def cpu_nanoseconds(process: int) -> int:
    """Return the processor time of a process since its start, in user mode and in the kernel, all threads together."""
    # the clock of clock_getcpuclockid(3), which Python does not have: linux/posix-timers.h, MAKE_PROCESS_CPUCLOCK
    return time.clock_gettime_ns(~process << 3 | 2)


def _in_turn(targets: Sequence[Target], number: int) -> Sequence[Target]:
    """Return the targets in another order for each round, so that work after a response delays all others equally."""
    return random.Random(number).sample(targets, len(targets))


# ---- many at once ----------------------------------------------------------------------------------------------------


@dataclass
class Stream:
    """Bytes that one of many clients has received, with their times."""

    socket: socket.socket
    body: bytearray = field(default_factory=bytearray)
    ends: list[int] = field(default_factory=list[int])
    """Number of bytes received so far, after each part."""
    times: list[int] = field(default_factory=list[int])
    """Time of each part in nanoseconds."""

    def receive(self) -> bool:
        """Receive a part. Returns whether there is more. Raises Unexpected if the response ends too early."""
        part = self.socket.recv(PART)
        if not part:
            raise Unexpected(f"A stream ended early, after {len(self.body)} bytes: {bytes(self.body[:300])!r}")
        self.body += part
        self.ends.append(len(self.body))
        self.times.append(time.monotonic_ns())
        begins = self.body.find(END_OF_HEAD) + len(END_OF_HEAD)  # a head may end like the chunks do: "dur=20"
        return not self.body.endswith(END_OF_CHUNKS, begins)

    def delays(self, since: int = 0, until: int = 2**63) -> list[float]:
        """Return the delays, in milliseconds, of frames written in a span of time (nanoseconds)."""
        chunks = list(_chunks(self.body, self.body.index(END_OF_HEAD) + len(END_OF_HEAD)))
        ends = list(accumulate(end - begin for begin, end in chunks))
        whole = b"".join([self.body[begin:end] for begin, end in chunks])

        def received(end: int) -> int:
            """Return when the bytes before a position of the body had arrived."""
            number = bisect_left(ends, end)
            return self.times[bisect_left(self.ends, chunks[number][1] - (ends[number] - end))]

        stamps = ((match.end(), int(match[1])) for match in STAMP.finditer(whole))
        return [(received(end) - written) / 1e6 for end, written in stamps if since <= written <= until]


def all_at_once(target: Target, expected: Expected, job: Job) -> list[float]:
    """Return the delays of the frames that the job's clients receive at the same time."""
    streams = _received(target, job.clients)
    for stream in streams:
        head, _, body = bytes(stream.body).partition(END_OF_HEAD)
        expected.check(target.name, Answer(int(head[9:12]), body, 0, 0))
    if job.settle_ms is None:
        return [delay for stream in streams for delay in stream.delays()]
    since = max(stream.times[0] for stream in streams) + job.settle_ms * 1_000_000
    until = min(stream.times[-1] for stream in streams)
    return [delay for stream in streams for delay in stream.delays(since, until)]


def _received(target: Target, clients: int) -> list[Stream]:
    waiting = select.epoll()
    streams = {made.fileno(): Stream(made) for made in (connected(target.port) for _ in range(clients))}
    for number, stream in streams.items():
        waiting.register(number, select.EPOLLIN)
        stream.socket.sendall(target.requests[0].encode())
    is_open = set(streams)
    while is_open:
        ready = waiting.poll(SECONDS)
        if not ready:
            raise Unexpected(f"{target.name} has been silent for {SECONDS} s with {len(is_open)} streams open.")
        for number, _ in ready:
            if not streams[number].receive():
                waiting.unregister(number)
                is_open.remove(number)
    for stream in streams.values():
        stream.socket.close()
    waiting.close()
    return list(streams.values())


def in_crowds(job: Job) -> dict[str, Samples]:
    samples = {target.name: Samples() for target in job.targets}
    [expected] = job.expected
    for number in range(-job.warm_up, job.rounds):
        for target in _in_turn(job.targets, number):
            began = cpu_nanoseconds(target.process) if target.process else 0
            delays = all_at_once(target, expected, job)
            if number >= 0:
                samples[target.name].delay += delays
                samples[target.name].cpu += _cpu_a_stream(target, began, job.clients)
    return samples


def _cpu_a_stream(target: Target, began: int, clients: int) -> list[float]:
    return [(cpu_nanoseconds(target.process) - began) / 1e6 / clients] if target.process else []


def main() -> int:
    job_file, result_file = map(Path, sys.argv[1:])
    job = Job.from_json(job_file.read_text())
    try:
        samples = take_turns(job) if job.clients == 1 else in_crowds(job)
    except (Unexpected, OSError) as error:
        print(error)
        return 1
    result_file.write_text(json.dumps({name: asdict(each) for name, each in samples.items()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
