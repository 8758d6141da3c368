"""The command `workers-ai-simulator`: starts the simulator, or sends a command to a running one.

Exit status: 0; 1 if the simulator cannot start or none answers; 2 for wrong arguments.
"""

import argparse
import contextlib
import json
import logging
import os
import shutil
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from workers_ai_simulator import __version__, argument_types
from workers_ai_simulator.client import LoggedRequest, SimulatorClient, SimulatorError
from workers_ai_simulator.conform import command as conform
from workers_ai_simulator.data_folder import DataFolder, DataFolderError
from workers_ai_simulator.extras import install_command
from workers_ai_simulator.standard_output import end_with_reader
from workers_ai_simulator.tape import options as tape_options
from workers_ai_simulator.traffic.faults import BINDINGS, PARTS, Part
from workers_ai_simulator.traffic.journal import ENDED

if TYPE_CHECKING:
    import uvicorn

    from workers_ai_simulator.embeddings.local import LocalEmbeddings
    from workers_ai_simulator.embeddings.vectors import Kind
    from workers_ai_simulator.inference.real_models import RealModels
    from workers_ai_simulator.scripted.store import ScriptedAnswers
    from workers_ai_simulator.speech.local import LocalSpeech
    from workers_ai_simulator.tape.tape import Tape
    from workers_ai_simulator.upstream.embeddings import ServerEmbeddings
    from workers_ai_simulator.upstream.server import ChatUpstream

USUAL_PACE = 60.0
"""Tokens per second of streamed text, unless an option says otherwise."""
KINDS: "dict[str, Kind]" = {"lexical": "lexical", "minilm": "minilm"}
"""Values of --embeddings for other simulated vectors than the default ones."""
SERVER = "server"
"""Value of --embeddings for embeddings by the server of --models."""
USAGE_ERROR = 2
"""Exit status for wrong arguments, as argparse has it."""
INTERRUPTED = 130
"""Exit status of a command that is ended by Ctrl-C, as shells report it."""


NODE_COMMANDS = ("dev", "init", "doctor")
"""Commands for a project of wrangler's, which run in Node.js, as wrangler does."""


def main() -> None:
    """Run the command."""
    if sys.argv[1:2] and sys.argv[1] in NODE_COMMANDS:
        _run_in_node(sys.argv[1:])
    options = _parser().parse_args()
    try:
        sys.exit(options.run(options))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="workers-ai-simulator",
        description="Simulate Workers AI, Vectorize and AI Gateway on this machine, for the real bindings of "
        "Cloudflare Workers and for Cloudflare's REST API. Without a command, start the simulator.",
        epilog="commands for a project of wrangler's, which need Node.js: dev starts the simulator and wrangler dev, "
        "init writes its configuration, doctor says what is missing: `workers-ai-simulator dev --help`.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    parser.set_defaults(run=_serve)
    _add_server_options(parser)
    commands = parser.add_subparsers(title="commands for a running simulator", metavar="COMMAND")
    _add_fault(commands)
    _add_faults(commands)
    _add_requests(commands)
    conform.add(commands)
    return parser


def _run_in_node(arguments: list[str]) -> NoReturn:
    """Run the command of the npm package, which this package has too, in place of this process."""
    node = shutil.which("node")
    if node is None:
        sys.exit(f"workers-ai-simulator {arguments[0]} needs Node.js, as wrangler does, and there is none on the path.")
    script = Path(__file__).parent / "javascript/command.mjs"
    environment = {**os.environ, "WORKERS_AI_SIMULATOR_PYTHON": sys.executable}
    os.execve(node, [node, str(script), *arguments], environment)


# ---- the simulator -------------------------------------------------------------------------------------------------


