// The Worker behind the bindings `ai_search_namespaces` and `ai_search`: classes with the methods of AI Search, called over
// RPC as on Cloudflare, that send each call to the simulator. miniflare_plugin.cjs binds SIMULATOR, NAMESPACE and INSTANCE.
import { RpcTarget, WorkerEntrypoint } from "cloudflare:workers";

/** Error class of a status, as the documentation of AI Search has it. */
const errorName = (status) => {
  if (status === 404) return "AiSearchNotFoundError";
  return status >= 500 ? "AiSearchInternalError" : "AiSearchError";
};

const part = encodeURIComponent;

class Api {
  constructor({ SIMULATOR, NAMESPACE }) {
    this.simulator = SIMULATOR;
    this.root = `http://localhost/client/v4/accounts/binding/ai-search/namespaces/${part(NAMESPACE)}`;
  }

  /** Response to a call. Throws what the service answers with a status other than 2xx. */
  async fetch(method, path, { body, query = {} } = {}) {
    const url = new URL(this.root + path);
    for (const [name, value] of Object.entries(query)) if (value !== undefined) url.searchParams.set(name, value);
    const headers = { authorization: "Bearer binding" };
    const isForm = body instanceof FormData;
    if (body !== undefined && !isForm) headers["content-type"] = "application/json";
    const sent = body === undefined || isForm ? body : JSON.stringify(body);
    const response = await this.simulator.fetch(url, { method, headers, body: sent });
    if (response.ok) return response;
    const text = await response.text();
    const error = new Error(messageOf(text));
    error.name = errorName(response.status);
    throw error;
  }

  async json(...call) {
    return (await this.fetch(...call)).json();
  }

  async result(...call) {
    return (await this.json(...call)).result;
  }

  async page(...call) {
    const { result, result_info } = await this.json(...call);
    return { result, result_info };
  }

  async chat(path, params) {
    const response = await this.fetch("POST", `${path}/chat/completions`, { body: params });
    return params?.stream ? response.body : response.json();
  }
}

function messageOf(text) {
  try {
    const [error] = JSON.parse(text).errors;
    return error.message;
  } catch {
    return text.slice(0, 200);
  }
}

/** Content of an upload as a Blob, whatever it is given as. */
const blobOf = async (content) =>
  content instanceof ReadableStream ? new Response(content).blob() : new Blob([content]);

class Item extends RpcTarget {
  #api;
  #path;
  constructor(api, path) {
    super();
    this.#api = api;
    this.#path = path;
  }
  info() {
    return this.#api.result("GET", this.#path);
  }
  sync() {
    return this.#api.result("PATCH", this.#path, { body: { next_action: "INDEX" } });
  }
  logs(query) {
    return this.#api.page("GET", `${this.#path}/logs`, { query });
  }
  chunks(query) {
    return this.#api.page("GET", `${this.#path}/chunks`, { query });
  }
  async download() {
    const response = await this.#api.fetch("GET", `${this.#path}/download`);
    const { headers, body } = response;
    const filename = JSON.parse(`"${headers.get("x-filename")}"`);
    const [contentType] = headers.get("content-type").split(";");
    return { body, contentType, filename, size: Number(headers.get("content-length")) };
  }
}

class Items extends RpcTarget {
  #api;
  #path;
  constructor(api, path) {
    super();
    this.#api = api;
    this.#path = path;
  }
  list(query) {
    return this.#api.page("GET", this.#path, { query });
  }
  async upload(name, content, { metadata } = {}) {
    const body = new FormData();
    body.append("file", await blobOf(content), name);
    if (metadata) body.append("metadata", JSON.stringify(metadata));
    return this.#api.result("POST", this.#path, { body });
  }
  async uploadAndPoll(name, content, { pollIntervalMs = 1000, timeoutMs = 30_000, ...options } = {}) {
    const deadline = Date.now() + timeoutMs;
    let item = await this.upload(name, content, options);
    while (["queued", "running"].includes(item.status) && Date.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, pollIntervalMs));
      item = await this.get(item.id).info();
    }
    return item;
  }
  get(id) {
    return new Item(this.#api, `${this.#path}/${part(id)}`);
  }
  async delete(id) {
    await this.#api.fetch("DELETE", `${this.#path}/${part(id)}`);
  }
}

class Job extends RpcTarget {
  #api;
  #path;
  constructor(api, path) {
    super();
    this.#api = api;
    this.#path = path;
  }
  info() {
    return this.#api.result("GET", this.#path);
  }
  logs(query) {
    return this.#api.page("GET", `${this.#path}/logs`, { query });
  }
  cancel() {
    return this.#api.result("PATCH", this.#path, { body: { action: "cancel" } });
  }
}

class Jobs extends RpcTarget {
  #api;
  #path;
  constructor(api, path) {
    super();
    this.#api = api;
    this.#path = path;
  }
  list(query) {
    return this.#api.page("GET", this.#path, { query });
  }
  create(params = {}) {
    return this.#api.result("POST", this.#path, { body: params });
  }
  get(id) {
    return new Job(this.#api, `${this.#path}/${part(id)}`);
  }
}

/** Methods of an instance, for a class that has `api` and `path`. */
const withInstanceMethods = (Base, access) =>
  class extends Base {
    search(params) {
      const { api, path } = access(this);
      return api.result("POST", `${path}/search`, { body: params });
    }
    chatCompletions(params) {
      const { api, path } = access(this);
      return api.chat(path, params);
    }
    update(config) {
      const { api, path } = access(this);
      return api.result("PUT", path, { body: config });
    }
    info() {
      const { api, path } = access(this);
      return api.result("GET", path);
    }
    stats() {
      const { api, path } = access(this);
      return api.result("GET", `${path}/stats`);
    }
    get items() {
      const { api, path } = access(this);
      return new Items(api, `${path}/items`);
    }
    get jobs() {
      const { api, path } = access(this);
      return new Jobs(api, `${path}/jobs`);
    }
  };

/** Instance → its `{api, path}`, which callers do not see. */
const instances = new WeakMap();

class Instance extends withInstanceMethods(RpcTarget, (instance) => instances.get(instance)) {
  constructor(api, id) {
    super();
    instances.set(this, { api, path: `/instances/${part(id)}` });
  }
}

/** The binding `ai_search`: one instance. */
export class AiSearchInstance extends withInstanceMethods(WorkerEntrypoint, ({ env }) => ({
  api: new Api(env),
  path: `/instances/${part(env.INSTANCE)}`,
})) {}

/** The binding `ai_search_namespaces`: all instances of a namespace. */
export class AiSearchNamespace extends WorkerEntrypoint {
  get(name) {
    return new Instance(new Api(this.env), name);
  }
  list(query) {
    return new Api(this.env).page("GET", "/instances", { query });
  }
  async create(config) {
    await new Api(this.env).fetch("POST", "/instances", { body: config });
    return this.get(config.id);
  }
  async delete(name) {
    await new Api(this.env).fetch("DELETE", `/instances/${part(name)}`);
  }
  search(params) {
    return new Api(this.env).result("POST", "/search", { body: params });
  }
  chatCompletions(params) {
    return new Api(this.env).chat("", params);
  }
}

export default {};
