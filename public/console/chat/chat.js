// The screen Chat.

import { ApiError } from "../api.js";
import { barButton, button, h, icon, iconButton, shortName, toast } from "../dom.js";
import { chatCall } from "../openai.js";
import { failure } from "../parts.js";
import { showCode } from "../snippets.js";
import { modelsFor } from "../worker.js";
import { answer } from "./answer.js";
import { Conversation, textOf } from "./conversation.js";
import { MAX_PICTURES, thumbnail, toDataUri } from "./pictures.js";
import { Settings } from "./settings.js";
import { AnswerView, actionButton, question } from "./turn.js";

const EXAMPLES = [
  "Explain server-sent events in two sentences.",
  "Write a Python function that reverses a string, with a test.",
  "Compare HTTP/2 and HTTP/3 in a table.",
];

/** Show the screen for the conversation of the address, `#/chat/ID`; a new one without. Returns what ends it. */
export function show({ root, actions, rest: [id] }) {
  const screen = new Chat(root);
  actions.append(
    barButton("Code", () => showCode(screen.code()), "code"),
    barButton("New chat", openNew, "plus"),
  );
  screen.open(id);
  return () => screen.leave();
}

export function openNew() {
  location.hash = `#/chat/new-${Date.now()}`;
}

class Chat {
  conversation = new Conversation();
  pictures = [];
  /** The running request, as `{controller, finished}`, or null. */
  running = null;
  /** Whether the conversation is being read; a question that is sent meanwhile waits. */
  isReading = false;
  hasWaiting = false;
  isFollowing = true;
  lastTop = 0;

