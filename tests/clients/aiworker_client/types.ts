// Compiled, never run: what the types of the package allow, and what they refuse.
import {
  Aiworker,
  type ChatEvent,
  type ChatRequest,
  type components,
  type DocumentState,
  type RagEvent,
  type Source,
} from "aiworker-client";

const ai = new Aiworker({ baseUrl: new URL("https://ai.example.com"), getToken: async () => ({ token: "a" }) });

// fields with defaults may be left out
const chat: ChatRequest = { messages: [{ role: "user", content: "Hello" }] };
const generated: components["schemas"]["ChatRequest"] = { messages: [{ role: "user", content: "Hello" }] };
const token: components["schemas"]["TokenRequest"] = { scopes: ["chat"] };
ai.rag.ask({ query: "Where?" });
ai.documents.upload("text", { metadata: { year: 2026, draft: true } });

// events are told apart by their type, and all of them are known
function show(event: RagEvent): string | null {
  switch (event.type) {
    case "start":
      return event.model;
    case "sources":
      return event.sources.map((source: Source) => source.snippet).join();
    case "text":
    case "reasoning":
      return event.text;
    case "tool":
      return event.result;
    case "tool-call":
      return event.arguments;
    case "usage":
      return String(event.usage.total_tokens);
    case "end":
      return event.reason;
    default:
      return event satisfies never;
  }
}

function read(event: ChatEvent): void {
  // @ts-expect-error a text has no sources
  if (event.type === "text") event.sources;
  // @ts-expect-error chat() has no sources
  if (event.type === "sources") return;
}

// @ts-expect-error no such field
ai.chat({ messages: [], temprature: 1 });
// @ts-expect-error no such role
ai.chat({ messages: [{ role: "robot", content: "Hello" }] });
// @ts-expect-error always streamed
ai.chat({ prompt: "Hello", stream: false });
// @ts-expect-error the prompt is missing
ai.image({});
const picture: Promise<Blob> = ai.image({ prompt: "A fox" });
const stored: Promise<{ url: string }> = ai.image({ prompt: "A fox", store: true });
// @ts-expect-error bytes have no address
ai.image({ prompt: "A fox" }).then((image) => image.url);
const state: (document: DocumentState) => "queued" | "converting" | "embedding" | "indexed" | "failed" = ({ state }) =>
  state;
const person: Promise<string> = ai.extract<{ name: string }>({ text: "Ada", schema: {} }).then(({ data }) => data.name);
const yes: Promise<number | undefined> = ai
  .decide({ state: "", questions: { late: { type: "noul", instructions: "?" } } })
  .then(({ answers: { late } }) => (late?.type === "noul" ? late.noul : undefined));

export { chat, generated, person, picture, read, show, state, stored, token, yes };
