// Elements of the page. Contents of requests become text, never markup.

/** Id → element, for all elements of the page with an id. */
export const page = Object.fromEntries(Array.from(document.querySelectorAll("[id]"), (each) => [each.id, each]));

export function element(name, text, className = "") {
  const created = document.createElement(name);
  created.textContent = text;
  created.className = className;
  return created;
}

export function cloned(id) {
  return page[id].content.firstElementChild.cloneNode(true);
}

/** Set the text if it differs: an unchanged text keeps its selection, and is not announced again. */
export function write(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

/** A model's id, with its author in an element of its own. */
export function modelName(id) {
  const cut = id.lastIndexOf("/") + 1;
  return [element("span", id.slice(0, cut), "author"), id.slice(cut)];
}

// created once: creating one takes longer than formatting a hundred numbers
const NUMBERS = new Intl.NumberFormat("en", { maximumFractionDigits: 6 });
const TIMES = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });

export function formatted(number) {
  return NUMBERS.format(number);
}

export function counted(number, noun) {
  return `${formatted(number)} ${noun}${number === 1 ? "" : "s"}`;
}

export function secondsText(seconds) {
  if (seconds < 0.001) return "< 1 ms";
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  return seconds < 60 ? `${seconds.toFixed(1)} s` : `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
}

export function clockTime(date) {
  return TIMES.format(date);
}

/** Nodes of a text that may be broken after a slash or an equals sign, for addresses and settings. */
export function breakable(text) {
  const parts = text.split(/(?<==|(?<!\/)\/)(?!\/)/);
  return parts.flatMap((part, number) => (number ? [document.createElement("wbr"), part] : [part]));
}

/** A text with its title and a button that copies it. */
export function snippet(title, text) {
  const root = cloned("snippet-template");
  const button = root.querySelector("button");
  root.querySelector("span").textContent = title;
  root.querySelector("pre").textContent = text;
  button.setAttribute("aria-label", `Copy: ${title}`);
  button.addEventListener("click", () => copy(button, root.querySelector("pre")));
  return root;
}

async function copy(button, source) {
  try {
    await navigator.clipboard.writeText(source.textContent);
    button.textContent = "Copied";
  } catch {
    // browsers allow the clipboard on https and localhost only
    getSelection().selectAllChildren(source);
    button.textContent = "Selected";
  }
  setTimeout(() => (button.textContent = "Copy"), 2000);
}
