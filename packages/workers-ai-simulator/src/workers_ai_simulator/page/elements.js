// Elements of the page. Contents of requests become text, never markup.

/** Id → element, for all elements of the page with an id. */
export const page = Object.fromEntries(Array.from(document.querySelectorAll("[id]"), (each) => [each.id, each]));

export function element(name, text, className = "") {
  const created = document.createElement(name);
  created.textContent = text;
  created.className = className;
  return created;
}

/** An element with attributes, handlers (`onclick`) and children; null and false are left out. */
export function h(name, attributes, ...children) {
  const created = document.createElement(name);
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === false || value === undefined) continue;
    if (key.startsWith("on")) created.addEventListener(key.slice(2), value);
    else created.setAttribute(key, value === true ? "" : value);
  }
  created.append(...children.flat().filter((child) => child !== null && child !== false && child !== undefined));
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

export function counted(number, noun, plural = `${noun}s`) {
  return `${formatted(number)} ${number === 1 ? noun : plural}`;
}

export function secondsText(seconds) {
  if (seconds < 0.001) return "< 1 ms";
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  return seconds < 60 ? `${seconds.toFixed(1)} s` : `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
}

export function bytesText(bytes) {
  if (bytes < 1024) return counted(bytes, "byte");
  return bytes < 1_048_576
    ? `${formatted(Math.round(bytes / 102.4) / 10)} KiB`
    : `${formatted(Math.round(bytes / 104_857.6) / 10)} MiB`;
}

export function dollarsText(dollars) {
  return dollars ? `$${formatted(dollars)}` : "–";
}

export function clockTime(date) {
  return TIMES.format(date);
}

/** Nodes of a text that may be broken after a slash or an equals sign, for addresses and settings. */
export function breakable(text) {
  const parts = text.split(/(?<==|(?<!\/)\/)(?!\/)/);
  return parts.flatMap((part, number) => (number ? [document.createElement("wbr"), part] : [part]));
}

/** A text with its title and a button that copies it. `shown`: the visible part, if it is not the whole text. */
export function snippet(title, text, shown = text) {
  const root = cloned("snippet-template");
  const button = root.querySelector("button");
  const pre = root.querySelector("pre");
  root.querySelector("span").textContent = title;
  pre.textContent = shown;
  button.setAttribute("aria-label", `Copy: ${title}`);
  button.addEventListener("click", () => copy(button, pre, text));
  reachable(pre);
  return root;
}

/** The element, which the Tab key reaches as long as it scrolls: without a mouse, only a focused element scrolls. */
export function reachable(target) {
  const observer = new ResizeObserver(() => {
    if (target.scrollHeight > target.clientHeight) target.tabIndex = 0;
    else target.removeAttribute("tabindex");
  });
  observer.observe(target);
  return target;
}

/** Set the options of a select element, each `[value, text]`, and keep the value that is chosen if it is among them. */
export function setOptions(select, options) {
  const text = JSON.stringify(options);
  if (select.dataset.options === text) return;
  select.dataset.options = text;
  const chosen = select.value;
  select.replaceChildren(...options.map(([value, name]) => h("option", { value }, name)));
  select.value = options.some(([value]) => value === chosen) ? chosen : (options[0]?.[0] ?? "");
}

/** Run an action, and write its result (a text or nodes) or its error into that element. */
export async function attempt(outcome, action) {
  try {
    const result = await action();
    const had = outcome.classList.contains("trouble");
    outcome.classList.remove("trouble");
    if (had || result !== undefined) outcome.replaceChildren(...[result ?? ""].flat());
  } catch (error) {
    outcome.classList.add("trouble");
    outcome.replaceChildren(error.message);
  }
}

async function copy(button, source, text) {
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    // browsers allow the clipboard on https and localhost only
    getSelection().selectAllChildren(source);
    button.textContent = "Selected";
  }
  setTimeout(() => (button.textContent = "Copy"), 2000);
}
