/** Frames of a model's stream, in either dialect: Workers AI's own (`response`), or OpenAI's (`choices`). */
import type { ChatEvent, SourcesEvent, ToolCallEvent, ToolEvent, Usage } from "./types.js";

interface CalledFunction {
  name?: string;
  arguments?: unknown;
}

interface CallPart extends CalledFunction {
  index?: number;
  id?: string;
  function?: CalledFunction;
}

interface Part {
  content?: unknown;
  reasoning_content?: unknown;
  reasoning?: unknown;
  tool_calls?: CallPart[] | null;
}

interface Frame {
  choices?: { delta?: Part; message?: Part; finish_reason?: string | null }[];
  response?: unknown;
  tool_calls?: CallPart[] | null;
  finish_reason?: string | null;
  usage?: Partial<Usage> | null;
}

/** Reads the frames of one answer. */
export class FrameReader {
  readonly #calls: Omit<ToolCallEvent, "type">[] = [];
  #usage: Usage | null = null;
  #reason: string | null = null;

  /** Yield the events of a frame. event: its name. data: its parsed data. */
  *read(event: string, data: unknown): Generator<ChatEvent | SourcesEvent, void, undefined> {
    if (event === "sources") yield { type: "sources", sources: (data as Pick<SourcesEvent, "sources">).sources };
    else if (event === "tool") yield { type: "tool", ...(data as Omit<ToolEvent, "type">) };
    else if (event === "message") yield* this.#readFrame(data as Frame);
  }

  /** Yield the events at the end of an answer. */
  *end(): Generator<ChatEvent, void, undefined> {
    for (const call of this.#calls) yield { type: "tool-call", ...call };
    if (this.#usage) yield { type: "usage", usage: this.#usage };
    yield { type: "end", reason: this.#reason };
  }

  *#readFrame(frame: Frame): Generator<ChatEvent, void, undefined> {
    const choice = frame.choices?.[0];
    const part: Part = choice?.delta ?? choice?.message ?? {};
    const reasoning = toText(part.reasoning_content ?? part.reasoning);
    if (reasoning) yield { type: "reasoning", text: reasoning };
    const text = toText(part.content ?? frame.response);
    if (text) yield { type: "text", text };
    this.#addCalls(part.tool_calls ?? frame.tool_calls ?? []);
    this.#reason = choice?.finish_reason ?? frame.finish_reason ?? this.#reason;
    if (isUsage(frame.usage)) this.#usage = frame.usage;
  }

  /** Add parts of tool calls: OpenAI's come in pieces, by index; Workers AI's own are whole. */
  #addCalls(parts: CallPart[]): void {
    for (const part of parts) {
      const { name, arguments: pieces } = part.function ?? part;
      const index = part.index ?? this.#calls.length;
      this.#calls[index] ??= { id: part.id ?? `call_${index}`, name: name ?? "", arguments: "" };
      this.#calls[index].arguments += toText(pieces);
    }
  }
}

/**
 * Return a text as the model wrote it. Workers AI sends a text that is valid JSON, even a single digit, as the JSON
 * value.
 */
function toText(value: unknown): string {
  if (value === undefined || value === null) return "";
  return typeof value === "string" ? value : JSON.stringify(value);
}

function isUsage(usage: Partial<Usage> | null | undefined): usage is Usage {
  return typeof usage?.total_tokens === "number";
}
