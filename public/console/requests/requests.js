// The screen Requests: the requests of this page, with times, costs and headers.

import { getJson, hasKey, records } from "../api.js";
import {
  barButton,
  button,
  bytesText,
  dollarsText,
  formatted,
  h,
  icon,
  neuronsText,
  secondsText,
  shortName,
  timeText,
} from "../dom.js";
import { codeBlock } from "../markdown.js";
import { chatCall, decideCall, extractCall, imageCall, speakCall } from "../openai.js";
import { failure, field } from "../parts.js";
import { showCode } from "../snippets.js";
import { worker } from "../worker.js";

/** Headers of responses that say something about the call, in this order. */
const TELLING = [
  "x-model",
  "x-real-model",
  "x-neurons",
  "x-gateway-cache",
  "x-gateway-log-id",
  "x-ai-request-id",
  "x-request-id",
  "server-timing",
  "warning",
];

export function show({ root, actions }) {
  const list = h("ul", { class: "requests" });
  const blank = h(
    "div",
    { class: "blank" },
    icon("requests"),
    h("p", null, "Requests of this page appear here: ask something in Chat, or run a card of Home."),
  );
  const note = h("p", { class: "hint" }, "Sent by this page since it was loaded; keys are never shown.");
  const isOwn = h("input", { type: "checkbox", id: "all-requests", onchange: update });
  const filter = h(
    "div",
    { class: "check" },
    isOwn,
    h("label", { htmlFor: "all-requests" }, "Also those that only read"),
  );
  let open = null;

  function update() {
    const wanted = records.all.filter(({ method }) => isOwn.checked || method !== "GET");
    blank.hidden = wanted.length > 0;
    list.replaceChildren(...wanted.map(item));
  }

  function item(record) {
    const node = h(
      "details",
      { class: "request", open: record === open },
      summary(record),
      record === open && body(record),
    );
    node.addEventListener("toggle", () => {
      if (!node.open || node.children.length > 1) return;
      open = record;
      node.append(body(record));
    });
    return h("li", null, node);
  }

  root.append(
    h("div", { class: "page narrow" }, simulatorLine(), h("div", { class: "row spread" }, note, filter), list, blank),
  );
  const clear = () => {
    records.all.length = 0;
    update();
  };
  actions.append(barButton("Clear", clear, "trash"));
  records.addEventListener("change", update);
  update();
  return () => records.removeEventListener("change", update);
}

/** Name → a fault of the simulator. */
const FAULTS = {
  "Refused with 429: out of capacity": { status: 429, code: 3036, count: 9 },
  "Refused with 500": { status: 500, code: 8007, count: 9 },
  "Cut after five pieces of a stream": { cut_after_frames: 5 },
  "Late, by five seconds": { delay: 5 },
};

const faultCode = (url, fault) =>
  `curl ${url}/simulator/faults -H 'content-type: application/json' \\\n  -d '${JSON.stringify(fault)}'`;

/** Where the simulator shows the calls that the Worker made, and how to let the next ones fail, if one runs. */
function simulatorLine() {
  const url = worker.health.simulator;
  if (!url) return null;
  const code = h("div");
  const kind = h(
    "select",
    { onchange: () => code.replaceChildren(codeBlock(faultCode(url, FAULTS[kind.value]), "bash")) },
    Object.keys(FAULTS).map((name) => h("option", { value: name }, name)),
  );
  kind.dispatchEvent(new Event("change"));
  return h(
    "section",
    { class: "card", "aria-label": "Simulator" },
    h(
      "p",
      null,
      "The calls that the Worker made behind these requests: ",
      h("a", { href: url, target: "_blank", rel: "noopener" }, "the simulator's page"),
    ),
    h(
      "details",
      null,
      h("summary", null, "Let the next calls fail"),
      field("How", kind),
      code,
      h(
        "p",
        { class: "hint" },
        "In a shell: no web page may set a fault. The Worker tries again, so that a single fault is not seen. The simulator's page clears what is left.",
      ),
    ),
  );
}

const header = (record, name) => record.headers?.find(([key]) => key === name)?.[1];

/** How often the Worker called models again; null if it did not. */
function retriesText(record) {
  const [, count] = /retries;desc="(\d+)"/.exec(header(record, "server-timing")) ?? [];
  if (!count) return null;
  return count === "1" ? "1 retry" : `${count} retries`;
}

function summary(record) {
  const { method, path, status, error, start, end } = record;
  const kind = status === null ? "plain" : status < 400 ? "" : "bad";
  const neurons = header(record, "x-neurons");
  const model = header(record, "x-model");
  const facts = [
    model && shortName(model),
    retriesText(record),
    neurons && neuronsText(Number(neurons)),
    header(record, "x-gateway-cache"),
  ];
  return h(
    "summary",
    null,
    h("span", { class: `pill ${kind}` }, String(status ?? (error ? "–" : "…"))),
    h("code", { class: "grow" }, `${method} ${path}`),
    h(
      "span",
      { class: "facts" },
      facts.filter(Boolean).map((fact) => h("span", null, fact)),
    ),
    h("span", { class: "hint" }, end ? secondsText(end - start) : "running"),
  );
}

function body(record) {
  const headers = TELLING.map((name) => [name, header(record, name)]).filter(([, value]) => value);
  return h(
    "div",
    { class: "stack" },
    record.error && h("p", { class: "reason" }, record.error),
    waterfall(record),
    headers.length > 0 &&
      h(
        "dl",
        { class: "pairs" },
        headers.flatMap(([name, value]) => [h("dt", null, name), h("dd", null, value)]),
      ),
    record.status < 400 && h("div", { class: "row" }, codeButton(record), simulatorLink(record)),
    header(record, "x-gateway-log-id") && gatewaySection(record),
    record.sent && codeBlock(pretty(record.sent), "json"),
  );
}

