// A table that grows at its top while people read it.

import { cloned, element, page } from "./elements.js";

/** Rows of a table at most; the oldest are removed first. */
export const MAX_ROWS = 500;

export class LiveTable {
  /** Id → `{entry, root, opened}`, oldest first. */
  #rows = new Map();
  #waiting = new Map();
  #paused = false;
  #matches = () => true;

  /**
   * @param table    the table
   * @param template id of the template of a row
   * @param fill     (root, entry) => void, which writes the entry into its row
   * @param facts    entry => [[name, text]], shown below the row when it is opened
   * @param open     (entry, root) => changed, which shows all else in that element, and `changed(entry)` its changes
   */
  constructor(table, template, { fill, facts, open }) {
    Object.assign(this, { table, template, fill, facts, open });
  }

  get entries() {
    return Array.from(this.#rows.values(), ({ entry }) => entry);
  }

  get shown() {
    return this.entries.filter(this.#matches).length;
  }

  get waiting() {
    return this.#waiting.size;
  }

  get paused() {
    return this.#paused;
  }

  /** Show new or changed entries, oldest first. While the table is paused, they wait. */
  update(entries) {
    const newest = entries.slice(-MAX_ROWS);
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

  filter(matches) {
    this.#matches = matches;
    for (const { entry, root } of this.#rows.values()) root.hidden = !matches(entry);
  }

  /** Open the row of that id, and bring it into view, whatever the filter is. Returns false if there is none. */
  reveal(id) {
    const row = this.#rows.get(id);
    if (!row) return false;
    if (!row.changed) this.#toggle(row);
    row.root.hidden = false;
    row.root.scrollIntoView({ block: "start" });
    row.root.querySelector(".open").focus({ preventScroll: true });
    return true;
  }

  #show(entry) {
    const row = this.#rows.get(entry.id) ?? this.#added(entry.id);
    row.entry = entry;
    row.root.hidden = !this.#matches(entry);
    this.fill(row.root, entry);
    this.#refresh(row);
  }

  #added(id) {
    const row = { entry: null, root: cloned(this.template), changed: null };
    this.#rows.set(id, row);
    this.table.tHead.after(row.root);
    row.root.querySelector(".row").addEventListener("click", () => {
      const isReading = !getSelection().isCollapsed && getSelection().containsNode(row.root, true);
      if (!isReading) this.#toggle(row);
    });
    return row;
  }

  #toggle(row) {
    const isOpen = Boolean(row.changed);
    if (isOpen) {
      row.root.querySelector(".details").remove();
      row.changed = null;
    } else {
      const root = cloned("details-template");
      row.root.append(root);
      row.changed = this.open(row.entry, root.querySelector(".texts"));
    }
    row.root.querySelector(".open").setAttribute("aria-expanded", String(!isOpen));
    this.#refresh(row);
  }

  #refresh({ root, entry, changed }) {
    if (!changed) return;
    changed(entry);
    const list = root.querySelector(".details dl");
    const facts = this.facts(entry).filter(([, text]) => text);
    // unchanged facts stay, or a selection in them would be lost
    if (list.textContent === facts.flat().join("")) return;
    list.replaceChildren(
      ...facts.map(([name, text]) => {
        const fact = element("div", "");
        fact.append(element("dt", name), element("dd", text));
        return fact;
      }),
    );
  }
}

/** Remove the oldest entries beyond MAX_ROWS from the map. Returns their values. */
function dropOldest(map) {
  const dropped = [...map].slice(0, Math.max(0, map.size - MAX_ROWS));
  for (const [id] of dropped) map.delete(id);
  return dropped.map(([, value]) => value);
}

/** Show a message in place of rows; an empty text hides it. */
export function showEmpty(name, text) {
  page[`${name}-empty`].textContent = text;
  page[`${name}-empty`].hidden = !text;
}
