"""The Python half of the runtime: imports the Worker's main module and calls its classes as workerd asks.

Runs in Pyodide, as text: worker.mjs fetches the object `bridge` from its globals.
"""

import importlib
import inspect
import random
import sys
import traceback
from functools import cache, partial

HOME = "/session/metadata"
sys.path[:0] = [HOME, f"{HOME}/python_modules"]

# Called by the platform itself with JavaScript objects. All other public methods are called over RPC.
EVENTS = {"scheduled", "queue", "email", "tail", "trace", "test"}
OBJECT_EVENTS = {"alarm", "webSocketMessage", "webSocketClose", "webSocketError"}


def accepted(method, arguments):
    """Return as many of the arguments as the method takes: `fetch` may leave out `env` and `ctx`."""
    return arguments[: most_arguments(method.__func__)]


@cache
def most_arguments(function):
    """Return the number of arguments after `self` that a method takes; None for any number."""
    kinds = [parameter.kind for parameter in inspect.signature(function).parameters.values()]
    if inspect.Parameter.VAR_POSITIONAL in kinds:
        return None
    positional = {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}
    return sum(kind in positional for kind in kinds) - 1


async def finished(result):
    return await result if inspect.isawaitable(result) else result


async def call_fetch(instance, request, *_):
    from workers import Request

    arguments = (Request(request), instance.env, instance.ctx)
    response = await finished(instance.fetch(*accepted(instance.fetch, arguments)))
    return getattr(response, "js_object", response)


async def call_event(name, instance, event, *_):
    await finished(getattr(instance, name)(event, instance.env, instance.ctx))


async def call_object_event(name, instance, *arguments):
    method = getattr(instance, name)
    await finished(method(*accepted(method, arguments)))


async def call_run(instance, event, step, *_):
    # a workflow's: the SDK's own wrapper around `run` converts the event, the step and the result
    return await finished(instance.run(event, step))


async def call_rpc(name, instance, *arguments):
    from workers import python_from_rpc, python_to_rpc

    result = await finished(getattr(instance, name)(*map(python_from_rpc, arguments)))
    return None if result is None else python_to_rpc(result)


def caller(cls, name):
    from workers import WorkflowEntrypoint

    if name == "fetch":
        return call_fetch
    if name == "run" and issubclass(cls, WorkflowEntrypoint):
        return call_run
    if name in EVENTS:
        return partial(call_event, name)
    return partial(call_object_event if name in OBJECT_EVENTS else call_rpc, name)


class bridge:  # noqa: N801 - an object for JavaScript rather than a type
    classes = {}  # noqa: RUF012

    @classmethod
    def load(cls, name, sources):
        """Import the main module. Returns the traceback, without frames of the import system, if it fails.

        sources: path of the Worker's modules in the project, as the traceback shows it: `src/`.
        """
        try:
            main = importlib.import_module(name)
        except BaseException as error:  # a SystemExit at import must not end the runtime either
            return readable(error, sources)
        cls.classes = {name: value for name, value in vars(main).items() if inspect.isclass(value)}
        return None

    @classmethod
    def methods(cls, name):
        """Return the public methods of a class and the function that calls each; None if there is no such class."""
        candidate = cls.classes.get(name)
        if candidate is None:
            return None
        names = [n for n in dir(candidate) if not n.startswith("_") and callable(getattr(candidate, n))]
        return [[n, caller(candidate, n)] for n in names]

    @classmethod
    def create(cls, name, ctx, env):
        return cls.classes[name](ctx, env)

    @staticmethod
    def reseed():
        random.seed()


def readable(error, sources):
    frames = traceback.TracebackException.from_exception(error)
    frames.stack = traceback.StackSummary.from_list(
        [frame for frame in frames.stack if frame.filename.startswith(HOME)]
    )
    text = "".join(frames.format())
    return text.replace(f"{HOME}/python_modules/", "python_modules/").replace(f"{HOME}/", sources)
