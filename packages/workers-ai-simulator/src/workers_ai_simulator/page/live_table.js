// A table that grows at its top while one looks at it.

import { cloned, element, page, snippet } from "./elements.js";

/** Rows that a table holds at most; the oldest go first. */
const MOST = 500;

export class LiveTable {
  /** Id → `{entry, root}`, oldest first. */
  #rows = new Map();
  #waiting = new Map();
  #paused = false;
  #fits = () => true;

  /**
   * @param table    the table
   * @param template id of the template of a row
   * @param fill     (root, entry): writes the entry into its row
   * @param details  entry → `{facts: [[name, text]], texts: [[title, text]]}` of the part that opens below
   */
  constructor(table, template, fill, details) {
    Object.assign(this, { table, template, fill, details });
  }

  get entries() {
    return Array.from(this.#rows.values(), ({ entry }) => entry);
  }

  get shown() {
    return this.entries.filter(this.#fits).length;
  }

  get waiting() {
    return this.#waiting.size;
  }

  get paused() {
    return this.#paused;
  }

  /** Show entries, oldest first, new or changed; or keep them back while the table is paused. */
  update(entries) {
    const newest = entries.slice(-MOST);
    if (this.#paused) {
      for (const entry of newest) this.#waiting.set(entry.id, entry);
      dropOldest(this.#waiting);
      return;
    }
    for (const entry of newest) this.#show(entry);
    for (const { root } of dropOldest(this.#rows)) root.remove();
    this.table.hidden = this.#rows.size === 0;
  }

  setPaused(isPaused) {
    this.#paused = isPaused;
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    this.update(waiting);
  }

  filter(fits) {
    this.#fits = fits;
    for (const { entry, root } of this.#rows.values()) root.hidden = !fits(entry);
  }

  #show(entry) {
    const row = this.#rows.get(entry.id) ?? this.#added(entry.id);
    row.entry = entry;
    row.root.hidden = !this.#fits(entry);
    this.fill(row.root, entry);
    this.#refreshFacts(row);
  }

  #added(id) {
    const row = { entry: null, root: cloned(this.template) };
    this.#rows.set(id, row);
    this.table.tHead.after(row.root);
    row.root.querySelector(".row").addEventListener("click", () => {
      const isReading = !getSelection().isCollapsed && getSelection().containsNode(row.root, true);
      if (!isReading) this.#toggle(row);
    });
    return row;
  }

  #toggle(row) {
    const opened = row.root.querySelector(".details");
    if (opened) opened.remove();
    else row.root.append(this.#opened(row.entry));
    row.root.querySelector(".open").setAttribute("aria-expanded", String(!opened));
    this.#refreshFacts(row);
  }

  #opened(entry) {
    const root = cloned("details-template");
    const { texts } = this.details(entry);
    root.querySelector(".texts").append(...texts.map(([title, text]) => snippet(title, text)));
    return root;
  }

  #refreshFacts({ root, entry }) {
    const list = root.querySelector(".details dl");
    if (!list) return;
    const facts = this.details(entry).facts.filter(([, text]) => text);
    // what is the same stays, or a selection in it would be lost
    if (list.textContent === facts.flat().join("")) return;
    list.replaceChildren(...facts.flatMap(([name, text]) => [element("dt", name), element("dd", text)]));
  }
}

/** Removes from the front what is too much, and returns it. */
function dropOldest(map) {
  const dropped = [...map].slice(0, Math.max(0, map.size - MOST));
  for (const [id] of dropped) map.delete(id);
  return dropped.map(([, value]) => value);
}

/** One message in the place of rows: that there are none, or that none fits. */
export function tellEmpty(name, text) {
  page[`${name}-empty`].textContent = text;
  page[`${name}-empty`].hidden = !text;
}
