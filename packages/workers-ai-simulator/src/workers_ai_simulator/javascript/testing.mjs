// Client of a running simulator's own API, and fixtures for node:test and vitest. It needs only fetch, so that it also
// runs inside workerd; modules of Node.js are loaded only to start a simulator.

const UNEXPECTED = "600: ";
const DEFAULT_WAIT = 20;
/** Flags of JavaScript's regular expressions that Python's have too. */
const FLAGS = /[ims]/g;

/** See testing.d.mts. */
export class SimulatorError extends Error {
  name = "SimulatorError";

  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/** See testing.d.mts. */
export class SimulatorClient {
  #url;
  #since;

  constructor(url) {
    this.#url = url?.replace(/\/$/, "");
  }

  get url() {
    if (!this.#url) throw new SimulatorError("The simulator has not started yet: use it inside a test.");
    return this.#url;
  }

  // ---- scripted answers ----

  async setAnswer(answer) {
    const [id] = await this.setAnswers([answer]);
    return id;
  }

  async setAnswers(answers) {
    const added = await this.#call("POST", "/answers", answers.map(withPattern));
    return added.answers.map(({ id }) => id);
  }

  async setStrict(strict = true) {
    await this.#call("POST", "/answers", { strict, answers: [] });
  }

  async answers() {
    return (await this.#call("GET", "/answers")).answers;
  }

  async clearAnswers() {
    await this.#call("DELETE", "/answers");
  }

  async assertAnswersUsed() {
    const calls = await this.#modelCalls();
    const unexpected = calls.filter(({ error }) => error.startsWith(UNEXPECTED));
    if (unexpected.length > 0)
      throw assertion(unexpected.map(({ error }) => error.slice(UNEXPECTED.length)).join("\n"));
    const unused = (await this.answers()).filter(({ remaining }) => remaining);
    if (unused.length > 0)
      throw assertion(`Answers that no call got: ${unused.map((each) => JSON.stringify(each)).join("; ")}`);
  }

  async assertAsked({ model, prompt, pattern, times } = {}) {
    const calls = await this.#modelCalls(model);
    const expression = pattern === undefined ? undefined : new RegExp(pattern);
    const matches = calls.filter(
      (each) => each.prompt.includes(prompt ?? "") && (!expression || expression.test(each.prompt)),
    );
    if (times === undefined ? matches.length > 0 : matches.length === times) return matches;
    const sought = JSON.stringify({ model, prompt, pattern: expression?.source, times });
    const listed = calls.map((each) => `\n  ${each.model}: ${JSON.stringify(each.prompt.slice(0, 200))}`).join("");
    throw assertion(`${matches.length} calls match ${sought}. Calls made:${listed || " none"}`);
  }

  // ---- faults ----

  async setFault(fault) {
    return (await this.#call("POST", "/faults", fault)).id;
  }

  faults() {
    return this.#call("GET", "/faults");
  }

  async clearFaults() {
    await this.#call("DELETE", "/faults");
  }

  // ---- requests ----

  requests({ seconds = 0, since = this.#since, ...criteria } = {}) {
    return this.#call("GET", "/requests", undefined, { since, seconds, ...criteria });
  }

  request(id, { state, seconds = DEFAULT_WAIT } = {}) {
    return this.#call("GET", `/requests/${encodeURIComponent(id)}`, undefined, { state, seconds });
  }

  async waitForRequest({ seconds = DEFAULT_WAIT, ...criteria } = {}) {
    const matches = await this.requests({ since: this.#since ?? 0, seconds, ...criteria });
    if (matches.length === 0) throw new SimulatorError(`No such request came within ${seconds} s`);
    return matches.at(-1);
  }

  async ignorePastRequests() {
    const numbers = (await this.requests()).map(({ number }) => number);
    this.#since = Math.max(this.#since ?? 0, ...numbers) || undefined;
  }

  async reset() {
    await this.clearFaults();
    await this.clearAnswers();
    await this.ignorePastRequests();
  }

  /** Take the address of a simulator that has just started. */
  connect(url) {
    this.#url = url.replace(/\/$/, "");
  }

  #modelCalls(model) {
    return this.requests({ binding: "AI", operation: "run", model });
  }

  async #call(method, path, body, query = {}) {
    const url = new URL(`${this.url}/simulator${path}`);
    for (const [name, value] of Object.entries(query))
      if (value !== undefined) url.searchParams.set(name, String(value));
    const headers = { "content-type": "application/json" };
    let response;
    try {
      response = await fetch(url, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
    } catch (error) {
      throw new SimulatorError(`No simulator answers on ${this.url}: ${error.cause?.message ?? error.message}`);
    }
    const text = await response.text();
    if (!response.ok) throw new SimulatorError(reason(text, url, response.status), response.status);
    return text ? JSON.parse(text) : undefined;
  }
}

function reason(text, url, status) {
  try {
    return JSON.parse(text).error ?? text;
  } catch {
    return `${url} answers ${status}: is this a simulator?`;
  }
}

/** The answer with a regular expression as Python has it. Throws SimulatorError if it is no object. */
function withPattern(parts) {
  if (typeof parts !== "object" || parts === null)
    throw new SimulatorError(`An answer is an object of its parts, such as { text: "Hello" }, and not ${parts}.`);
  const { pattern, ...answer } = parts;
  if (pattern === undefined) return answer;
  if (typeof pattern === "string") return { ...answer, pattern };
  const flags = pattern.flags.match(FLAGS)?.join("") ?? "";
  const source = pattern.source
    .replaceAll("(?<", "(?P<")
    .replaceAll(/\(\?P<([=!])/g, "(?<$1")
    .replaceAll("\\/", "/");
  return { ...answer, pattern: `${flags ? `(?${flags})` : ""}${source}` };
}

function assertion(message) {
  const error = new Error(message);
  error.name = "AssertionError";
  return error;
}

/** See testing.d.mts. */
export async function startSimulator(args = []) {
  const { startSimulator: start } = await import("./python.mjs");
  const quick = ["--port", "0", "--tokens-per-second", "0", "--vectorize-delay", "0"];
  const { url, stop } = await start([...quick, ...args], { print: console.error });
  return { url, stop };
}

/** See testing.d.mts. */
export function useSimulator(hooks, { url, strict = false, args = [] } = {}) {
  const client = new SimulatorClient(url);
  const { beforeAll = hooks.before, afterAll = hooks.after, beforeEach, afterEach } = hooks;
  let started;
  beforeAll(async () => {
    if (url) return;
    started = await startSimulator(args);
    client.connect(started.url);
  });
  beforeEach(async () => {
    await client.reset();
    if (strict) await client.setStrict();
  });
  afterEach(async () => {
    try {
      if (strict) await client.assertAnswersUsed();
    } finally {
      await client.clearFaults();
      await client.clearAnswers();
    }
  });
  afterAll(() => started?.stop());
  return client;
}
