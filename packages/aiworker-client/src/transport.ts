import { notTheWorker, responseError } from "./error_responses.js";
import {
  type AiworkerError,
  BudgetExceededError,
  ConnectionError,
  UnauthorizedError,
  UnavailableError,
  UnexpectedResponseError,
} from "./errors.js";
import { type GetToken, TokenStore } from "./tokens.js";

export interface ClientOptions {
  /** Address of the Worker, such as `https://ai.example.com`; in a web page, its own origin if left out. */
  baseUrl?: string | URL;
  /**
   * Gets a token for this page from your own server: a function, or the address of an endpoint that answers a POST with
   * the answer of `POST /tokens`. Called for the first request, shortly before the token expires, and when it is refused.
   */
  getToken?: GetToken | string | URL;
  /** An API key, on a server. In a web page everybody could read it: give `getToken` there. */
  apiKey?: string;
  /** How often a request is sent again after 429 and 503. Default 2. */
  maxRetries?: number;
  /** Headers of every request. */
  headers?: Record<string, string>;
  /** The function that sends requests. Default: the platform's own `fetch`. */
  fetch?: typeof globalThis.fetch;
}

export interface RequestOptions {
  /** Aborts the request, its retries and its stream. */
  signal?: AbortSignal;
  headers?: Record<string, string>;
}

export type Query = Record<string, string | number | boolean | null | undefined>;

/** Sends one request, as `fetch` does. */
export type Send = (url: string, init: RequestInit) => Promise<Response>;

interface Content extends RequestOptions {
  query?: Query;
  /** A body that is sent as JSON. */
  json?: unknown;
  body?: BodyInit;
  /** In place of `fetch`. */
  send?: Send;
}

const RETRIED_STATUSES = [429, 503];
const FIRST_PAUSE_MS = 500;
/** A response that asks for a longer pause is an error at once. */
const MAX_PAUSE_MS = 20_000;

/** Sends requests with a token, and again where that helps. */
export class Transport {
  readonly baseUrl: string;
  readonly fetch: typeof globalThis.fetch;
  readonly #tokens: TokenStore | null;
  readonly #apiKey: string | null;
  readonly #maxRetries: number;
  readonly #headers: Record<string, string>;

  constructor({ baseUrl, getToken, apiKey, maxRetries = 2, headers = {}, fetch }: ClientOptions) {
    if (apiKey !== undefined && getToken !== undefined) throw new TypeError("Give either apiKey or getToken.");
    if (apiKey !== undefined && typeof document !== "undefined") {
      throw new TypeError("Everybody could read an apiKey in a web page. Give getToken, which asks your own server.");
    }
    this.baseUrl = absolute(baseUrl);
    // called without a receiver, which browsers insist on
    this.fetch = fetch ?? ((input, init) => globalThis.fetch(input, init));
    this.#tokens = getToken === undefined ? null : new TokenStore(getToken, this.fetch);
    this.#apiKey = apiKey ?? null;
    this.#maxRetries = maxRetries;
    this.#headers = headers;
  }

  /** Send a request; return its response, which is `ok`. Throws AiworkerError, and the reason of an abort. */
  async request(method: string, path: string, content: Content = {}): Promise<Response> {
    let retries = 0;
    let isRenewed = false;
    for (;;) {
      const token = await this.#token(content.signal);
      const response = await this.#send(method, path, content, token);
      if (response.ok) return response;
      const error = await responseError(response);
      if (error instanceof UnauthorizedError && this.#tokens && token !== null && !isRenewed) {
        isRenewed = true;
        this.#tokens.discard(token);
        continue;
      }
      const pause = retries < this.#maxRetries ? pauseBefore(retries, error) : null;
      if (pause === null) throw error;
      retries += 1;
      await sleep(pause, content.signal);
    }
  }

  /** Send a request; return the JSON of its response. */
  async json<Reply>(method: string, path: string, content: Content = {}): Promise<Reply> {
    const response = await this.request(method, path, content);
    try {
      return (await response.json()) as Reply;
    } catch (error) {
      throw unreadable(response, content.signal, error);
    }
  }

  /** Send a request; return the bytes of its response, whose type begins with one of these. */
  async blob(method: string, path: string, types: string[], content: Content = {}): Promise<Blob> {
    const response = await this.request(method, path, content);
    checkType(response, types);
    try {
      return await response.blob();
    } catch (error) {
      throw unreadable(response, content.signal, error);
    }
  }

