"""Notes that are found by their meaning, and questions that a model answers from them."""

from urllib.parse import parse_qs, urlsplit

from pyodide.ffi import JsException
from workers import Response, WorkerEntrypoint

EMBEDDING = "@cf/baai/bge-base-en-v1.5"
CHAT = "@cf/meta/llama-3.1-8b-instruct-fast"


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        url = urlsplit(request.url)
        question = parse_qs(url.query).get("q")
        if request.method == "POST" and url.path == "/notes":
            return await self.store(await request.json())
        if url.path == "/ask" and question:
            return await self.answer(question[0])
        return Response("POST /notes with [{id, text}], or GET /ask?q=", status=404)

    async def store(self, notes):
        vectors = await self.vectors([note["text"] for note in notes])
        records = [
            {"id": note["id"], "values": values, "metadata": {"text": note["text"]}}
            for note, values in zip(notes, vectors, strict=True)
        ]
        await self.env.NOTES.upsert(records)
        return Response.json({"stored": len(records)}, status=202)

    async def answer(self, question):
        [vector] = await self.vectors([question])
        result = await self.env.NOTES.query(vector, {"topK": 1, "returnMetadata": "all"})
        notes = [match["metadata"]["text"] for match in result["matches"]]
        messages = [
            {"role": "system", "content": "Answer from these notes: " + " ".join(notes)},
            {"role": "user", "content": question},
        ]
        try:
            answer = await self.env.AI.run(CHAT, {"messages": messages})
        except JsException as error:
            return Response.json({"error": f"The model does not answer: {error}"}, status=502)
        return Response.json({"answer": answer["response"], "notes": notes})

    async def vectors(self, texts):
        return (await self.env.AI.run(EMBEDDING, {"text": texts}))["data"]
