// Elements, icons and numbers for people.

/**
 * Make an element. Properties whose names begin with "on" are listeners; null and false leave a property out.
 * Children are nodes, texts, or lists of them; null and false are left out. Texts are never read as HTML.
 */
export function h(name, properties, ...children) {
  const node = document.createElement(name);
  for (const [property, value] of Object.entries(properties ?? {})) setProperty(node, property, value);
  node.append(...children.flat(2).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

function setProperty(node, property, value) {
  if (value === null || value === undefined || value === false) return;
  if (property.startsWith("on")) node.addEventListener(property.slice(2), value);
  else if (property === "class") node.className = value;
  else if (property === "dataset") Object.assign(node.dataset, value);
  else if (PROPERTIES.has(property)) node[property] = value;
  else node.setAttribute(property, value === true ? "" : value);
}

/** Names that are set as properties: as attributes, they would only be initial values. */
const PROPERTIES = new Set(["value", "checked", "disabled", "htmlFor", "hidden", "open", "multiple", "srcObject"]);

const SVG = "http://www.w3.org/2000/svg";

/** Name → the paths of an icon of 24 × 24, drawn with strokes. */
const ICONS = {
  home: ["M4 11 12 4l8 7", "M6 9.5V20h4.5v-5h3v5H18V9.5"],
  chat: ["M4 5h16v11H11l-5 4v-4H4z"],
  documents: ["M6 3h8l4 4v14H6z", "M14 3v4h4", "M9 12h6", "M9 16h6"],
  images: ["M4 5h16v14H4z", "m4 16 5-5 4 4 2-2 5 4", "M15.5 9h.01"],
  audio: [
    "M12 4a2.5 2.5 0 0 1 2.5 2.5v5a2.5 2.5 0 0 1-5 0v-5A2.5 2.5 0 0 1 12 4z",
    "M6 11a6 6 0 0 0 12 0",
    "M12 17v3.5",
  ],
  text: ["M5 7V5h14v2", "M12 5v14", "M9 19h6"],
  structured: ["M9 4C6 4 8 11 5 12c3 1 1 8 4 8", "M15 4c3 0 1 7 4 8-3 1-1 8-4 8"],
  requests: ["M4 8h13", "m13 4 4 4-4 4", "M20 16H7", "m11 12-4 4 4 4"],
  access: ["M14.5 4a5.5 5.5 0 1 1-5 7.8L4 17.5V20h3v-2h2v-2h2l1-1.3", "M15.5 8.5h.01"],
  decide: ["M12 4v16", "M5 8h14", "m5 8-2 6h4z", "m19 8-2 6h4z"],
  menu: ["M4 7h16", "M4 12h16", "M4 17h16"],
  send: ["M12 19V5", "m6 11 6-6 6 6"],
  stop: ["M7 7h10v10H7z"],
  attach: ["m20 11-8 8a5 5 0 0 1-7-7l8.5-8.5a3.3 3.3 0 0 1 4.7 4.7l-8.4 8.4a1.6 1.6 0 0 1-2.3-2.3L15 7"],
  sliders: ["M4 7h9", "M17 7h3", "M4 17h3", "M11 17h9", "M15 5v4", "M9 15v4"],
  code: ["m8 8-4 4 4 4", "m16 8 4 4-4 4", "m13.5 5-3 14"],
  copy: ["M9 9h11v11H9z", "M15 9V4H4v11h5"],
  check: ["m5 12.5 4.5 4.5L19 7.5"],
  edit: ["M4 20h4L19 9l-4-4L4 16z"],
  retry: ["M20 12a8 8 0 1 1-2.3-5.6L20 8.5", "M20 4v4.5h-4.5"],
  plus: ["M12 5v14", "M5 12h14"],
  trash: ["M4 7h16", "M9 7V4h6v3", "m6 7 1 13h10l1-13", "M10 11v5", "M14 11v5"],
  close: ["m6 6 12 12", "M18 6 6 18"],
  light: [
    "M12 8a4 4 0 1 1 0 8 4 4 0 0 1 0-8z",
    "M12 2.5v2",
    "M12 19.5v2",
    "M2.5 12h2",
    "M19.5 12h2",
    "m5.3 5.3 1.4 1.4",
    "m17.3 17.3 1.4 1.4",
    "m5.3 18.7 1.4-1.4",
    "m17.3 6.7 1.4-1.4",
  ],
  dark: ["M20 14.5A8.5 8.5 0 0 1 9.5 4a8.5 8.5 0 1 0 10.5 10.5z"],
  system: ["M4 5h16v11H4z", "M9 20h6", "M12 16v4"],
  tool: [
    "M14.5 6.5a4 4 0 0 1 5-1.3l-2.8 2.8 1.3 1.3 2.8-2.8a4 4 0 0 1-5.3 5L9 18a2.1 2.1 0 0 1-3-3l6.5-6.5a4 4 0 0 1 2-2z",
  ],
  thought: ["M12 4a6 6 0 0 1 3.5 10.9V17h-7v-2.1A6 6 0 0 1 12 4z", "M9.5 20h5"],
  upload: ["M12 16V5", "m7 9.5 5-5 5 5", "M4 16v4h16v-4"],
  folder: ["M3 6h6l2 2.5h10V19H3z"],
  play: ["m8 5 11 7-11 7z"],
  search: ["M10.5 4a6.5 6.5 0 1 1 0 13 6.5 6.5 0 0 1 0-13z", "m15.5 15.5 5 5"],
  open: ["M14 4h6v6", "M20 4l-9 9", "M18 14v6H4V6h6"],
  down: ["M12 5v11", "m7 11.5 5 5 5-5", "M4 20h16"],
  info: ["M12 3.5a8.5 8.5 0 1 1 0 17 8.5 8.5 0 0 1 0-17z", "M12 11v5.5", "M12 7.5h.01"],
};

export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  for (const [attribute, value] of [
    ["viewBox", "0 0 24 24"],
    ["aria-hidden", "true"],
    ["class", "icon"],
  ])
    svg.setAttribute(attribute, value);
  for (const d of ICONS[name]) {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", d);
    svg.append(path);
  }
  return svg;
}

/** A button of an icon alone, with its name for screen readers and as a tooltip. */
export function iconButton(name, label, onclick, properties) {
  return h(
    "button",
    { type: "button", class: "quiet icon", "aria-label": label, title: label, onclick, ...properties },
    icon(name),
  );
}

export function button(label, onclick, properties, iconName) {
  return h("button", { type: "button", class: "quiet", onclick, ...properties }, iconName && icon(iconName), label);
}

/** A button of the bar at the top; narrow screens show its icon alone. */
export function barButton(label, onclick, iconName) {
  return h(
    "button",
    { type: "button", class: "quiet small", "aria-label": label, title: label, onclick },
    icon(iconName),
    h("span", { class: "label" }, label),
  );
}

/** Say something briefly in the corner; screen readers read it out. */
export function toast(text) {
  const node = h("p", null, text);
  document.querySelector("#toasts").append(node);
  setTimeout(() => node.remove(), 4000);
}

// ---- numbers and names ------------------------------------------------------------------------

const NUMBER = new Intl.NumberFormat("en");

export const formatted = (number) => NUMBER.format(number);

/** The last part of a model's id, as people call it. */
export const shortName = (id) => id.split("/").at(-1);

/** Workers AI's price of a neuron. Source: https://developers.cloudflare.com/workers-ai/platform/pricing/ */
const DOLLARS_PER_NEURON = 0.011 / 1000;

export function neuronsText(neurons) {
  return `${significant(neurons)} neurons, ${dollarsText(neurons * DOLLARS_PER_NEURON)}`;
}

export const dollarsText = (dollars) => `$${significant(dollars)}`;

/** A number with three significant digits, without an exponent. */
function significant(number) {
  if (number === 0) return "0";
  return number.toLocaleString("en", { maximumSignificantDigits: 3 });
}

export function secondsText(milliseconds) {
  return milliseconds < 1000 ? `${Math.round(milliseconds)} ms` : `${(milliseconds / 1000).toFixed(2)} s`;
}

export function bytesText(bytes) {
  if (bytes < 1000) return `${bytes} B`;
  if (bytes < 1e6) return `${(bytes / 1e3).toFixed(1)} kB`;
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

export function timeText(date) {
  return new Date(date).toLocaleString("en", {
    day: "numeric",
    month: "short",
    hour: "2-digit",
    minute: "2-digit",
    hourCycle: "h23",
  });
}
