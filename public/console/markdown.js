// Markdown of models as elements, with highlighted code. Nothing that a model writes can become markup of its own: HTML in it
// is shown as text, what the Markdown makes is sanitised, and links lead to the web only.

import { h } from "./dom.js";
import { copyButton } from "./parts.js";

const LANGUAGES = [
  "bash",
  "css",
  "diff",
  "go",
  "java",
  "javascript",
  "json",
  "python",
  "rust",
  "sql",
  "typescript",
  "xml",
  "yaml",
];
const ALIASES = {
  sh: "bash",
  shell: "bash",
  console: "bash",
  js: "javascript",
  jsx: "javascript",
  mjs: "javascript",
  py: "python",
  rs: "rust",
  ts: "typescript",
  tsx: "typescript",
  html: "xml",
  svg: "xml",
  yml: "yaml",
  jsonc: "json",
};

const SANITISED = {
  ALLOWED_TAGS: [
    "p",
    "br",
    "strong",
    "em",
    "del",
    "code",
    "pre",
    "blockquote",
    "ul",
    "ol",
    "li",
    "a",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "table",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
    "span",
  ],
  ALLOWED_ATTR: ["href", "title", "start", "class", "align"],
  ALLOWED_URI_REGEXP: /^(?:https?|mailto):/i,
  RETURN_DOM_FRAGMENT: true,
};

let libraries = null;
let highlighter = null;

/** Load the libraries, once. */
function load() {
  libraries ??= Promise.all([import("../vendor/marked.js"), import("../vendor/purify.js")]).then(([{ Marked }]) => {
    const marked = new Marked({ gfm: true, renderer: RENDERER });
    return { marked, purify: globalThis.DOMPurify };
  });
  return libraries;
}

const RENDERER = {
  html: ({ text }) => escaped(text),
  // pictures of other sites would tell them who reads this
  image: ({ href, text }) => `<a href="${escaped(href)}">${escaped(text || href)}</a>`,
  // the page has headings of the first two levels
  heading({ tokens, depth }) {
    const level = Math.min(depth + 2, 6);
    return `<h${level}>${this.parser.parseInline(tokens)}</h${level}>`;
  },
  checkbox: ({ checked }) => (checked ? "☑ " : "☐ "),
};

function escaped(text) {
  return text.replace(/[&<>"']/g, (each) => `&#${each.charCodeAt(0)};`);
}

/** A text that grows, shown as Markdown. Only its last block is made again when more arrives. */
export class MarkdownView {
  #text = "";
  /** The blocks that are shown, as `{raw, node}`. */
  #blocks = [];
  #libraries = null;
  #isComplete = false;
  #timer = null;

  /** decorate: called with each block's element, before it is shown. */
  constructor(decorate = () => {}) {
    this.decorate = decorate;
    this.node = h("div", { class: "markdown" });
    this.plain = this.node.appendChild(h("p", { class: "plain" }));
    load().then((loaded) => {
      this.#libraries = loaded;
      this.#render();
    });
  }

  get text() {
    return this.#text;
  }

  /** Show more of the text, at most about fifteen times a second. */
  append(text) {
    this.#text += text;
    if (!this.#libraries) this.plain.textContent = this.#text;
    this.#timer ??= setTimeout(() => this.#render(), 66);
  }

  /** Show the whole text, with code highlighted. */
  complete() {
    this.#isComplete = true;
    this.#render();
  }

  #render() {
    clearTimeout(this.#timer);
    this.#timer = null;
    if (!this.#libraries) return;
    this.plain.remove();
    const { marked } = this.#libraries;
    const tokens = marked.lexer(this.#text);
    const wanted = tokens.filter(({ type }) => type !== "space" && type !== "def");
    wanted.forEach((token, index) => {
      const isDone = this.#isComplete || index < wanted.length - 1;
      const shown = this.#blocks[index];
      if (shown?.raw === token.raw && shown.isDone === isDone) return;
      const node = this.#block([token], isDone);
      if (shown) shown.node.replaceWith(node);
      else this.node.append(node);
      this.#blocks[index] = { raw: token.raw, isDone, node };
    });
    for (const { node } of this.#blocks.splice(wanted.length)) node.remove();
    this.onrender?.();
  }

  #block(tokens, isDone) {
    const { marked, purify } = this.#libraries;
    const block = h("div", { class: "block" }, sanitised(purify, marked.parser(tokens)));
    for (const link of block.querySelectorAll("a"))
      Object.assign(link, { target: "_blank", rel: "noopener noreferrer" });
    for (const table of block.querySelectorAll("table")) {
      const scroller = h("div", { class: "table", tabindex: "0", role: "region", "aria-label": "Table" });
      table.replaceWith(scroller);
      scroller.append(table);
    }
    for (const code of block.querySelectorAll("pre > code")) {
      const language = code.className.replace("language-", "");
      code.parentElement.replaceWith(codeBlock(code.textContent.replace(/\n$/, ""), language, isDone));
    }
    // the line break behind each element would be copied with the text
    for (const child of Array.from(block.childNodes))
      if (child.nodeType === Node.TEXT_NODE && !child.data.trim()) child.remove();
    this.decorate(block);
    return block;
  }
}

function sanitised(purify, html) {
  return purify.sanitize(html, SANITISED);
}

/** A block of code with its language and a button that copies it; highlighted if the language is known. */
export function codeBlock(text, language = "", isHighlighted = true) {
  const code = h("code", null, text);
  const bar = h(
    "div",
    { class: "code-bar" },
    h("span", null, language || "text"),
    copyButton(() => text, "Copy the code"),
  );
  const pre = h("pre", { tabindex: "0", role: "region", "aria-label": `Code: ${language || "text"}` }, code);
  const name = ALIASES[language] ?? language;
  if (isHighlighted && LANGUAGES.includes(name)) highlight(code, text, name);
  return h("div", { class: "code" }, bar, pre);
}

async function highlight(code, text, name) {
  highlighter ??= import("../vendor/highlight/core.js").then((module) => module.default);
  const [core, grammar, { purify }] = await Promise.all([
    highlighter,
    import(`../vendor/highlight/${name}.js`),
    load(),
  ]);
  if (!core.getLanguage(name)) core.registerLanguage(name, grammar.default);
  code.replaceChildren(sanitised(purify, core.highlight(text, { language: name }).value));
}
