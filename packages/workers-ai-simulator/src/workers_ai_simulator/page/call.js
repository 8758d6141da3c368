// The view of one call: its request, its answer, and actions such as a replay.

import { attempt, bytesText, counted, element, h, reachable, secondsText, snippet } from "./elements.js";
import { abridged, indented, parsed, readableBody } from "./json_text.js";
import { scriptFor, setFaultFor } from "./next_answers.js";
import { getJson, send } from "./simulator.js";
import { fromAnswer, fromFrames } from "./stream.js";

/** Milliseconds between two loads of a call that changes. */
const LOAD_PAUSE = 400;
/** Characters of a text that are shown; the button copies all. */
const MAX_SHOWN = 20_000;
const MAX_SHOWN_FRAMES = 300;

/** Show a call in that element. Returns a function to be called with its entry when it changes. */
export function openCall(entry, root) {
  const call = new OpenedCall(entry, root);
  return (changed) => call.changed(changed);
}

class OpenedCall {
  #version = "";
  #loaded = "";
  #timer = null;
  #exchange = null;

  constructor(entry, root) {
    this.entry = entry;
    this.root = root;
    this.path = `simulator/requests/${encodeURIComponent(entry.id)}`;
    this.outcome = h("p", { class: "outcome", role: "status" });
    this.editor = h("div", {});
    this.parts = h("div", { class: "parts" });
    this.actions = h("div", { class: "buttons" });
    root.append(this.actions, this.editor, this.parts);
  }

  /** Load the call again if it has changed, not more often than each LOAD_PAUSE. */
  changed(entry) {
    this.entry = entry;
    const version = `${entry.state} ${entry.frames} ${entry.scripted}`;
    if (version === this.#version) return;
    this.#version = version;
    this.#timer ??= setTimeout(() => this.#load(), this.#exchange ? LOAD_PAUSE : 0);
  }

  async #load() {
    this.#timer = null;
    if (!this.root.isConnected) return;
    try {
      this.#exchange = await getJson(`${this.path}/exchange`);
      this.#show();
    } catch (error) {
      this.parts.replaceChildren(element("p", error.message, "trouble"));
    }
  }

  #show() {
    const text = JSON.stringify(this.#exchange);
    if (text === this.#loaded) return;
    this.#loaded = text;
    if (!this.actions.children.length) this.#showActions();
    const { call, request, answer, media, replay } = this.#exchange;
    const kept = request ? [] : [element("p", `Of this call, ${replay}.`, "hint")];
    const left = part("Request", [...inputs(call), ...pictures(media, "request"), ...(request ? [wire(request)] : [])]);
    const right = part("Answer", [...kept, ...(answer ? answerParts(answer, media) : [])]);
    this.parts.replaceChildren(left, right);
  }

  #showActions() {
    const { call, replay, request } = this.#exchange;
    const button = (text, onclick, disabled = false) =>
      h("button", { type: "button", class: "quiet", onclick, disabled }, text);
    const isText = typeof request?.body === "string" && request.bytes === request.kept_bytes;
    this.actions.append(
      button("Replay", () => this.#replay({}), Boolean(replay)),
      button("Edit and replay", () => this.#edit(), !isText),
      ...(call.model ? [button("Script its next answer", () => scriptFor(call))] : []),
      button("Set a fault for it", () => setFaultFor(call)),
      this.outcome,
    );
  }

  async #replay(changes) {
    await attempt(this.outcome, async () => {
      const { requests } = await send("POST", `${this.path}/replay`, changes);
      if (!requests.length) return "Replayed: the gateway's cache has answered, as its log says.";
      this.editor.replaceChildren();
      const address = `#requests/${encodeURIComponent(requests.at(-1))}`;
      return ["Replayed: ", h("a", { href: address }, "open the new call")];
    });
  }

  #edit() {
    const { call, request } = this.#exchange;
    const value = parsed(request.body);
    const body = h("textarea", { rows: "12", spellcheck: "false", "aria-label": "Body of the request" });
    body.value = value === undefined ? request.body : indented(value);
    const canName = call.model && (request.headers["cf-consn-model-id"] || request.path.endsWith(call.model));
    const model = h("input", { list: "model-ids", autocomplete: "off", spellcheck: "false" });
    model.value = call.model;
    const close = () => this.editor.replaceChildren();
    const submit = (event) => {
      event.preventDefault();
      const changes = { body: body.value };
      if (canName && model.value !== call.model) changes.model = model.value;
      this.#replay(changes);
    };
    this.editor.replaceChildren(
      h(
        "form",
        { class: "editor", "aria-label": "Edit and replay", onsubmit: submit },
        canName && h("label", null, "Model ", model),
        h("label", null, "Body ", body),
        h(
          "div",
          { class: "buttons" },
          h("button", { type: "submit" }, "Send"),
          h("button", { type: "button", class: "quiet", onclick: close }, "Cancel"),
        ),
      ),
    );
    body.setSelectionRange(0, 0);
    body.focus();
  }
}

