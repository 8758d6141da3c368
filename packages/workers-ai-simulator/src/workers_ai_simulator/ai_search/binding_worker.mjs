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

  async chat(method, path, { body }) {
    const response = await this.fetch(method, path, { body });
    return body?.stream ? response.body : response.json();
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

/** Content of an upload, of any type, as a Blob. */
const blobOf = async (content) =>
  content instanceof ReadableStream ? new Response(content).blob() : new Blob([content]);

/** Object of AI Search → its `{api, path}`, which callers do not see. */
const places = new WeakMap();

class Resource extends RpcTarget {
  constructor(api, path) {
    super();
    places.set(this, { api, path });
  }
}

/** `{api, path}` of a resource, or of the instance that a binding of its own stands for. */
const placeOf = (target) =>
  places.get(target) ?? { api: new Api(target.env), path: `/instances/${part(target.env.INSTANCE)}` };

const inBody = (body) => ({ body });
const inQuery = (query) => ({ query });

/** Give a class methods that are one call each: name → [method of Api, HTTP method, path below, what its argument is]. */
const forward = ({ prototype }, methods) => {
  for (const [name, [answer, method, below, request = () => ({})]] of Object.entries(methods))
    prototype[name] = function (argument) {
      const { api, path } = placeOf(this);
      return api[answer](method, path + below, request(argument));
    };
};

/** Give a class properties that are resources below it. */
const contain = ({ prototype }, resources) => {
  for (const [name, Class] of Object.entries(resources))
    Object.defineProperty(prototype, name, {
      get() {
        const { api, path } = placeOf(this);
        return new Class(api, `${path}/${name}`);
      },
    });
};

class Item extends Resource {
  async download() {
    const { api, path } = placeOf(this);
    const { headers, body } = await api.fetch("GET", `${path}/download`);
    const filename = JSON.parse(`"${headers.get("x-filename")}"`);
    const [contentType] = headers.get("content-type").split(";");
    return { body, contentType, filename, size: Number(headers.get("content-length")) };
  }
}
forward(Item, {
  info: ["result", "GET", ""],
  sync: ["result", "PATCH", "", () => inBody({ next_action: "INDEX" })],
  logs: ["page", "GET", "/logs", inQuery],
  chunks: ["page", "GET", "/chunks", inQuery],
});

class Items extends Resource {
  async upload(name, content, { metadata } = {}) {
    const { api, path } = placeOf(this);
    const body = new FormData();
    body.append("file", await blobOf(content), name);
    if (metadata) body.append("metadata", JSON.stringify(metadata));
    return api.result("POST", path, { body });
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
    const { api, path } = placeOf(this);
    return new Item(api, `${path}/${part(id)}`);
  }
  async delete(id) {
    const { api, path } = placeOf(this);
    await api.fetch("DELETE", `${path}/${part(id)}`);
  }
}
forward(Items, { list: ["page", "GET", "", inQuery] });

class Job extends Resource {}
forward(Job, {
  info: ["result", "GET", ""],
  logs: ["page", "GET", "/logs", inQuery],
  cancel: ["result", "PATCH", "", () => inBody({ action: "cancel" })],
});

class Jobs extends Resource {
  get(id) {
    const { api, path } = placeOf(this);
    return new Job(api, `${path}/${part(id)}`);
  }
}
forward(Jobs, { list: ["page", "GET", "", inQuery], create: ["result", "POST", "", (params = {}) => inBody(params)] });

class Instance extends Resource {}

/** The binding `ai_search`: one instance. */
export class AiSearchInstance extends WorkerEntrypoint {}

for (const Class of [Instance, AiSearchInstance]) {
  forward(Class, {
    search: ["result", "POST", "/search", inBody],
    chatCompletions: ["chat", "POST", "/chat/completions", inBody],
    update: ["result", "PUT", "", inBody],
    info: ["result", "GET", ""],
    stats: ["result", "GET", "/stats"],
  });
  contain(Class, { items: Items, jobs: Jobs });
}

/** The binding `ai_search_namespaces`: all instances of a namespace. */
export class AiSearchNamespace extends WorkerEntrypoint {
  constructor(context, env) {
    super(context, env);
    places.set(this, { api: new Api(env), path: "" });
  }
  get(name) {
    return new Instance(placeOf(this).api, `/instances/${part(name)}`);
  }
  async create(config) {
    await placeOf(this).api.fetch("POST", "/instances", { body: config });
    return this.get(config.id);
  }
  async delete(name) {
    await placeOf(this).api.fetch("DELETE", `/instances/${part(name)}`);
  }
}
forward(AiSearchNamespace, {
  list: ["page", "GET", "/instances", inQuery],
  search: ["result", "POST", "/search", inBody],
  chatCompletions: ["chat", "POST", "/chat/completions", inBody],
});

export default {};