  async #token(signal: AbortSignal | undefined): Promise<string | null> {
    signal?.throwIfAborted();
    if (!this.#tokens) return this.#apiKey;
    return unlessAborted(this.#tokens.get(), signal);
  }

  async #send(method: string, path: string, content: Content, token: string | null): Promise<Response> {
    const { query = {}, json, body, signal, send = this.fetch } = content;
    const url = new URL(this.baseUrl + path);
    for (const [name, value] of Object.entries(query)) {
      if (value !== null && value !== undefined) url.searchParams.set(name, String(value));
    }
    const init: RequestInit = {
      method,
      headers: {
        ...this.#headers,
        ...(json === undefined ? {} : { "content-type": "application/json" }),
        ...(token === null ? {} : { authorization: `Bearer ${token}` }),
        ...content.headers,
      },
      body: json === undefined ? (body ?? null) : JSON.stringify(json),
      signal: signal ?? null,
    };
    try {
      return await send(url.href, init);
    } catch (error) {
      signal?.throwIfAborted();
      const reasons = "this machine is offline, the address is wrong, or the page's origin is not in ALLOWED_ORIGINS";
      throw new ConnectionError(`No answer from ${url.origin}: ${reasons}.`, { cause: error });
    }
  }
}

/** Check that a response has one of these media types, or types with these beginnings. Throws UnexpectedResponseError. */
export function checkType(response: Response, types: string[]): void {
  const type = response.headers.get("content-type") ?? "";
  if (types.some((each) => type.startsWith(each))) return;
  void response.body?.cancel().catch(() => {});
  const message = `${notTheWorker(response)} Its type is ${type || "unknown"}, not ${types.join(" or ")}.`;
  throw new UnexpectedResponseError(message, response);
}

function unreadable(response: Response, signal: AbortSignal | undefined, cause: unknown): unknown {
  if (signal?.aborted) return signal.reason;
  if (cause instanceof SyntaxError) {
    return new UnexpectedResponseError(`${notTheWorker(response)} It is not JSON.`, response, { cause });
  }
  const requestId = response.headers.get("x-request-id");
  return new ConnectionError("The connection broke off before the response was complete.", { cause, requestId });
}

function absolute(baseUrl: string | URL | undefined): string {
  const page = typeof location === "undefined" ? undefined : location.origin;
  const address = baseUrl ?? page;
  if (address === undefined) throw new TypeError("baseUrl is missing: the address of the Worker.");
  if (!URL.canParse(address, page)) throw new TypeError(`baseUrl is not an address: ${address}`);
  const url = new URL(address, page);
  if (!/^https?:$/.test(url.protocol)) throw new TypeError(`baseUrl must begin with https:// or http://: ${address}`);
  return url.origin + url.pathname.replace(/\/+$/, "");
}

/** Return the milliseconds after which a request is sent again; null if that would not help. */
function pauseBefore(retries: number, error: AiworkerError & { status: number | null; retryAfter: number | null }) {
  if (error.status === null || !RETRIED_STATUSES.includes(error.status)) return null;
  if (error.retryAfter !== null) {
    const pause = error.retryAfter * 1000;
    return pause <= MAX_PAUSE_MS ? pause : null;
  }
  // a budget lasts for a day; a Worker that is closed, or has a wrong setting, stays so
  if (error instanceof BudgetExceededError || error instanceof UnavailableError) return null;
  const jitter = 0.75 + Math.random() / 2;
  return FIRST_PAUSE_MS * 2 ** retries * jitter;
}

/** Wait. Throws the signal's reason as soon as it is aborted. */
export function sleep(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  let timer: ReturnType<typeof setTimeout>;
  const over = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, milliseconds);
  });
  return unlessAborted(over, signal).finally(() => clearTimeout(timer));
}

/** Return the value of a promise. Throws the signal's reason as soon as it is aborted. */
function unlessAborted<Value>(promise: Promise<Value>, signal: AbortSignal | undefined): Promise<Value> {
  if (!signal) return promise;
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort, { once: true });
    const removeListener = () => signal.removeEventListener("abort", abort);
    promise.then(resolve, reject).finally(removeListener);
  });
}