function part(title, children) {
  return h("section", { "aria-label": title }, h("h3", null, title), ...children);
}

// ---- the request ------------------------------------------------------------------------------

function inputs({ inputs, options }) {
  const shown = [shortSnippet("Inputs", indented(inputs), abridged(inputs))];
  return Object.keys(options).length ? [...shown, shortSnippet("Options", indented(options))] : shown;
}

function wire({ method, path, headers, body, bytes, kept_bytes }) {
  const lines = [`${method} ${path}`, ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`)];
  const shown = body === null ? `<${bytesText(bytes)} that are no text>` : readableBody(body);
  const text = bytes ? `${lines.join("\n")}\n\n${body ?? shown}` : lines.join("\n");
  return folded("HTTP request", [
    keptNote(bytes, kept_bytes),
    shortSnippet("HTTP request", text, bytes ? `${lines.join("\n")}\n\n${shown}` : text),
  ]);
}

// ---- the answer -------------------------------------------------------------------------------

function answerParts(answer, media) {
  const value = answer.frames ? undefined : parsed(answer.body ?? "");
  const written = answer.frames ? fromFrames(answer.frames) : fromAnswer(value);
  return [
    keptNote(answer.bytes, answer.kept_bytes),
    ...pictures(media, "answer"),
    written.reasoning && shortSnippet("Reasoning", written.reasoning),
    written.text && shortSnippet("Text", written.text),
    ...written.calls.map(({ name, arguments: text }) => shortSnippet(`Calls ${name}`, text)),
    answer.frames ? frames(answer, written.broken) : body(answer, value, Boolean(written.text)),
    headers(answer),
  ].filter(Boolean);
}

function frames({ frames, has_ended }, broken) {
  const rows = frames
    .slice(0, MAX_SHOWN_FRAMES)
    .map(({ seconds, text }) =>
      h("li", null, h("span", { class: "hint" }, secondsText(seconds)), h("code", null, text.trimEnd())),
    );
  const notes = [
    counted(frames.length, "frame"),
    frames.length > MAX_SHOWN_FRAMES && `the first ${MAX_SHOWN_FRAMES} are shown`,
    broken > 0 && `${broken} broken`,
    !has_ended && "not ended",
  ];
  return folded(`Frames: ${notes.filter(Boolean).join(", ")}`, [reachable(h("ol", { class: "frame-list" }, ...rows))]);
}

function body({ body, bytes }, value, isFolded) {
  if (!bytes) return element("p", "Empty body", "hint");
  if (body === null) return null;
  const shown = shortSnippet(value === undefined ? "Body" : "JSON", body, value === undefined ? body : abridged(value));
  return isFolded ? folded("JSON", [shown]) : shown;
}

function headers({ status, headers }) {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  return folded(`Headers of the answer: status ${status ?? "to come"}`, [shortSnippet("Headers", lines.join("\n"))]);
}

// ---- both -------------------------------------------------------------------------------------

function pictures(media, side) {
  return media.filter((each) => each.side === side).map(picture);
}

function picture({ content_type, bytes, place, url }) {
  const about = `${content_type}, ${bytesText(bytes)}${place ? `, in ${place}` : ""}`;
  const isImage = content_type.startsWith("image/");
  const shown = isImage
    ? h("img", { src: url, alt: about, loading: "lazy" })
    : h("audio", { src: url, controls: true, preload: "none", "aria-label": about });
  return h(
    "figure",
    { class: "media" },
    shown,
    h("figcaption", { class: "hint" }, about, " · ", h("a", { href: url }, "open")),
  );
}

function folded(title, children) {
  return h("details", null, h("summary", null, title), ...children.filter(Boolean));
}

function keptNote(bytes, kept) {
  return bytes > kept
    ? element("p", `${bytesText(bytes)}, of which the first ${bytesText(kept)} are kept`, "hint")
    : null;
}

function shortSnippet(title, text, shown = text) {
  const isLong = shown.length > MAX_SHOWN;
  return snippet(
    title,
    text,
    isLong ? `${shown.slice(0, MAX_SHOWN)}…\n(${shown.length - MAX_SHOWN} more characters)` : shown,
  );
}
