import { apiError, errorDetail } from "./error_responses.js";
import { StreamInterruptedError } from "./errors.js";
import { readEvents } from "./events.js";
import { FrameReader } from "./frames.js";
import { checkType, type RequestOptions, type Transport } from "./transport.js";
import type { ChatEvent, RagEvent, Source, ToolCallEvent, ToolEvent, Usage } from "./types.js";

/** An answer in one piece. */
export interface Answer {
  text: string;
  reasoning: string;
  /** Passages that the text cites as `[1]`; empty for `chat()`. */
  sources: Source[];
  /** Calls of the Worker's own tools. */
  tools: ToolEvent[];
  /** Functions of the page that the model asks to call. */
  toolCalls: ToolCallEvent[];
  usage: Usage | null;
  /** Why the model ended; null if it was stopped, or gives no reason. */
  reason: string | null;
  model: string | null;
  requestId: string | null;
  /** Whether `stop()` has ended it. */
  stopped: boolean;
}

/**
 * An answer that is being written: read its events with `for await`, or all of it with `answer()`.
 *
 * The request is sent when reading begins, and can be read once. Leaving the loop stops the model.
 */
export class AnswerStream<Event extends RagEvent = ChatEvent> implements AsyncIterable<Event> {
  readonly #transport: Transport;
  readonly #path: string;
  readonly #body: object;
  readonly #options: RequestOptions;
  readonly #stop = new AbortController();
  #isRead = false;

  /** @internal */
  constructor(transport: Transport, path: string, body: object, options: RequestOptions) {
    this.#transport = transport;
    this.#path = path;
    this.#body = body;
    this.#options = options;
  }

  /** Whether `stop()` was called. */
  get stopped(): boolean {
    return this.#stop.signal.aborted;
  }

  /** Stop the model. What has arrived stays, and the loop ends without an error. */
  stop(): void {
    this.#stop.abort();
  }

  /** Read to the end; return all of the answer. */
  async answer(): Promise<Answer> {
    const answer: Answer = {
      text: "",
      reasoning: "",
      sources: [],
      tools: [],
      toolCalls: [],
      usage: null,
      reason: null,
      model: null,
      requestId: null,
      stopped: false,
    };
    for await (const event of this) add(answer, event);
    return { ...answer, stopped: this.stopped };
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Event, void, undefined> {
    if (this.#isRead) throw new TypeError("An answer can be read once. Keep its events, or call chat() again.");
    this.#isRead = true;
    // leaving the loop aborts the request, and with it the model
    const left = new AbortController();
    const signals = [this.#stop.signal, left.signal, this.#options.signal];
    const signal = AbortSignal.any(signals.filter((each) => each !== undefined));
    try {
      for await (const event of this.#events(signal)) {
        if (this.stopped) return;
        yield event as Event;
      }
    } catch (error) {
      if (!this.stopped || this.#options.signal?.aborted) throw error;
    } finally {
      left.abort();
    }
  }

  async *#events(signal: AbortSignal): AsyncGenerator<RagEvent, void, undefined> {
    const json = { ...this.#body, stream: true };
    const response = await this.#transport.request("POST", this.#path, { ...this.#options, json, signal });
    checkType(response, ["text/event-stream"]);
    const requestId = response.headers.get("x-request-id");
    yield { type: "start", model: response.headers.get("x-model"), requestId };
    if (!response.body) throw brokenOff(requestId);
    const frames = new FrameReader();
    let isComplete = false;
    try {
      for await (const { event, data } of readEvents(response.body)) {
        // the loop reads to the end: for the Worker, leaving it early would be a disconnected client
        if (data === "[DONE]") isComplete = true;
        else yield* read(frames, event, JSON.parse(data));
      }
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof TypeError || error instanceof SyntaxError) throw brokenOff(requestId, error);
      throw error;
    }
    if (!isComplete) throw brokenOff(requestId);
    yield* frames.end();
  }
}

function* read(frames: FrameReader, event: string, data: unknown): Generator<RagEvent, void, undefined> {
  const detail = errorDetail(data);
  if (detail) throw apiError(detail, null);
  yield* frames.read(event, data);
}

function brokenOff(requestId: string | null, cause?: unknown): StreamInterruptedError {
  return new StreamInterruptedError("The answer broke off before the model had finished.", { cause, requestId });
}

function add(answer: Answer, event: RagEvent): void {
  switch (event.type) {
    case "start":
      answer.model = event.model;
      answer.requestId = event.requestId;
      break;
    case "sources":
      answer.sources = event.sources;
      break;
    case "text":
      answer.text += event.text;
      break;
    case "reasoning":
      answer.reasoning += event.text;
      break;
    case "tool":
      answer.tools.push(event);
      break;
    case "tool-call":
      answer.toolCalls.push(event);
      break;
    case "usage":
      answer.usage = event.usage;
      break;
    case "end":
      answer.reason = event.reason;
      break;
  }
}
