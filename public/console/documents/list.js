// The documents of a tenant: adding, progress, deleting, indexing again.

import { getJson, request } from "../api.js";
import { button, bytesText, formatted, h, icon, iconButton, timeText } from "../dom.js";
import { failure, openDialog } from "../parts.js";
import { showCode } from "../snippets.js";
import { withTenant } from "./scope.js";
import { openDocument } from "./viewer.js";

const STEPS = ["uploading", "queued", "converting", "embedding", "indexed"];
const POLL_MILLISECONDS = 600;

export class DocumentList {
  /** Rows of documents that are being indexed: id → the row's `{node, update}`. */
  #timer = null;
  #cursor = "";

  constructor(scope) {
    this.scope = scope;
    this.files = h("input", {
      type: "file",
      multiple: true,
      class: "hidden-text",
      tabindex: "-1",
      "aria-label": "Files",
      onchange: () => this.#takeInput(this.files),
    });
    this.folder = h("input", {
      type: "file",
      webkitdirectory: true,
      class: "hidden-text",
      tabindex: "-1",
      "aria-label": "Folder",
      onchange: () => this.#takeInput(this.folder),
    });
    const choose = h("button", { type: "button", onclick: () => this.files.click() }, icon("upload"), "Choose files");
    const chooseFolder = button("Choose a folder", () => this.folder.click(), {}, "folder");
    const code = iconButton("code", "Code of an upload", () => showCode(this.code()));
    const drop = h(
      "div",
      { class: "drop" },
      icon("documents"),
      h("p", null, "Drop PDF, Word, Excel, HTML, Markdown, text or images here."),
      h("div", { class: "row" }, choose, chooseFolder, code),
      this.files,
      this.folder,
    );
    drop.addEventListener("dragover", (event) => {
      event.preventDefault();
      drop.classList.add("over");
    });
    drop.addEventListener("dragleave", () => drop.classList.remove("over"));
    drop.addEventListener("drop", (event) => {
      event.preventDefault();
      drop.classList.remove("over");
      this.#takeDropped(event.dataTransfer);
    });
    this.notice = h("div", { role: "status" });
    this.rows = h("ul", { class: "documents" });
    this.empty = h("p", { class: "hint", hidden: true }, "No documents yet.");
    this.more = button("Show more", () => this.#readPage(), { class: "quiet small", hidden: true });
    this.node = h(
      "section",
      { class: "card", "aria-label": "Documents" },
      drop,
      this.notice,
      this.rows,
      this.empty,
      this.more,
    );
  }

  /** The call that adds a document of this tenant. */
  code() {
    const tenant = this.scope.tenant ? { tenant: this.scope.tenant } : {};
    return {
      method: "POST",
      path: "/rag/documents",
      form: { file: { file: "handbook.md" }, ...tenant },
      answer: "json",
    };
  }

  leave() {
    clearTimeout(this.#timer);
    this.#timer = null;
    this.hasLeft = true;
  }

  // ---- reading --------------------------------------------------------------------------------

  async read() {
    this.#cursor = "";
    this.rows.replaceChildren();
    await this.#readPage();
  }

  async #readPage() {
    const { tenant } = this.scope;
    this.rows.setAttribute("aria-busy", "true");
    try {
      const page = await getJson(
        withTenant(`/rag/documents?limit=50&cursor=${encodeURIComponent(this.#cursor)}`, tenant),
      );
      if (tenant !== this.scope.tenant) return;
      for (const each of page.documents) this.#show(each);
      this.#cursor = page.cursor ?? "";
      this.more.hidden = !page.cursor;
      this.empty.hidden = this.rows.childElementCount > 0;
      this.#poll();
    } catch (error) {
      this.notice.replaceChildren(failure(error, () => this.read()));
    } finally {
      this.rows.removeAttribute("aria-busy");
    }
  }

  /** Show a document's state in its row, which is made if there is none. */
  #show(state) {
    const row = documentRow(state, this);
    const old = this.#row(state.id);
    if (old) old.replaceWith(row);
    else this.rows.append(row);
  }

