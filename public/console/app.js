// The frame around the screens: connects to the Worker, builds the rail, and shows the screen that the address names.

import { ApiError, hasKey, useKey } from "./api.js";
import { conversations, deleteConversation, resetConversations } from "./chat/conversation.js";
import { h, icon, iconButton, shortName } from "./dom.js";
import { openPalette } from "./palette.js";
import { explained, keyForm, traceback } from "./parts.js";
import { SCREENS } from "./screens.js";
import { connect, isSimulated, problem, realModel, remember, remembered, worker } from "./worker.js";

const page = Object.fromEntries(Array.from(document.querySelectorAll("[id]"), (each) => [each.id, each]));
const THEMES = { system: "Theme: as the system", light: "Theme: light", dark: "Theme: dark" };
const STORED_KEY = "key";

/** The screens that this Worker's routes allow. */
let screens = [];
/** The shown screen's `leave`, which ends its running requests. */
let leave = null;
/** Number of the last connection, or of the last request for a key. Results of earlier ones are not shown. */
let connection = 0;

// ---- connecting -------------------------------------------------------------------------------

async function start() {
  const own = ++connection;
  resetConversations();
  showStatus("");
  page.main.setAttribute("aria-busy", "true");
  const error = await connect().catch((failure) => failure);
  if (own !== connection) return;
  page.main.removeAttribute("aria-busy");
  if (error)
    return isLocked(error) ? askForKey(error) : showProblem(explained(error), error.traceback && traceback(error));
  page.version.textContent = worker.health.version;
  if (problem()) return showProblem(problem());
  showBadge();
  screens = SCREENS.filter((screen) => screen.routes.every((route) => worker.routes.has(route)));
  showRail();
  show();
  showChats();
}

const isLocked = (error) => error instanceof ApiError && error.details.type === "unauthorized";

/** more: an element below the text. */
function showProblem(text, more) {
  const again = h("button", { type: "button", class: "quiet", onclick: start }, "Try again");
  page.title.textContent = "Not connected";
  page.main.replaceChildren(h("div", { class: "blank" }, icon("info"), h("p", null, text), more, again));
}

/** Show a line above the screen, or none for "". */
function showStatus(text, isTrouble) {
  page.status.hidden = !text;
  page.status.className = isTrouble ? "trouble" : "";
  page.status.textContent = text;
}

function showBadge() {
  page.badge.hidden = false;
  page.badge.classList.toggle("simulated", isSimulated() && !realModel());
  page.badge.textContent = badgeText();
  page.badge.title = badgeTitle();
}

function badgeText() {
  if (realModel()) return `Real: ${realModel()}`;
  return isSimulated() ? "Simulated" : shortName(worker.defaultModel);
}

function badgeTitle() {
  if (realModel()) {
    const others = worker.health.real_models.embeddings ? "" : "embeddings, ";
    return `Text is by ${realModel()}, on this machine; ${others}reranking, images, speech and translation are simulated.`;
  }
  return isSimulated()
    ? "Answers are simulated on this machine: no model reads what you write."
    : `The model that answers when none is chosen: ${worker.defaultModel}`;
}

// ---- the key ----------------------------------------------------------------------------------

/** Show the field for the key, and the error if it is about a key that was sent. */
function askForKey(error) {
  const message = hasKey() ? error.message : "";
  connection++;
  page.main.removeAttribute("aria-busy");
  deleteKey();
  page.title.textContent = "API key";
  page.actions.replaceChildren();
  page.recent.hidden = true;
  page.chats.replaceChildren();
  page.main.replaceChildren(keyForm(message, submitKey));
  page.main.querySelector("input").focus();
}

function submitKey(key, isKept) {
  if (isKept) remember(STORED_KEY, key, "sessionStorage");
  useKey(key);
  start();
}

function deleteKey() {
  remember(STORED_KEY, undefined, "sessionStorage");
  useKey(null);
  page.foot.querySelector(".forget")?.remove();
}

/** For screens: called with an error of a request, which may be about the key. */
document.addEventListener("locked", (event) => askForKey(event.detail));

// ---- the rail and the screens -----------------------------------------------------------------