def _add_server_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine only)")
    parser.add_argument(
        "--allowed-host", action="append", default=[], metavar="NAME",
        help="answer under this name of the machine too, besides localhost and its addresses (may be repeated)",
    )  # fmt: skip
    parser.add_argument(
        "--port", type=argument_types.port, default=8788, metavar="N",
        help="port to listen on (default 8788; 0: any free port)",
    )  # fmt: skip
    parser.add_argument(
        "--tokens-per-second", type=argument_types.amount, metavar="N",
        help="pace of streamed text (default 60, and of a tape's streams as recorded; 0: as fast as possible)",
    )  # fmt: skip
    parser.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        help="folder to store vectors, documents and gateway logs in, which one simulator at a time may use (default: "
        "in memory only)",
    )
    parser.add_argument(
        "--vectorize-delay", type=argument_types.amount, default=1, metavar="SECONDS",
        help="time until a write to Vectorize is visible, and an upload to AI Search indexed (default 1)",
    )  # fmt: skip
    parser.add_argument(
        "--models", metavar="SERVER[=MODEL]",
        help="answer text generation by real models on this machine: ollama, lmstudio, llama.cpp, vllm, the URL of a "
        "server that speaks OpenAI's dialect, or auto: whichever runs, else simulated ones; ollama gets a model that "
        "it does not have (an API key: $MODELS_API_KEY)",
    )  # fmt: skip
    parser.add_argument(
        "--chat-models", metavar="@cf/…=NAME,*=NAME",
        help="that server's names of Workers AI's models, or a JSON file of them (default: a model of the same family, "
        "else one that is in memory, else its first)",
    )  # fmt: skip
    parser.add_argument(
        "--embeddings", metavar="MODEL",
        help="compute embeddings by the server of --models: server, or server=MODEL, in place of models with vectors "
        "as wide; or those of bge-small, bge-base, bge-large, or bge (all three) with fastembed; or lexical: "
        "simulate embeddings by words alone; or minilm: answer with the vectors of all-MiniLM-L6-v2, whatever model is "
        "called (default: simulate them by words and, with wordllama's vectors, their meaning)",
    )  # fmt: skip
    parser.add_argument(
        "--embeddings-cache", type=Path, metavar="DIR",
        help="folder to store their weights in (default: $FASTEMBED_CACHE_PATH, else a temporary folder)",
    )  # fmt: skip
    parser.add_argument(
        "--speech", metavar="MODEL",
        help="recognise recordings with faster-whisper: base.en, large-v3-turbo, or the folder of a model",
    )  # fmt: skip
    parser.add_argument(
        "--voice", choices=("espeak-ng",),
        help="speak texts by the program espeak-ng of this machine (default: a soft tone for each syllable)",
    )  # fmt: skip
    parser.add_argument(
        "--index", type=argument_types.index, action="append", default=[], metavar="NAME:DIMENSIONS[:METRIC]",
        help="Vectorize index, created at the start if it is missing (default: a binding's first write creates its "
        "index, as wide as its vectors, with the metric cosine; may be repeated)",
    )  # fmt: skip
    parser.add_argument(
        "--metadata-index", type=argument_types.metadata_index, action="append", default=[],
        metavar="INDEX:PROPERTY:TYPE",
        help="metadata index of a Vectorize index, created at the start or together with the index (may be repeated)",
    )  # fmt: skip
    parser.add_argument(
        "--plan", choices=("paid", "free"), default="paid",
        help="plan of the simulated account (default: paid; free: the largest models are refused with 5035)",
    )  # fmt: skip
    parser.add_argument(
        "--retired", choices=("refuse", "serve"), default="refuse",
        help="whether models that Cloudflare has retired answer (default: refuse them with 5028, as upstream)",
    )  # fmt: skip
    parser.add_argument(
        "--answers", type=Path, metavar="FILE",
        help="JSON file of scripted answers, which models give in order or by rule instead of simulated ones",
    )  # fmt: skip
    tape_options.add(parser)
    parser.add_argument(
        "--end-with-stdin",
        action="store_true",
        help="exit when standard input is closed, as when the parent dies",
    )