  #row(id) {
    return Array.from(this.rows.children).find((row) => row.dataset.id === id);
  }

  /** Poll the states of documents until they are indexed. */
  #poll() {
    if (this.#timer || this.hasLeft || !this.#unfinished().length) return;
    this.#timer = setTimeout(async () => {
      await Promise.all(this.#unfinished().map((row) => this.#update(row.dataset.id)));
      this.#timer = null;
      this.#poll();
    }, POLL_MILLISECONDS);
  }

  #unfinished() {
    return Array.from(this.rows.children).filter(
      ({ dataset }) => dataset.state !== "indexed" && dataset.state !== "failed" && dataset.id,
    );
  }

  async #update(id) {
    try {
      const state = await getJson(withTenant(`/rag/documents/${encodeURIComponent(id)}`, this.scope.tenant));
      const row = this.#row(id); // none if it was deleted meanwhile
      if (row && row.dataset.state !== state.state) this.#show(state);
    } catch (error) {
      if (error.details?.type === "not_found") this.#row(id)?.remove();
    }
  }

  // ---- adding ---------------------------------------------------------------------------------

  #takeInput(input) {
    const files = Array.from(input.files, (file) => ({ file, path: file.webkitRelativePath || file.name }));
    input.value = "";
    this.#add(files);
  }

  async #takeDropped(transfer) {
    const entries = Array.from(transfer.items, (item) => item.webkitGetAsEntry?.()).filter(Boolean);
    const files = (await Promise.all(entries.map(filesOf))).flat();
    this.#add(files);
  }

  /** Upload files: a single one as a document, more of them as a batch. */
  #add(files) {
    const visible = files.filter(({ path }) => !path.split("/").some((part) => part.startsWith(".")));
    this.notice.replaceChildren();
    if (visible.length === 1) this.#addOne(visible[0].file);
    else if (visible.length) this.#addMany(visible);
  }

  async #addOne(file) {
    const row = documentRow({ id: "", title: file.name, state: "uploading", size: file.size }, this);
    this.rows.prepend(row);
    this.empty.hidden = true;
    const form = new FormData();
    form.append("file", file);
    if (this.scope.tenant) form.append("tenant", this.scope.tenant);
    try {
      const onProgress = (sent) => row.querySelector(".steps").replaceWith(uploadLine(sent));
      const state = await (await request("POST", "/rag/documents", { body: form, onProgress })).json();
      this.#row(state.id)?.remove();
      row.replaceWith(documentRow(state, this));
      this.#poll();
    } catch (error) {
      row.replaceWith(
        h(
          "li",
          { class: "document" },
          h(
            "div",
            { class: "document-text" },
            h("strong", null, file.name),
            failure(error, () => this.#addOne(file)),
          ),
        ),
      );
    }
  }

  async #addMany(files) {
    const line = h("div", null, `Sending ${formatted(files.length)} files…`);
    this.notice.replaceChildren(line);
    const onProgress = (sent) => line.replaceChildren(uploadLine(sent));
    const form = new FormData();
    for (const { file, path } of files) form.append("file", file, path);
    if (this.scope.tenant) form.append("tenant", this.scope.tenant);
    try {
      const job = await (await request("POST", "/rag/documents/batch", { body: form, onProgress })).json();
      await this.#watch(job, line);
    } catch (error) {
      this.notice.replaceChildren(failure(error, () => this.#addMany(files)));
    }
  }

  /** Show the progress of a batch until its job has ended. */
  async #watch({ id }, line) {
    const bar = h("progress", { max: "1", value: 0, "aria-label": "Progress of the batch" });
    this.notice.append(bar);
    for (;;) {
      const job = await getJson(`/rag/jobs/${encodeURIComponent(id)}`);
      const { total = 0, indexed = 0, failed = 0, replaced = 0 } = job.documents ?? {};
      bar.max = total || 1;
      bar.value = indexed + failed + replaced;
      line.textContent = `${formatted(indexed)} of ${formatted(total)} indexed${failed ? `, ${formatted(failed)} failed` : ""}`;
      if (job.state === "failed" || job.state === "done" || this.hasLeft) {
        bar.remove();
        await this.#showFailures(id, failed);
        return this.read();
      }
      await new Promise((done) => setTimeout(done, POLL_MILLISECONDS));
    }
  }

  async #showFailures(id, failed) {
    if (!failed) return;
    const { documents } = await getJson(`/rag/jobs/${encodeURIComponent(id)}/documents?state=failed&limit=100`);
    const item = ({ path, number, reason }) => h("li", null, `${path || `line ${number}`}: ${reason}`);
    this.notice.append(h("ul", { class: "failed" }, documents.map(item)));
  }

  // ---- what a row does ------------------------------------------------------------------------

  async remove(state) {
    try {
      await request("DELETE", withTenant(`/rag/documents/${encodeURIComponent(state.id)}`, this.scope.tenant));
      this.#row(state.id)?.remove();
      this.empty.hidden = this.rows.childElementCount > 0;
    } catch (error) {
      this.notice.replaceChildren(failure(error));
    }
  }

  async reindex(state) {
    try {
      const path = withTenant(`/rag/documents/${encodeURIComponent(state.id)}/reindex`, this.scope.tenant);
      this.#show(await (await request("POST", path)).json());
      this.#poll();
    } catch (error) {
      this.notice.replaceChildren(failure(error));
    }
  }
}

