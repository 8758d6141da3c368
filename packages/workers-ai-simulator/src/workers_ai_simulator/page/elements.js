// How the page makes its elements: whatever comes from requests becomes text, never markup.

/** The elements of the page that have an id. */
export const page = Object.fromEntries(Array.from(document.querySelectorAll("[id]"), (each) => [each.id, each]));

export function element(name, text, className = "") {
  const made = document.createElement(name);
  made.textContent = text;
  made.className = className;
  return made;
}

export function cloned(id) {
  return page[id].content.firstElementChild.cloneNode(true);
}

/** Set the text only where it differs: what is the same keeps its selection, and is not read out again. */
export function write(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

/** A model's id, its maker quieter than its name. */
export function modelName(id) {
  const cut = id.lastIndexOf("/") + 1;
  return [element("span", id.slice(0, cut), "maker"), id.slice(cut)];
}

// made once: making one takes longer than writing a hundred numbers
const NUMBERS = new Intl.NumberFormat("en", { maximumFractionDigits: 6 });
const TIMES = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });

export function formatted(number) {
  return NUMBERS.format(number);
}

export function counted(number, what) {
  return `${formatted(number)} ${what}${number === 1 ? "" : "s"}`;
}

export function secondsText(seconds) {
  if (seconds < 0.001) return "< 1 ms";
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  return seconds < 60 ? `${seconds.toFixed(1)} s` : `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
}

export function clockTime(date) {
  return TIMES.format(date);
}

/** Addresses and settings, to be broken where a reader would: behind a slash or an equals sign. */
export function breakable(text) {
  const parts = text.split(/(?<==|(?<!\/)\/)(?!\/)/);
  return parts.flatMap((part, number) => (number ? [document.createElement("wbr"), part] : [part]));
}

/** A text to be copied, with its title. */
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
    // browsers give pages the clipboard on https and localhost only
    getSelection().selectAllChildren(source);
    button.textContent = "Selected";
  }
  setTimeout(() => (button.textContent = "Copy"), 2000);
}
