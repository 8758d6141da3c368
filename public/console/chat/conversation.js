// A conversation: its messages, the number of those that the Worker has stored, and the list of known conversations.

import { getJson, request } from "../api.js";
import { timeText } from "../dom.js";
import { remember, remembered, worker } from "../worker.js";

const MAX_LISTED = 100;
/** Conversations that are read from the Worker, which lists them by id, to find the latest. */
const MAX_READ = 1000;

/** Messages are `{role, content}`; those of the assistant also have `reasoning`, `tools`, `facts`, `ending` and `error`. */
export class Conversation {
  messages = [];
  /** How many of the messages the Worker has stored. */
  stored = 0;

  constructor(id = newId()) {
    this.id = id;
  }

  /** Read a conversation from the Worker, and from this tab the messages that the Worker did not store. */
  static async open(id) {
    const conversation = new Conversation(id);
    if (isKept()) {
      const { messages } = await getJson(`/conversations/${encodeURIComponent(id)}`);
      conversation.messages = folded(messages);
    }
    conversation.stored = conversation.messages.length;
    conversation.messages.push(...remembered(`pending-${id}`, [], "sessionStorage"));
    return conversation;
  }

  /** The body of POST /chat that asks for an answer to the last message. */
  body(settings) {
    const { system, ...parameters } = settings;
    const first = isKept() ? this.stored : 0;
    const messages = this.messages.slice(first).map(({ role, content }) => ({ role, content }));
    return {
      ...parameters,
      messages: system ? [{ role: "system", content: system }, ...messages] : messages,
      ...(isKept() ? { conversation: this.id } : {}),
    };
  }

  /** Go on from the first `count` messages, as a conversation of its own; the old one is deleted. */
  branch(count) {
    const old = this.id;
    const { title } = listed().find((each) => each.id === old) ?? {};
    this.id = newId();
    this.messages.length = count;
    this.stored = 0;
    deleteConversation(old).catch(() => {}); // it expires by itself
    if (title) list(this.id, title);
  }

  /** Note that the answer is complete and therefore stored. One that broke off is only in this tab. */
  settle(isComplete) {
    if (isComplete) this.stored = this.messages.length;
    const pending = this.messages.slice(this.stored).map(({ error, ...message }) => message);
    remember(`pending-${this.id}`, pending.length ? pending : undefined, "sessionStorage");
    const question = this.messages.find(({ role }) => role === "user");
    if (question) list(this.id, listed().find((each) => each.id === this.id)?.title ?? textOf(question).slice(0, 80));
  }
}

const isKept = () => worker.health.bindings.CONVERSATIONS !== false;

function newId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The text of a message, without its images. */
export function textOf({ content }) {
  if (typeof content === "string") return content;
  return (content ?? []).map((part) => part.text ?? "").join("");
}

export function imagesOf({ content }) {
  return Array.isArray(content)
    ? content.filter(({ type }) => type === "image_url").map((part) => part.image_url.url)
    : [];
}

/** Stored messages, in which tool calls and their results become the `tools` of the answer after them. */
function folded(messages) {
  const shown = [];
  let tools = [];
  for (const message of messages) {
    if (message.role === "tool") {
      const call = tools.find(({ id }) => id === message.tool_call_id);
      if (call) call.result = message.content;
    } else if (message.tool_calls) {
      tools.push(
        ...message.tool_calls.map(({ id, function: { name, arguments: args } }) => ({ id, name, arguments: args })),
      );
    } else if (message.role === "assistant") {
      shown.push({ ...message, tools });
      tools = [];
    } else if (message.role === "user") {
      shown.push(message);
      tools = [];
    }
  }
  return shown;
}

// ---- the list ---------------------------------------------------------------------------------

const listed = () => remembered("chats", []);

function list(id, title) {
  const others = listed().filter((each) => each.id !== id);
  remember("chats", [{ id, title, at: Date.now() }, ...others].slice(0, MAX_LISTED));
  document.dispatchEvent(new Event("chats"));
}

let others = null;

/** Read the caller's conversations anew when they are listed next: with another key, they are another caller's. */
export function resetConversations() {
  others = null;
}

/** Conversations, the latest first: those of this browser, and, where they may be listed, the caller's others. */
export async function conversations() {
  const canList = isKept() && worker.routes.has("GET /conversations");
  // callers without a key may not list them
  others ??= canList ? readAll().catch(() => []) : [];
  const own = listed();
  const known = new Set(own.map(({ id }) => id));
  const rows = (await others).filter(({ conversation }) => !known.has(conversation) && !deleted.has(conversation));
  const elsewhere = rows.map((each) => ({
    id: each.conversation,
    title: each.title ?? `Chat of ${timeText(each.updated_at)}`,
    at: Date.parse(each.updated_at),
  }));
  const latestFirst = (one, other) => other.at - one.at;
  return [...own, ...elsewhere.toSorted(latestFirst).slice(0, MAX_LISTED)].toSorted(latestFirst);
}

async function readAll() {
  const rows = [];
  let cursor = "";
  do {
    const page = await getJson(`/conversations?limit=100&cursor=${encodeURIComponent(cursor)}`);
    rows.push(...page.conversations);
    cursor = page.cursor ?? "";
  } while (cursor && rows.length < MAX_READ);
  return rows;
}

const deleted = new Set();

export async function deleteConversation(id) {
  remember(
    "chats",
    listed().filter((each) => each.id !== id),
  );
  remember(`pending-${id}`, undefined, "sessionStorage");
  deleted.add(id);
  document.dispatchEvent(new Event("chats"));
  if (isKept()) await request("DELETE", `/conversations/${encodeURIComponent(id)}`);
}
