import { TokenError } from "./errors.js";

/** A browser token: the answer of `POST /tokens`, which a token endpoint may hand on as it is. */
export interface Token {
  token: string;
  /** ISO 8601. Without it, the token is renewed when the Worker refuses it. */
  expires_at?: string;
}

/** A function that gets a new token from your own server. */
export type GetToken = () => Token | string | Promise<Token | string>;

/** Milliseconds before its expiry at which a token is renewed. */
const RENEW_BEFORE_MS = 30_000;

/** Keeps one token, and gets the next one in time. */
export class TokenStore {
  readonly #getToken: GetToken;
  #current: { token: string; renewAt: number } | null = null;
  #pending: Promise<string> | null = null;

  /** getToken: a function, or the address of an endpoint that answers a POST with a token. */
  constructor(getToken: GetToken | string | URL, fetch: typeof globalThis.fetch) {
    this.#getToken = typeof getToken === "function" ? getToken : () => fromEndpoint(getToken, fetch);
  }

  /** Return a token. Requests that need one at the same time share one call. Throws TokenError. */
  async get(): Promise<string> {
    if (this.#current && Date.now() < this.#current.renewAt) return this.#current.token;
    this.#pending ??= this.#renew().finally(() => {
      this.#pending = null;
    });
    return this.#pending;
  }

  /** Delete a token that the Worker has refused, unless another has taken its place. */
  discard(token: string): void {
    if (this.#current?.token === token) this.#current = null;
  }

  async #renew(): Promise<string> {
    const answer = await this.#call();
    const { token, expires_at }: Partial<Token> = typeof answer === "string" ? { token: answer } : { ...answer };
    if (typeof token !== "string" || token === "") throw new TokenError("getToken has not returned a token.");
    const expires = expires_at === undefined ? Number.NaN : Date.parse(expires_at);
    this.#current = { token, renewAt: Number.isNaN(expires) ? Number.POSITIVE_INFINITY : expires - RENEW_BEFORE_MS };
    return token;
  }

  async #call(): Promise<Token | string> {
    try {
      return await this.#getToken();
    } catch (error) {
      if (error instanceof TokenError) throw error;
      throw new TokenError(`getToken has failed: ${error instanceof Error ? error.message : error}`, { cause: error });
    }
  }
}

async function fromEndpoint(url: string | URL, fetch: typeof globalThis.fetch): Promise<Token> {
  const response = await fetch(url, { method: "POST" });
  if (!response.ok) {
    throw new TokenError(`${url} has answered with HTTP status ${response.status}, not with a token.`, {
      status: response.status,
    });
  }
  return (await response.json()) as Token;
}