  constructor(root) {
    this.settings = new Settings(() => this.#showModel());
    this.log = h("div", { class: "log", role: "log", "aria-live": "polite", "aria-label": "Conversation" });
    this.welcome = this.#welcome();
    this.scroller = h(
      "div",
      { class: "scroller", tabindex: "0", role: "region", "aria-label": "Messages", onscroll: () => this.#onScroll() },
      h("div", { class: "column" }, this.welcome, this.log),
    );
    this.composer = this.#composer();
    root.replaceChildren(this.scroller, h("div", { class: "dock" }, this.composer));
    this.root = root;
    this.onEscape = (event) => event.key === "Escape" && !document.querySelector("dialog[open]") && this.stop();
    document.addEventListener("keydown", this.onEscape);
    this.#showModel();
  }

  leave() {
    document.removeEventListener("keydown", this.onEscape);
    this.running?.controller.abort();
  }

  async open(id) {
    this.text.focus({ preventScroll: true });
    if (!id || id.startsWith("new-")) return;
    this.welcome.hidden = true;
    this.log.replaceChildren(h("p", { class: "hint" }, "Reading the conversation…"));
    this.isReading = true;
    try {
      this.conversation = await Conversation.open(id);
      this.#showAll();
    } catch (error) {
      this.log.replaceChildren(failure(error, () => this.open(id)));
      return;
    } finally {
      this.isReading = false;
    }
    if (this.hasWaiting) this.composer.requestSubmit();
  }

  /** The call of the present settings, for its code. */
  code() {
    const { system, stream, ...parameters } = this.settings.values();
    const content =
      this.text.value.trim() ||
      textOf(this.conversation.messages.findLast(({ role }) => role === "user") ?? { content: EXAMPLES[0] });
    const messages = [...(system ? [{ role: "system", content: system }] : []), { role: "user", content }];
    return {
      method: "POST",
      path: "/chat",
      json: { ...parameters, messages, ...(stream ? {} : { stream }) },
      answer: stream ? "stream" : "json",
      openai: chatCall({ ...parameters, messages, stream }),
    };
  }

  // ---- elements -------------------------------------------------------------------------------

  #welcome() {
    const example = (text) =>
      h("li", null, h("button", { type: "button", class: "quiet", onclick: () => this.#write(text) }, text));
    return h(
      "section",
      { class: "welcome" },
      h("h3", null, "What would you like to ask?"),
      h(
        "p",
        { class: "hint" },
        "The answer appears while the model writes it. “Code” shows the same request for your own front end.",
      ),
      h("ul", { class: "examples" }, EXAMPLES.map(example)),
    );
  }

  #composer() {
    this.text = h("textarea", {
      rows: "1",
      "aria-label": "Your message",
      placeholder: "Ask anything…",
      onkeydown: (event) => this.#onKey(event),
      onpaste: (event) => this.#attach(event.clipboardData.files),
    });
    this.thumbnails = h("div", { class: "thumbnails" });
    this.notice = h("div", { class: "notice" });
    this.file = h("input", {
      type: "file",
      accept: "image/*",
      multiple: true,
      hidden: true,
      "aria-label": "Pictures",
      onchange: () => this.#attach(this.file.files),
    });
    this.attachButton = iconButton("attach", "Attach pictures", () => this.file.click());
    const advanced = iconButton(
      "sliders",
      "Advanced",
      () => {
        this.settings.node.hidden = !this.settings.node.hidden;
        advanced.setAttribute("aria-expanded", String(!this.settings.node.hidden));
      },
      { "aria-expanded": "false", "aria-controls": "advanced" },
    );
    this.send = h(
      "button",
      { type: "submit", class: "icon send", "aria-label": "Send", title: "Send (Enter)" },
      icon("send"),
    );
    const form = h(
      "form",
      { class: "composer", onsubmit: (event) => this.#submit(event) },
      this.notice,
      this.settings.node,
      h(
        "div",
        { class: "box" },
        this.thumbnails,
        this.text,
        h("div", { class: "bar" }, this.attachButton, this.file, advanced, this.settings.select, this.send),
      ),
      h("p", { class: "hint keys" }, "Enter sends, Shift+Enter starts a new line, Escape stops."),
    );
    form.addEventListener("dragover", (event) => event.preventDefault());
    form.addEventListener("drop", (event) => {
      event.preventDefault();
      this.#attach(event.dataTransfer.files);
    });
    return form;
  }

  #showModel() {
    this.attachButton.disabled = false;
    this.attachButton.title = this.settings.hasVision
      ? "Attach pictures"
      : `Attach pictures (${shortName(this.settings.model.id)} does not see them)`;
  }

  #write(text) {
    this.text.value = text;
    this.text.focus();
  }

  // ---- pictures -------------------------------------------------------------------------------

  async #attach(files) {
    const chosen = Array.from(files).filter(({ type }) => type.startsWith("image/"));
    this.file.value = "";
    if (!chosen.length) return;
    if (!this.settings.hasVision) {
      const seeing = modelsFor("text-generation").find(
        ({ abilities, deprecated }) => abilities.includes("vision") && !deprecated,
      );
      if (!seeing) return toast("No model of this Worker sees pictures.");
      this.settings.choose(seeing.id);
      toast(`${shortName(seeing.id)} sees pictures, and is chosen now.`);
    }
    for (const file of chosen.slice(0, MAX_PICTURES - this.pictures.length)) await this.#attachOne(file);
  }

  async #attachOne(file) {
    try {
      const url = await toDataUri(file);
      this.pictures.push(url);
      this.thumbnails.append(thumbnail(url, () => this.pictures.splice(this.pictures.indexOf(url), 1)));
    } catch {
      toast(`${file.name} is not a picture that this browser can read.`);
    }
  }