def _serve(options: argparse.Namespace) -> None:
    # slow imports, which the other commands do not need
    import uvicorn

    from workers_ai_simulator.ai_search.service import AiSearch
    from workers_ai_simulator.catalogue import Account
    from workers_ai_simulator.embeddings import stored_kind
    from workers_ai_simulator.gateway.service import Gateways
    from workers_ai_simulator.inference.answers import ANSWERS
    from workers_ai_simulator.server import application
    from workers_ai_simulator.vectorize.store import VectorStore

    tape = _tape(options)
    folder = _data_folder(options.data)
    real = _real_models(options)
    script = _script(options.answers)
    pace = USUAL_PACE if options.tokens_per_second is None else options.tokens_per_second
    # asyncio sets TCP_NODELAY only on sockets with a protocol; without it each answer is delayed by 40 ms
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((options.host, options.port))
        except OSError as error:
            sys.exit(
                f"Cannot listen on port {options.port} of {options.host}: {error.strerror}. Choose another: --port 0"
            )
        host, port = listener.getsockname()
        if folder:
            folder.note(f"http://{host}:{port}")
            stored_kind.store(options.data, real.simulated_embeddings)
        data: Path | None = options.data
        vectors = VectorStore(
            data / "vectorize.sqlite" if data else None, options.vectorize_delay, options.metadata_index
        )
        for index in options.index:
            if not vectors.find_index(index[0]):
                vectors.create_index(*index)
        for sentence in vectors.create_missing_metadata_indexes():
            print(sentence, flush=True)
        search_file = data / "ai_search.sqlite" if data else None
        ai_search = AiSearch(ANSWERS | real.answers, search_file, options.vectorize_delay)
        gateways = Gateways(data / "gateway.sqlite" if data else None)
        account = Account(options.plan, options.retired == "serve")
        hosts = [options.host, *options.allowed_host]
        app = application(vectors, gateways, ai_search, pace, real, hosts, account, script, tape)
        server = uvicorn.Server(
            uvicorn.Config(app, log_level="warning", ws="websockets-sansio", timeout_graceful_shutdown=1)
        )
        if options.end_with_stdin:
            threading.Thread(target=_exit_with_stdin, args=(server,), daemon=True).start()
        logging.getLogger("uvicorn.error").addFilter(_is_unexpected)
        listener.listen(128)
        print(f"Ready on http://{host}:{port}", flush=True)
        with contextlib.suppress(KeyboardInterrupt):  # uvicorn raises Ctrl-C again after its shutdown
            server.run(sockets=[listener])


def _data_folder(path: Path | None) -> DataFolder | None:
    """The folder of the data, locked until the process ends. Exits if it cannot be used."""
    try:
        return DataFolder(path) if path else None
    except DataFolderError as error:
        sys.exit(str(error))


def _script(file: Path | None) -> "ScriptedAnswers":
    """The scripted answers of a file. Exits if the file has none."""
    from workers_ai_simulator.scripted.errors import AnswersError
    from workers_ai_simulator.scripted.models import read
    from workers_ai_simulator.scripted.store import ScriptedAnswers

    script = ScriptedAnswers()
    try:
        if file:
            script.add(read(json.loads(file.read_text(encoding="utf-8"))))
    except OSError as error:
        sys.exit(f"--answers: {file} cannot be read: {error.strerror}")
    except AnswersError as error:
        sys.exit(f"--answers: {file}: {error}")
    except ValueError as error:
        sys.exit(f"--answers: {file} is no JSON: {error}")
    return script


def _tape(options: argparse.Namespace) -> "Tape | None":
    """The tape that the options name. Exits if they are wrong, or its folder cannot be used."""
    from workers_ai_simulator.tape.errors import TapeError
    from workers_ai_simulator.tape.opening import open_tape

    try:
        return open_tape(options)
    except ValueError as error:
        print(error, file=sys.stderr)
        sys.exit(USAGE_ERROR)
    except (TapeError, OSError) as error:
        sys.exit(str(error))
    except ModuleNotFoundError as error:
        if error.name != "httpx":
            raise
        sys.exit(f"--record and --record-missing need httpx: {install_command('record')}")


def _real_models(options: argparse.Namespace) -> "RealModels":
    """The real models that the options ask for. Exits if the options are wrong or a package is not installed."""
    from workers_ai_simulator.inference.real_models import RealModels
    from workers_ai_simulator.speech.espeak import EspeakVoice

    try:
        chat, server_embeddings = _models_of_server(options)
        return RealModels(
            chat=chat,
            embeddings=_local_embeddings(options),
            speech=_local_speech(options),
            voice=EspeakVoice() if options.voice else None,
            server_embeddings=server_embeddings,
            simulated_embeddings=_simulated_embeddings(options),
        )
    except ValueError as error:
        print(error, file=sys.stderr)
        sys.exit(USAGE_ERROR)
    except ModuleNotFoundError as error:
        if error.name not in EXTRAS:
            raise
        option, extra = EXTRAS[error.name]
        sys.exit(f"{option} needs {error.name}: {install_command(extra)}")


EXTRAS: dict[str | None, tuple[str, str]] = {
    "httpx": ("--models", "chat"),
    "fastembed": ("--embeddings", "embeddings"),
    "faster_whisper": ("--speech", "speech"),
}
"""Module → the option that needs it, and the extra that installs it."""


