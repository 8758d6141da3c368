// The place of a passage in the text of its document, and in the file.

import { getJson, hasKey, request } from "../api.js";
import { button, h, icon } from "../dom.js";
import { failure, openDialog } from "../parts.js";
import { withTenant } from "./scope.js";

/** Bytes of the text that are shown before and after a passage. */
const AROUND = 6_000;
/** Media types that a page can show as a `blob:` URL without running their content. */
const HARMLESS = /^(application\/pdf|text\/plain|image\/(png|jpeg|webp))/;

const address = (id, part, scope) => withTenant(`/rag/documents/${encodeURIComponent(id)}${part}`, scope.tenant);

/** Show a passage marked in the text of its document. source: as in an answer's sources. */
export function openPassage(source, scope) {
  const body = h("div", { class: "original" }, h("p", { class: "hint" }, "Reading the document…"));
  const page = source.page ? `, page ${source.page}` : "";
  openDialog(`${source.title || source.document}${page}`, openFileButton(source.document, source.page, scope), body);
  readAround(source, scope)
    .then((parts) => {
      body.replaceChildren(...parts);
      body.querySelector("mark")?.scrollIntoView({ block: "center" });
    })
    .catch((error) => body.replaceChildren(failure(error), h("p", null, source.snippet)));
}

/** The text around a passage, with the passage in a `<mark>`. */
async function readAround({ document: id, range, snippet, text }, scope) {
  if (!range) return [h("mark", null, text ?? snippet)];
  const start = Math.max(0, range.start - AROUND);
  const headers = { range: `bytes=${start}-${range.end + AROUND - 1}` };
  const bytes = new Uint8Array(await (await request("GET", address(id, "/text", scope), { headers })).arrayBuffer());
  const from = range.start - start;
  const to = range.end - start;
  // a cut within a character leaves its bytes as replacement characters
  const decode = (some) => new TextDecoder().decode(some).replaceAll("\ufffd", "");
  return [
    decode(bytes.subarray(0, from)),
    h("mark", null, decode(bytes.subarray(from, to))),
    decode(bytes.subarray(to)),
  ];
}

/** Show the passages of a document, and a way to its file. */
export function openDocument(state, scope) {
  const list = h("ol", { class: "passages" });
  const more = button("Show more", () => read(), { class: "quiet small", hidden: true });
  const notice = h("div");
  openDialog(state.title || state.id, openFileButton(state.id, null, scope), list, more, notice);
  let cursor = "";

  async function read() {
    try {
      const path = address(state.id, `/passages?limit=20&cursor=${encodeURIComponent(cursor)}`, scope);
      const page = await getJson(path);
      list.append(...page.passages.map(passageItem));
      cursor = page.cursor ?? "";
      more.hidden = !page.cursor;
    } catch (error) {
      notice.replaceChildren(failure(error, read));
    }
  }

  read();
}

function passageItem({ number, heading, page, text }) {
  const place = [`Passage ${number + 1}`, heading, page && `page ${page}`].filter(Boolean).join(" · ");
  return h("li", null, h("p", { class: "hint" }, place), h("p", { class: "passage" }, text));
}

/** A link to the file at a page; with a key, which a link cannot send, a button that reads it first. */
function openFileButton(id, page, scope) {
  const path = address(id, "/original", scope);
  const label = page ? `Open the file at page ${page}` : "Open the file";
  const hash = page ? `#page=${page}` : "";
  if (!hasKey())
    return h(
      "a",
      { class: "button quiet small", href: path + hash, target: "_blank", rel: "noopener" },
      icon("open"),
      label,
    );
  return button(label, () => openWithKey(path, hash, id), { class: "quiet small" }, "open");
}

async function openWithKey(path, hash, name) {
  const file = await (await request("GET", path)).blob();
  const url = URL.createObjectURL(file);
  const way = HARMLESS.test(file.type) ? { target: "_blank", rel: "noopener" } : { download: name };
  h("a", { href: HARMLESS.test(file.type) ? url + hash : url, ...way }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
