// The palette: a list of places and actions, narrowed by typing.

import { h, icon } from "./dom.js";

/** Show the palette. entries: `{title, icon, run}`. */
export function openPalette(entries) {
  const last = document.querySelector("#palette");
  if (last?.open) return;
  last?.remove();
  let matches = [];
  let chosen = 0;
  const list = h("ul", { role: "listbox", id: "palette-list", "aria-label": "Places and actions" });
  const field = h("input", {
    type: "text",
    role: "combobox",
    "aria-label": "Go to",
    "aria-expanded": "true",
    "aria-controls": "palette-list",
    "aria-autocomplete": "list",
    placeholder: "Go to…",
    autocomplete: "off",
    oninput: () => update(0),
    onkeydown: onKey,
  });
  const none = h("p", { class: "none", hidden: true }, "Nothing has that name.");
  const dialog = h(
    "dialog",
    { id: "palette", "aria-label": "Go to", onclose: () => dialog.remove() },
    field,
    list,
    none,
  );
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());

  function update(index) {
    const words = field.value.trim().toLowerCase().split(/\s+/);
    matches = entries.filter(({ title }) => words.every((word) => title.toLowerCase().includes(word)));
    chosen = matches.length ? (index + matches.length) % matches.length : 0;
    list.replaceChildren(...matches.map(option));
    none.hidden = matches.length > 0;
    list.hidden = !matches.length;
    if (matches.length) field.setAttribute("aria-activedescendant", `palette-${chosen}`);
    else field.removeAttribute("aria-activedescendant");
    list.children[chosen]?.scrollIntoView({ block: "nearest" });
  }

  function option({ title, icon: name }, index) {
    const properties = { role: "option", id: `palette-${index}`, "aria-selected": String(index === chosen) };
    return h("li", { ...properties, onclick: () => run(index) }, icon(name), h("span", null, title));
  }

  function run(index) {
    const entry = matches[index];
    dialog.close();
    entry?.run();
  }

  function onKey(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) update(chosen + step);
    else if (event.key === "Enter") run(chosen);
    else return;
    event.preventDefault();
  }

  document.body.append(dialog);
  update(0);
  dialog.showModal();
}