  #takePictures() {
    const taken = this.pictures;
    this.pictures = [];
    this.thumbnails.replaceChildren();
    return taken;
  }

  // ---- asking ---------------------------------------------------------------------------------

  #onKey(event) {
    // Enter also confirms a word in an input method, which does not send the message
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    if (!this.running) this.composer.requestSubmit();
  }

  #submit(event) {
    event.preventDefault();
    if (this.running) return this.stop();
    this.hasWaiting = this.isReading;
    if (this.isReading) return;
    const text = this.text.value.trim();
    if (!text && !this.pictures.length) return;
    const pictures = this.#takePictures().map((url) => ({ type: "image_url", image_url: { url } }));
    const content = pictures.length ? [{ type: "text", text: text || "What is in this picture?" }, ...pictures] : text;
    this.text.value = "";
    this.#ask({ role: "user", content });
  }

  stop() {
    this.running?.controller.abort();
  }

  /** Ask a question; without one, the last message of the conversation again. */
  #ask(message) {
    const { conversation } = this;
    if (message) conversation.messages.push(message);
    const question = conversation.messages.at(-1);
    const controller = new AbortController();
    this.notice.replaceChildren();
    this.settings.clearMarks();
    this.#showAll();
    const view = new AnswerView();
    this.log.append(view.node);
    this.#scrollToEnd();
    this.#setRunning(true);
    view.markdown.onrender = () => this.#followEnd();
    const finished = this.#receive(view, question, controller);
    this.running = { controller, finished };
  }

  async #receive(view, question, controller) {
    const { conversation } = this;
    const body = conversation.body(this.settings.values());
    const reply = await answer(body, controller.signal, (part) => {
      view.add(part);
      this.#followEnd();
    });
    this.running = null;
    const isStopped = controller.signal.aborted;
    if (!this.scroller.isConnected) return this.#keep(reply); // the user has gone to another screen
    this.#setRunning(false);
    if (!reply.content && !reply.reasoning && !reply.tools.length && (reply.error || isStopped))
      return this.#withdraw(question, reply.error, isStopped);
    reply.ending = isStopped ? "Stopped" : reply.error ? "Cut off" : reply.content ? "" : "The answer is empty";
    if (isStopped) delete reply.error;
    history.replaceState(null, "", `#/chat/${conversation.id}`);
    this.#keep(reply);
    view.end(reply, this.#answerActions(reply), () => this.#retry(reply));
    this.#followEnd();
  }

  #keep(reply) {
    const { conversation } = this;
    if (reply.content) conversation.messages.push(reply);
    conversation.settle(!reply.error && !reply.ending);
  }

  /** Put a question without an answer back into its field, to be edited and sent again. */
  #withdraw(question, error, isStopped) {
    this.conversation.messages.pop();
    this.text.value = [textOf(question), this.text.value].filter(Boolean).join("\n\n");
    this.#showAll();
    if (isStopped) return;
    this.notice.replaceChildren(failure(error, () => this.composer.requestSubmit()));
    if (error instanceof ApiError) this.settings.markRefused(error.details.param);
  }

  // ---- edit and retry -------------------------------------------------------------------------

  #retry(reply) {
    const index = this.conversation.messages.indexOf(reply);
    if (this.running || index < 1) return;
    this.conversation.branch(index);
    this.#ask();
  }

  /** Show a question in a field, in place of the question. */
  #edit(message, node) {
    const field = h("textarea", { rows: "3", "aria-label": "Edit the message" });
    field.value = textOf(message);
    const save = (event) => {
      event.preventDefault();
      const text = field.value.trim();
      if (this.running || !text) return;
      const parts = Array.isArray(message.content) ? message.content.filter(({ type }) => type !== "text") : null;
      this.conversation.branch(this.conversation.messages.indexOf(message));
      this.#ask({ role: "user", content: parts ? [{ type: "text", text }, ...parts] : text });
    };
    const cancel = button("Cancel", () => form.replaceWith(node), { class: "quiet small" });
    const form = h(
      "form",
      { class: "turn edit", onsubmit: save },
      field,
      h("div", { class: "row end" }, cancel, h("button", { type: "submit", class: "small" }, "Send")),
    );
    node.replaceWith(form);
    field.focus();
  }

  #questionNode(message) {
    const edit = actionButton("edit", "Edit", () => this.#edit(message, node));
    const node = question(message, edit);
    return node;
  }

  #answerActions(reply) {
    return actionButton("retry", "Retry", () => this.#retry(reply));
  }

  // ---- the log --------------------------------------------------------------------------------

  #showAll() {
    const { messages } = this.conversation;
    this.welcome.hidden = messages.length > 0;
    const nodes = messages.map((message) => {
      if (message.role === "user") return this.#questionNode(message);
      return AnswerView.of(message, this.#answerActions(message)).node;
    });
    this.log.replaceChildren(...nodes);
    this.#scrollToEnd();
  }

  #setRunning(isRunning) {
    this.send.replaceChildren(icon(isRunning ? "stop" : "send"));
    this.send.setAttribute("aria-label", isRunning ? "Stop" : "Send");
    this.send.title = isRunning ? "Stop (Escape)" : "Send (Enter)";
    if (isRunning) this.isFollowing = true;
  }

  /** Follow the end of the log until the reader scrolls up, and again when they are back at its end. */
  #onScroll() {
    const { scrollTop } = this.scroller;
    if (this.#isAtEnd()) this.isFollowing = true;
    else if (scrollTop < this.lastTop) this.isFollowing = false;
    this.lastTop = scrollTop;
  }

  #isAtEnd() {
    const { scrollHeight, scrollTop, clientHeight } = this.scroller;
    return scrollHeight - scrollTop - clientHeight < 40;
  }

  #followEnd() {
    if (this.isFollowing) this.#scrollToEnd();
  }

  #scrollToEnd() {
    this.scroller.scrollTop = this.scroller.scrollHeight;
  }
}
