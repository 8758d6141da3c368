"""One route for each thing of the platform that offline-python-workers has to carry."""

import asyncio
import json
import random
import secrets
from urllib.parse import parse_qs, urlsplit

import greeting
import js
from pydantic import BaseModel
from steps import Steps  # noqa: F401 - exported, from elsewhere
from workers import DurableObject, Response, WorkerEntrypoint, patch_env

import_time_random = random.random()


class Point(BaseModel):
    x: int
    y: int


class Adder(WorkerEntrypoint):
    async def add(self, numbers):
        return {"sum": sum(numbers)}


class Counter(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.sql = ctx.storage.sql
        self.sql.exec("CREATE TABLE IF NOT EXISTS counts (name TEXT PRIMARY KEY, value INTEGER)")

    async def add(self, name, amount):
        self.sql.exec(
            "INSERT INTO counts VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value",
            name,
            amount,
        )
        return self.sql.exec("SELECT value FROM counts WHERE name = ?", name).one().value

    async def fetch(self, request):
        return Response(f"the object was sent {request.method}")


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        path = urlsplit(request.url).path
        return await getattr(self, f"show_{path.strip('/')}")(request)

    async def show_greeting(self, request):
        return Response(greeting.TEXT)

    async def show_variable(self, request):
        with patch_env(GREETING="patched"):
            patched = self.env._env.GREETING
        return Response.json({"plain": self.env.GREETING, "patched": patched})

    async def show_pydantic(self, request):
        return Response.json(Point.model_validate_json(await request.text()).model_dump())

    async def show_random(self, request):
        return Response.json({"import": import_time_random, "now": random.random(), "secret": secrets.token_hex(8)})

    async def show_rpc(self, request):
        return Response.json(await self.env.SELF.add([1, 2, 3]))

    async def show_counter(self, request):
        counter = self.env.COUNTER.getByName("one")
        value = await counter.add("requests", 2)
        answer = await counter.fetch("http://object/", method="PUT")
        return Response.json({"value": value, "fetch": await answer.text()})

    async def show_storage(self, request):
        await self.env.KV.put("key", "value")
        await self.env.BUCKET.put("key", "object")
        await self.env.DB.prepare("CREATE TABLE IF NOT EXISTS t (x INTEGER)").run()
        await self.env.DB.prepare("INSERT INTO t VALUES (?)").bind(7).run()
        row = await self.env.DB.prepare("SELECT x FROM t").first()
        stored = await self.env.BUCKET.get("key")
        return Response.json({"kv": await self.env.KV.get("key"), "r2": await stored.text(), "d1": row["x"]})

    async def show_after(self, request):
        """waitUntil with a coroutine: the work goes on after the response."""
        if request.method == "GET":
            return Response(str(await self.env.KV.get("after")))

        async def work():
            await asyncio.sleep(0.1)
            await self.env.KV.put("after", "done")

        self.ctx.waitUntil(work())
        return Response("accepted")

    async def show_workflow(self, request):
        if request.method == "POST":
            instance = await self.env.STEPS.create({"params": {"value": 21}})
            return Response.json({"id": instance.id})
        instance = await self.env.STEPS.get(urlsplit(request.url).query)
        status = await instance.status()
        return Response(json.dumps({"status": status["status"], "output": status.get("output")}))

    async def show_ai(self, request):
        """Run the model that the query names; inputs are the JSON body, or with &stream that body as their audio."""
        query = parse_qs(urlsplit(request.url).query)
        if "stream" in query:
            content_type = request.js_object.headers.get("content-type")
            audio = js.Object.fromEntries([["body", request.js_object.body], ["contentType", content_type]])
            inputs = js.Object.fromEntries([["audio", audio]])
        else:
            inputs = js.JSON.parse(await request.text())
        try:
            answer = await self.env._env.AI.run(query["model"][0], inputs)
        except Exception as error:
            return Response(str(error), status=502)
        # an object was parsed by the class; anything else is a stream
        is_stream = answer.constructor.name == "ReadableStream"
        return js.Response.new(answer) if is_stream else js.Response.json(answer)

    async def show_vectorize(self, request):
        """The method of the binding that the path's query names, with the body's arguments."""
        method = getattr(self.env.VECTORIZE, urlsplit(request.url).query)
        try:
            return Response.json(await method(*json.loads(await request.text())))
        except Exception as error:
            return Response.json({"error": str(error)})

    async def show_crash(self, request):
        raise RuntimeError("the handler's own words")