function showRail() {
  const link = (screen) =>
    h("li", null, h("a", { href: `#/${screen.name}` }, icon(screen.name), h("span", null, screen.title)));
  page.screens.replaceChildren(h("ul", null, screens.map(link)));
  page.foot.querySelector(".forget")?.remove();
  if (hasKey()) {
    const forget = () => {
      deleteKey();
      start();
    };
    page.theme.before(h("button", { type: "button", class: "quiet small forget", onclick: forget }, "Forget the key"));
  }
}

async function showChats() {
  if (!screens.some(({ name }) => name === "chat")) return;
  const own = connection;
  const chats = await conversations();
  if (own !== connection) return; // they may be those of another key
  page.recent.hidden = !chats.length;
  page.chats.replaceChildren(...chats.map(chatLink));
}

function chatLink({ id, title }) {
  const address = `#/chat/${id}`;
  const remove = async () => {
    await deleteConversation(id).catch(() => {}); // it expires by itself
    if (location.hash === address) location.hash = "#/chat";
  };
  const current = location.hash === address ? "page" : null;
  const link = h("a", { href: address, title, "aria-current": current }, h("span", null, title));
  return h("li", null, link, iconButton("trash", `Delete the chat: ${title}`, remove));
}

/** Show the screen of the address `#/name/rest`. */
async function show() {
  const [, name, ...rest] = location.hash.split("/");
  const screen = screens.find((each) => each.name === name) ?? screens[0];
  if (!screen) return;
  closeDrawer();
  leave?.();
  leave = null;
  page.title.textContent = screen.title;
  document.title = `${screen.title} · aiworker console`;
  page.actions.replaceChildren();
  for (const link of page.screens.querySelectorAll("a"))
    if (link.hash === `#/${screen.name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  const [wanted, own] = [location.hash, connection];
  const { show: showScreen } = await screen.load();
  if (wanted !== location.hash || own !== connection) return; // the user has gone on meanwhile
  page.main.className = `screen-${screen.name}`;
  page.main.replaceChildren();
  page.main.scrollTop = 0;
  leave = showScreen({ root: page.main, actions: page.actions, rest: rest.map(decodeURIComponent) }) ?? null;
}

// ---- drawer, theme, keys ----------------------------------------------------------------------

function openDrawer() {
  page.rail.classList.add("open");
  page.backdrop.hidden = false;
  page.menu.setAttribute("aria-expanded", "true");
  page.rail.querySelector("a, button").focus();
}

function closeDrawer() {
  if (!page.rail.classList.contains("open")) return;
  const hadFocus = page.rail.contains(document.activeElement);
  page.rail.classList.remove("open");
  page.backdrop.hidden = true;
  page.menu.setAttribute("aria-expanded", "false");
  if (hadFocus) page.menu.focus();
}

function setTheme(theme) {
  remember("theme", theme);
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  page.theme.replaceChildren(icon(theme));
  page.theme.setAttribute("aria-label", THEMES[theme]);
  page.theme.title = THEMES[theme];
}

function nextTheme() {
  const names = Object.keys(THEMES);
  setTheme(names[(names.indexOf(remembered("theme", "system")) + 1) % names.length]);
}

function palette() {
  const entries = screens.map(({ name, title }) => ({ title, icon: name, run: () => (location.hash = `#/${name}`) }));
  openPalette([
    ...entries,
    { title: "New chat", icon: "plus", run: () => (location.hash = `#/chat/new-${Date.now()}`) },
    { title: "Change the theme", icon: "light", run: nextTheme },
    { title: "API reference", icon: "open", run: () => location.assign("docs/") },
  ]);
}

page.menu.append(icon("menu"));
page.menu.addEventListener("click", openDrawer);
page.backdrop.addEventListener("click", closeDrawer);
page["open-palette"].addEventListener("click", palette);
page.theme.addEventListener("click", nextTheme);
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") closeDrawer();
  if (event.key.toLowerCase() !== "k" || !(event.ctrlKey || event.metaKey)) return;
  event.preventDefault();
  palette();
});
document.addEventListener("chats", showChats);
addEventListener("hashchange", () => {
  show();
  showChats();
});
addEventListener("offline", () => showStatus("You are offline. What you see stays; new requests will fail.", true));
addEventListener("online", () => showStatus(""));

const theme = remembered("theme", "system");
setTheme(THEMES[theme] ? theme : "system");
const storedKey = remembered(STORED_KEY, null, "sessionStorage");
if (storedKey) useKey(storedKey);
start();
