// The views of the page, of which one is seen at a time: `#gateway`, or `#requests/…` for something in a view.

import { page } from "./elements.js";

const FIRST = "requests";
const VIEWS = Array.from(document.querySelectorAll("main > .view"), (each) => each.id);
const LINKS = Array.from(document.querySelectorAll("nav a"));

/** View → function to call when it is shown, with the rest of the address. */
const handlers = new Map();
let isReady = false;

export function onView(view, handler) {
  handlers.set(view, handler);
}

export function isShown(view) {
  return !page[view].hidden;
}

/** Go to a view, or to something in it. */
export function goTo(view, rest = "") {
  const address = rest ? `#${view}/${encodeURIComponent(rest)}` : `#${view}`;
  if (location.hash === address) show();
  else location.hash = address;
}

/** Show the view that the address names. */
export function show({ isFirst = false } = {}) {
  const [name, rest = ""] = location.hash.slice(1).split("/", 2);
  const view = VIEWS.includes(name) ? name : FIRST;
  for (const each of VIEWS) page[each].hidden = each !== view;
  for (const link of LINKS) {
    if (link.hash === `#${view}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (!isFirst) {
    scrollTo(0, 0);
    page[`${view}-title`].focus({ preventScroll: true });
  }
  if (isReady) handlers.get(view)?.(decodeURIComponent(rest));
}

/** Call the handler of the shown view once its data is loaded, and from then on with each change. */
export function start() {
  if (isReady) return;
  isReady = true;
  show({ isFirst: true });
}

addEventListener("hashchange", () => show());