def _models_of_server(options: argparse.Namespace) -> "tuple[ChatUpstream | None, ServerEmbeddings | None]":
    """The models of the server of --models. Exits if they cannot be used."""
    embeds, _, embedding = (options.embeddings or "").partition("=")
    if not options.models:
        if options.chat_models or embeds == SERVER:
            raise ValueError(f"{'--chat-models' if options.chat_models else '--embeddings server'} needs --models")
        return None, None
    from workers_ai_simulator.upstream import discovery, names
    from workers_ai_simulator.upstream.embeddings import ServerEmbeddings
    from workers_ai_simulator.upstream.pull import Report
    from workers_ai_simulator.upstream.server import ChatUpstream

    report = Report()
    chat_names = names.read(options.chat_models) if options.chat_models else names.Names()
    try:
        server = discovery.find(options.models, chat_names, report, [embedding] if embedding else [])
        if server is None:
            return None, None
        report.say(f"Text generation: {server.label(server.model_for(names.ANY_MODEL) or '')} at {server.url}")
        embeddings = ServerEmbeddings(server, embedding) if embeds == SERVER else None
        for line in embeddings.lines() if embeddings else ():
            report.say(line)
        return ChatUpstream(server), embeddings
    except discovery.ModelsError as error:
        sys.exit(str(error))


def _local_embeddings(options: argparse.Namespace) -> "LocalEmbeddings | None":
    if not options.embeddings or options.embeddings.partition("=")[0] in (*KINDS, SERVER):
        if options.embeddings_cache:
            raise ValueError("--embeddings-cache needs --embeddings with the name of a model")
        return None
    from workers_ai_simulator.embeddings.local import LocalEmbeddings, model_ids

    return LocalEmbeddings(model_ids(options.embeddings), options.embeddings_cache)


def _simulated_embeddings(options: argparse.Namespace) -> "Kind":
    """The kind of the simulated embeddings: that of the stored vectors, unless an option says otherwise.

    Raises WeightsError, a ValueError, if its weights are not installed.
    """
    from workers_ai_simulator.embeddings import stored_kind

    kind, notice = stored_kind.choose(options.data, KINDS.get(options.embeddings))
    if kind == "minilm":
        from workers_ai_simulator.embeddings import minilm

        try:
            minilm.load()  # a start without its weights fails, rather than the first call
        except minilm.WeightsError as error:
            if options.embeddings:
                raise
            raise ValueError(
                f"The vectors in {options.data} were made by --embeddings minilm. {error}. "
                "Or use another folder: --data DIR"
            ) from None
    if notice:
        print(notice, flush=True)
    return kind


def _local_speech(options: argparse.Namespace) -> "LocalSpeech | None":
    if not options.speech:
        return None
    from workers_ai_simulator.speech.local import LocalSpeech

    return LocalSpeech(options.speech)


def _is_unexpected(record: logging.LogRecord) -> bool:
    """Whether to log a record of uvicorn.

    False for streams cut by a fault and callers that disconnect, which the journal records; for requests cancelled at
    the end of the process; and for websockets that are refused, whose callers get an answer that explains.
    """
    from starlette.requests import ClientDisconnect

    error = record.exc_info[1] if record.exc_info else None
    is_expected = record.getMessage().startswith(("Cancel ", "ASGI callable returned without completing handshake"))
    return not is_expected and not isinstance(error, ConnectionAbortedError | ClientDisconnect)


def _exit_with_stdin(server: "uvicorn.Server") -> None:
    while os.read(0, 1024):
        pass
    server.should_exit = True


# ---- commands for a running simulator ------------------------------------------------------------------------------

Commands = argparse._SubParsersAction  # pyright: ignore[reportPrivateUsage] - argparse has no public name for it
Command = Callable[[SimulatorClient, argparse.Namespace], None]


def _add_command(
    commands: "Commands[argparse.ArgumentParser]", name: str, about: str, run: Command
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=about, description=f"{about[0].upper()}{about[1:]}.")
    command.add_argument(
        "--url", default=os.environ.get("WORKERS_AI_SIMULATOR", "http://127.0.0.1:8788"),
        help="the simulator's address (default: $WORKERS_AI_SIMULATOR, else port 8788 of this machine)",
    )  # fmt: skip
    command.set_defaults(run=partial(_run_command, run))
    return command


def _run_command(run: Command, options: argparse.Namespace) -> int:
    end_with_reader()
    try:
        run(SimulatorClient(options.url), options)
    except SimulatorError as error:
        print(error, file=sys.stderr)
        return USAGE_ERROR if error.status == 400 else 1
    return 0


PART = "part of a fault: "
"""Prefix of these options' names, which distinguishes them from the simulator's own `--tokens-per-second`."""