/** Files below an entry of a drop, as `{file, path}`. */
async function filesOf(entry) {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    return [{ file, path: entry.fullPath.slice(1) }];
  }
  const reader = entry.createReader();
  const entries = [];
  for (;;) {
    // a reader gives a hundred entries at a time
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) break;
    entries.push(...some);
  }
  return (await Promise.all(entries.map(filesOf))).flat();
}

function documentRow(state, list) {
  const { id, title, state: step, reason, size, chunks, updated_at } = state;
  const isIndexed = step === "indexed";
  const facts = [
    bytesText(size ?? 0),
    isIndexed && `${formatted(chunks)} ${chunks === 1 ? "passage" : "passages"}`,
    updated_at && timeText(updated_at),
  ];
  const name = title || id;
  const open = isIndexed
    ? h("button", { type: "button", class: "link", onclick: () => openDocument(state, list.scope) }, name)
    : h("strong", null, name);
  const tools = id && [
    iconButton("retry", `Index ${name} again`, () => list.reindex(state)),
    iconButton("trash", `Delete ${name}`, () =>
      confirmed(`Delete “${name}”?`, "Its file, passages and vectors are removed.", () => list.remove(state)),
    ),
  ];
  return h(
    "li",
    { class: "document", dataset: { id, state: step } },
    icon("documents"),
    h(
      "div",
      { class: "document-text" },
      open,
      h(
        "p",
        { class: "facts" },
        facts.filter(Boolean).map((fact) => h("span", null, fact)),
      ),
      stepsLine(step, reason),
    ),
    h("div", { class: "document-tools" }, tools),
  );
}

/** The steps of ingestion; nothing for a document that is indexed. */
function stepsLine(step, reason) {
  if (step === "indexed") return null;
  if (step === "failed") return h("p", { class: "reason" }, `Failed: ${reason}`);
  const at = STEPS.indexOf(step);
  const label = `Step ${at + 1} of ${STEPS.length}: ${step}`;
  return h(
    "div",
    { class: "steps" },
    h(
      "div",
      { class: "bar", "aria-hidden": "true" },
      STEPS.map((_, index) => h("span", { class: index < at ? "done" : index === at ? "now" : "" })),
    ),
    h("p", { class: "hint" }, label),
  );
}

/** The progress of an upload. Screen readers get the bar's value: they would read out each change of the text. */
function uploadLine({ loaded, total }) {
  const text =
    loaded < total
      ? `Uploading: ${bytesText(loaded)} of ${bytesText(total)}`
      : `${bytesText(total)} uploaded, reading…`;
  return h(
    "div",
    { class: "steps" },
    h("progress", { max: String(total || 1), value: loaded, "aria-label": "Uploaded" }),
    h("p", { class: "hint", "aria-hidden": "true" }, text),
  );
}

function confirmed(title, text, run) {
  const yes = h("button", { type: "button", class: "quiet danger" }, "Delete");
  const dialog = openDialog(
    title,
    h("p", null, text),
    h(
      "div",
      { class: "row end" },
      button("Cancel", () => dialog.close()),
      yes,
    ),
  );
  yes.addEventListener("click", () => {
    dialog.close();
    run();
  });
}