// ---- the gateway's log ------------------------------------------------------------------------

/** Record → a promise of its log. The list is made anew with every request, including the one that reads a log. */
const logs = new WeakMap();

function gatewayLog(record) {
  const path = `/logs/${encodeURIComponent(header(record, "x-gateway-log-id"))}`;
  if (!logs.has(record))
    logs.set(
      record,
      Promise.resolve().then(() => getJson(path)),
    );
  return logs.get(record);
}

/** AI Gateway's log of a request's model call, which only an admin key may read. */
function gatewaySection(record) {
  const content = h("div", { "aria-live": "polite" }, h("p", { class: "hint" }, "Reading the log…"));
  const read = async () => {
    try {
      content.replaceChildren(logFacts(await gatewayLog(record)));
    } catch (error) {
      const type = error.details?.type;
      if (type === "forbidden" || (type === "unauthorized" && !hasKey()))
        return content.replaceChildren(h("p", { class: "hint" }, "Only an admin key may read the gateway's log."));
      // a log exists only when the answer has ended
      const again = () => {
        logs.delete(record);
        read();
      };
      content.replaceChildren(failure(error, again));
    }
  };
  read();
  return h("section", { class: "stack", "aria-label": "Gateway" }, h("h3", null, "Gateway"), content);
}

function logFacts(log) {
  const facts = {
    Model: `${log.provider}/${log.model}`.replace("workers-ai/@cf", "@cf"),
    Status: [log.status_code, log.success ? "success" : "failure", log.cached && "from its cache"]
      .filter(Boolean)
      .join(", "),
    Duration: log.duration === undefined ? null : secondsText(log.duration),
    Tokens:
      log.tokens_in === undefined ? null : `${formatted(log.tokens_in)} in, ${formatted(log.tokens_out ?? 0)} out`,
    Cost: log.cost === undefined ? null : dollarsText(log.cost),
    Rating: [log.feedback && `feedback ${log.feedback}`, log.score && `score ${log.score}`].filter(Boolean).join(", "),
    Metadata: log.metadata && Object.keys(log.metadata).length ? JSON.stringify(log.metadata) : null,
    Time: log.created_at ? timeText(log.created_at) : null,
  };
  const shown = Object.entries(facts).filter(([, value]) => value);
  return h(
    "dl",
    { class: "pairs" },
    shown.flatMap(([name, value]) => [h("dt", null, name), h("dd", null, value)]),
  );
}

/** Show the request as code; null for one whose body is a file or a form, or too long to be kept. */
function codeButton({ method, path, sent, headers }) {
  const json = parsed(sent);
  if (!headers || !["GET", "POST"].includes(method) || (sent && !json)) return null;
  const type = headers.find(([name]) => name === "content-type")?.[1] ?? "";
  const kinds = { "text/event-stream": "stream", "application/json": "json" };
  const answer = kinds[type.split(";")[0]] ?? "file";
  const openai = json && CALLS[path]?.({ ...json, ...(answer === "stream" ? { stream: true } : {}) });
  const call = { method, path, json, answer, saveAs: "answer", openai };
  return button("Code", () => showCode(call), { class: "quiet small" }, "code");
}

/** Path → the call of OpenAI's SDK that does the same. */
const CALLS = {
  "/chat": chatCall,
  "/decide": decideCall,
  "/extract": extractCall,
  "/image": (body) => imageCall(body, {}),
  "/speak": speakCall,
};

/** A link to the model's call on the simulator's page, if a simulator runs. */
function simulatorLink(record) {
  const url = worker.health.simulator;
  const id = header(record, "x-ai-request-id");
  if (!url || !id) return null;
  const href = `${url}/#requests/${encodeURIComponent(id)}`;
  return h("a", { class: "button quiet small", href, target: "_blank", rel: "noopener" }, icon("open"), "Simulator");
}

/** The value of a JSON text; null for any other text. */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function pretty(text) {
  const value = parsed(text);
  return value === null ? text : JSON.stringify(value, null, 2);
}

/** The phases of a request one below the other, each beginning where the one before ends. */
function waterfall({ start, head, firstByte, end, size, headers }) {
  if (!head || !end) return null;
  const model = Number(/model;dur=([\d.]+)/.exec(headers.find(([name]) => name === "server-timing")?.[1])?.[1] ?? 0);
  const wait = head - start;
  const phases = [
    ["Worker and network", Math.max(0, wait - model)],
    ["Model begins", Math.min(model, wait)],
    ["First byte", Math.max(0, (firstByte ?? head) - head)],
    [`Body, ${bytesText(size)}`, end - (firstByte ?? head)],
  ];
  const total = Math.max(end - start, 1);
  let at = 0;
  const rows = phases.map(([name, duration]) => {
    const bar = h("span", { class: "phase" });
    bar.style.marginInlineStart = `${(100 * at) / total}%`;
    bar.style.width = `${Math.max((100 * duration) / total, 0.5)}%`;
    at += duration;
    return h(
      "li",
      null,
      h("span", null, name),
      h("span", { class: "lane" }, bar),
      h("span", { class: "hint" }, secondsText(duration)),
    );
  });
  return h("ol", { class: "waterfall", "aria-label": "Timing" }, rows);
}
