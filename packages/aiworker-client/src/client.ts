import { AnswerStream } from "./answer.js";
import { Documents } from "./documents.js";
import { type ClientOptions, type RequestOptions, Transport } from "./transport.js";
import type {
  ChatEvent,
  ChatRequest,
  DecideRequest,
  Decisions,
  Embeddings,
  EmbedRequest,
  Extraction,
  ExtractRequest,
  ImageRequest,
  Passages,
  RagEvent,
  RagRequest,
  SearchRequest,
  SpeakRequest,
  StoredImage,
  TranscribeRequest,
  Transcription,
  TranslateRequest,
  Translation,
} from "./types.js";

const IMAGES = ["image", "image_1", "image_2", "image_3", "mask"] as const;

/** A request for an image, whose own images may be files, too. */
export type ImageInput = Omit<ImageRequest, (typeof IMAGES)[number]> & {
  [Name in (typeof IMAGES)[number]]?: string | Blob | null;
};

/** A client of one Worker. */
export class Aiworker {
  readonly documents: Documents;
  /** Questions to the documents. */
  readonly rag: {
    /** Answer a question from the documents. The event `sources` comes before the text. */
    ask(request: RagRequest | string, options?: RequestOptions): AnswerStream<RagEvent>;
    /** Find the passages that fit a question best. */
    search(request: SearchRequest | string, options?: RequestOptions): Promise<Passages>;
  };
  readonly #transport: Transport;

  /** Throws TypeError if an option is wrong. Nothing is sent yet. */
  constructor(options: ClientOptions = {}) {
    const transport = new Transport(options);
    this.#transport = transport;
    this.documents = new Documents(transport);
    this.rag = {
      ask: (request, options = {}) =>
        new AnswerStream(transport, "/rag", typeof request === "string" ? { query: request } : request, options),
      search: (request, options = {}) => {
        const json = typeof request === "string" ? { query: request } : request;
        return transport.json("POST", "/rag/search", { ...options, json });
      },
    };
  }

  /** Let a model answer. The request is sent when reading begins: `for await (const event of ai.chat(…))`. */
  chat(request: ChatRequest | string, options: RequestOptions = {}): AnswerStream<ChatEvent> {
    const body = typeof request === "string" ? { prompt: request } : request;
    return new AnswerStream(this.#transport, "/chat", body, options);
  }

  /** Generate an image, or change one; with `store`, it is kept, and the answer has its address. */
  image(request: ImageInput & { store: true }, options?: RequestOptions): Promise<StoredImage>;
  image(request: ImageInput & { store?: false }, options?: RequestOptions): Promise<Blob>;
  image(request: ImageInput, options: RequestOptions = {}): Promise<Blob | StoredImage> {
    const content = { ...options, ...imageContent(request) };
    if (request.store) return this.#transport.json("POST", "/image", content);
    return this.#transport.blob("POST", "/image", ["image/"], content);
  }

  /** Transcribe a recording. */
  transcribe(
    recording: Blob,
    parameters: TranscribeRequest = {},
    options: RequestOptions = {},
  ): Promise<Transcription> {
    const headers = { ...options.headers, "content-type": recording.type || "application/octet-stream" };
    return this.#transport.json("POST", "/transcribe", { ...options, headers, query: parameters, body: recording });
  }

  /** Read a text aloud; return the sound. */
  speak(request: SpeakRequest | string, options: RequestOptions = {}): Promise<Blob> {
    const json = typeof request === "string" ? { text: request } : request;
    return this.#transport.blob("POST", "/speak", ["audio/"], { ...options, json });
  }

  /** Return one vector for each text. */
  embed(request: EmbedRequest | string | string[], options: RequestOptions = {}): Promise<Embeddings> {
    const json = typeof request === "string" || Array.isArray(request) ? { text: request } : request;
    return this.#transport.json("POST", "/embed", { ...options, json });
  }

  translate(request: TranslateRequest, options: RequestOptions = {}): Promise<Translation> {
    return this.#transport.json("POST", "/translate", { ...options, json: request });
  }

  /** Extract what a JSON Schema describes. Data: the type of its instances, which the Worker has checked. */
  extract<Data = unknown>(request: ExtractRequest, options: RequestOptions = {}): Promise<Extraction<Data>> {
    return this.#transport.json("POST", "/extract", { ...options, json: request });
  }

  /** Answer typed questions with probabilities. */
  decide(request: DecideRequest, options: RequestOptions = {}): Promise<Decisions> {
    return this.#transport.json("POST", "/decide", { ...options, json: request });
  }

  /**
   * Send any other request, with the token, the retries and the errors of this client.
   *
   * path: below the Worker's address, such as `/models`.
   */
  request(
    method: string,
    path: string,
    options: RequestOptions & { json?: unknown; body?: BodyInit } = {},
  ): Promise<Response> {
    return this.#transport.request(method, path, options);
  }
}

/** Return a request as JSON, or as a form if it has files. */
function imageContent(request: ImageInput): { json: ImageInput } | { body: FormData } {
  if (!IMAGES.some((name) => request[name] instanceof Blob)) return { json: request };
  const form = new FormData();
  for (const [name, value] of Object.entries(request)) {
    if (value instanceof Blob) form.append(name, value);
    else if (value !== null && value !== undefined)
      form.append(name, typeof value === "object" ? JSON.stringify(value) : String(value));
  }
  return { body: form };
}