def _add_fault(commands: "Commands[argparse.ArgumentParser]") -> None:
    command = _add_command(commands, "fault", "make the next matching requests fail", _set_fault)
    for part in PARTS.values():
        names = [f"--{name.replace('_', '-')}" for name in (part.name, part.about.alias) if name]
        command.add_argument(
            *names, dest=f"{PART}{part.name}", default=argparse.SUPPRESS, help=_help(part), **_argument(part)
        )


def _argument(part: Part) -> dict[str, Any]:
    if part.kind is bool:
        return {"action": "store_true"}
    if part.choices:
        return {"choices": part.choices}
    metavar = {str: "TEXT", int: "N", float: "N"}[part.kind]
    if part.optional and part.default is not None:
        return {"type": _number_or_none, "metavar": f"{metavar}|none"}
    return {"type": part.kind, "metavar": metavar}


def _number_or_none(text: str) -> int | None:
    return None if text == "none" else int(text)


def _help(part: Part) -> str:
    return part.about.text + (f" (default {part.default})" if part.default not in (None, False) else "")


def _set_fault(simulator: SimulatorClient, options: argparse.Namespace) -> None:
    arguments = vars(options).items()
    fault = {name.removeprefix(PART): value for name, value in arguments if name.startswith(PART)}
    print(f"Fault {simulator.set_fault(**fault)} is set.")


def _add_faults(commands: "Commands[argparse.ArgumentParser]") -> None:
    command = _add_command(commands, "faults", "list the faults set since they were last cleared", _faults)
    command.add_argument("--json", action="store_true", help="print JSON, one fault per line")
    command.add_argument("--clear", action="store_true", help="delete all faults, and release the answers they hold")


def _faults(simulator: SimulatorClient, options: argparse.Namespace) -> None:
    if options.clear:
        simulator.clear_faults()
        print("No faults are set.")
        return
    for fault in simulator.faults():
        print(json.dumps(fault) if options.json else _fault_line(fault))


def _fault_line(fault: dict[str, Any]) -> str:
    set_parts = " ".join(
        f"{name}={json.dumps(fault[name])}" for name, part in PARTS.items() if fault[name] != part.default
    )
    remaining = "all" if fault["remaining"] is None else fault["remaining"]
    return f"{fault['id']:>4}  applied {fault['applied']}, remaining {remaining}  {set_parts}"


def _add_requests(commands: "Commands[argparse.ArgumentParser]") -> None:
    command = _add_command(commands, "requests", "print the last 1,000 requests, one per line", _requests)
    command.add_argument("--json", action="store_true", help="print JSON, one request per line")
    command.add_argument("--follow", action="store_true", help="print further requests as they end, until Ctrl-C")
    command.add_argument("--binding", choices=BINDINGS, help="only requests of this service")
    command.add_argument("--operation", metavar="TEXT", help="only requests of this operation")
    command.add_argument("--model", metavar="TEXT", help="only requests of this model")


def _requests(simulator: SimulatorClient, options: argparse.Namespace) -> None:
    def changed(since: int, seconds: float) -> list[LoggedRequest]:
        return simulator.requests(
            binding=options.binding, operation=options.operation, model=options.model, since=since, seconds=seconds
        )

    entries = changed(0, 0)
    _print_requests(entries, options.json)
    with contextlib.suppress(KeyboardInterrupt):
        while options.follow:
            since = max((entry["number"] for entry in entries), default=0)
            entries = changed(since, 30) or entries
            # each once, at its end: a streaming request would be printed with every frame
            _print_requests((entry for entry in entries if entry["number"] > since and _has_ended(entry)), options.json)


def _has_ended(entry: LoggedRequest) -> bool:
    return entry["state"] in ENDED


def _print_requests(entries: Iterable[LoggedRequest], as_json: bool) -> None:
    for entry in entries:
        print(json.dumps(entry) if as_json else _request_line(entry), flush=True)


def _request_line(entry: LoggedRequest) -> str:
    at = time.strftime("%H:%M:%S", time.localtime(entry["received"]))
    status = "-" if entry["status"] is None else entry["status"]
    frames = f"{entry['frames']} frames" if entry["frames"] else ""
    call = f"{entry['binding']:<10} {entry['operation']:<12} {entry['model'] or '-':<44}"
    return (
        f"{at}  {call}  {entry['state']:<9} {status:>3} {entry['seconds']:7.3f} s  {frames:<10}  {entry['id']}".rstrip()
    )


if __name__ == "__main__":
    main()
