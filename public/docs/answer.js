// The answer to a request: status, time, headers, and a view of the body that fits its type.

import { bytesText, h, secondsText } from "../console/dom.js";
import { codeBlock } from "../console/markdown.js";

const MAX_SHOWN_CHARACTERS = 100_000;

/** Send a request, and show its answer in a node while it arrives. Never throws. */
export async function showAnswer(node, path, init) {
  const start = performance.now();
  node.setAttribute("aria-busy", "true");
  node.replaceChildren(h("p", { class: "hint" }, "Waiting …"));
  try {
    const response = await fetch(path, init);
    const facts = h(
      "p",
      { class: "facts" },
      h("strong", { class: response.ok ? "good" : "bad" }, String(response.status)),
      h("span", null, secondsText(performance.now() - start)),
    );
    const body = h("div", { class: "stack" });
    node.replaceChildren(facts, headersView(response.headers), body);
    await showBody(body, response);
  } catch (error) {
    const text = init.signal.aborted ? "Stopped." : `No answer: ${error.message}`;
    node.append(h("p", { role: "alert" }, text));
  }
  node.removeAttribute("aria-busy");
}

function headersView(headers) {
  const text = [...headers].map(([name, value]) => `${name}: ${value}`).join("\n");
  return h("details", null, h("summary", null, "Headers"), codeBlock(text));
}

async function showBody(node, response) {
  const type = (response.headers.get("content-type") ?? "").split(";")[0];
  if (type === "text/event-stream") return showStream(node, response);
  if (type.startsWith("image/"))
    return node.append(h("img", { src: await blobUrl(response), alt: "The image of the answer" }));
  if (type.startsWith("audio/"))
    return node.append(
      h("audio", { src: await blobUrl(response), controls: true, "aria-label": "The sound of the answer" }),
    );
  if (type === "application/pdf" || type === "application/octet-stream") return showFile(node, response);
  const text = await response.text();
  if (text === "") return node.append(h("p", { class: "hint" }, "No body."));
  const shown = type.endsWith("json") ? pretty(text) : text;
  const cut = shown.length > MAX_SHOWN_CHARACTERS;
  node.append(codeBlock(cut ? shown.slice(0, MAX_SHOWN_CHARACTERS) : shown, type.endsWith("json") ? "json" : "", !cut));
  if (cut) node.append(h("p", { class: "hint" }, `The first ${MAX_SHOWN_CHARACTERS} of ${shown.length} characters.`));
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

async function showStream(node, response) {
  const code = h("code", null);
  node.append(h("pre", { class: "frames", tabindex: "0", role: "region", "aria-label": "Frames of the answer" }, code));
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) code.append(part.value);
}

async function showFile(node, response) {
  const blob = await response.blob();
  node.append(
    h("a", { href: URL.createObjectURL(blob), download: "answer" }, `Save the file (${bytesText(blob.size)})`),
  );
}

async function blobUrl(response) {
  return URL.createObjectURL(await response.blob());
}
