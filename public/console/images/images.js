// The screen Images: from a prompt, from an image, or into the masked part of one; those that this browser has stored.

import { getJson, request } from "../api.js";
import { barButton, button, bytesText, h, icon, iconButton } from "../dom.js";
import { filled, requestForm, timed } from "../forms.js";
import { imageCall } from "../openai.js";
import { field } from "../parts.js";
import { showCode } from "../snippets.js";
import { modelsFor, remember, remembered, worker } from "../worker.js";

const TASKS = { "text-to-image": "From a prompt", "image-to-image": "From an image", inpainting: "Into a mask" };
const MAX_STORED = 60;

export function show({ root, actions }) {
  const files = { image: null, mask: null };
  const prompt = h("textarea", {
    rows: "3",
    name: "prompt",
    required: true,
    maxlength: "2048",
    placeholder: "A red fox in the snow, at dawn",
  });
  const negative = h("input", { type: "text", name: "negative_prompt" });
  const numbers = ["width", "height", "steps", "guidance", "strength", "seed"].map((name) =>
    h("input", { type: "number", step: "any", name }),
  );
  const model = h(
    "select",
    { name: "model" },
    h("option", { value: "" }, "The Worker's choice"),
    Object.entries(TASKS).map(([task, label]) =>
      h(
        "optgroup",
        { label },
        modelsFor(task).map(({ id }) => h("option", { value: id }, id.split("/").at(-1))),
      ),
    ),
  );
  const store = h("input", { type: "checkbox", id: "store-image" });
  const start = picker("image", "Start from an image", files);
  const mask = picker("mask", "Mask", files);
  const gallery = h("ul", { class: "gallery", "aria-label": "Stored images" });
  const empty = h("p", { class: "hint" }, "Images that you keep appear here.");
  /** Number of the last reading of the gallery: what an earlier one still brings is not shown. */
  let reading = 0;

  const values = () => ({
    ...filled([prompt, negative, model, ...numbers]),
    ...(store.checked ? { store: true } : {}),
  });

  async function run(signal) {
    const { response, facts } = await timed("POST", "/image", { body: body(values(), files), signal });
    if (response.status === 201) {
      const stored = await response.json();
      remember("images", [{ ...stored, prompt: prompt.value }, ...remembered("images", [])].slice(0, MAX_STORED));
      showGallery();
      return picture(new URL(stored.url).pathname, facts(), null);
    }
    const blob = await response.blob();
    return picture(
      URL.createObjectURL(blob),
      facts(),
      () => start.set(new File([blob], "image", { type: blob.type })),
      blob,
    );
  }

  const { form, result, leave } = requestForm({
    action: "Generate",
    run,
    fields: [
      field("Prompt", prompt),
      field("Model", model),
      h("div", { class: "form-grid" }, start.node, mask.node),
      h(
        "details",
        null,
        h("summary", null, "Advanced"),
        field("Negative prompt", negative),
        h(
          "div",
          { class: "form-grid" },
          numbers.map((input) => field(input.name, input)),
        ),
      ),
      h(
        "div",
        { class: "check" },
        store,
        h("label", { htmlFor: "store-image" }, "Keep the image, and give it an address"),
      ),
    ],
  });

  async function showGallery() {
    const own = ++reading;
    const stored = await storedImages();
    if (own !== reading) return;
    empty.hidden = stored.length > 0;
    gallery.replaceChildren(...stored.map(storedItem));
  }

  function storedItem(image) {
    const path = new URL(image.url).pathname;
    const remove = async () => {
      await request("DELETE", path).catch(() => {}); // it may be gone already
      remember(
        "images",
        remembered("images", []).filter(({ key }) => key !== image.key),
      );
      showGallery();
    };
    const name = image.prompt || image.key;
    return h(
      "li",
      null,
      h("a", { href: path, target: "_blank", rel: "noopener" }, h("img", { src: path, alt: name, loading: "lazy" })),
      iconButton("trash", `Delete the image: ${name}`, remove),
    );
  }

  root.append(
    h(
      "div",
      { class: "page split" },
      h("section", { class: "card", "aria-label": "Generate" }, form),
      h(
        "div",
        { class: "stack" },
        h("section", { class: "card", "aria-label": "Image" }, h("h3", null, "Image"), result),
        h("section", { class: "card", "aria-label": "Stored" }, h("h3", null, "Stored images"), empty, gallery),
      ),
    ),
  );
  actions.append(barButton("Code", () => showCode(call(values(), files)), "code"));
  showGallery();
  return leave;
}

/** The caller's images, the latest first; those that this browser remembers, where they may not be listed. */
async function storedImages() {
  const kept = remembered("images", []);
  if (!worker.routes.has("GET /images")) return kept;
  let cursor = "";
  const listed = [];
  try {
    do {
      const page = await getJson(`/images?cursor=${encodeURIComponent(cursor)}`);
      listed.push(...page.images);
      cursor = page.cursor ?? "";
    } while (cursor && listed.length < MAX_STORED);
  } catch {
    return kept; // callers without a key have none of their own
  }
  const newestFirst = (one, other) => String(other.created_at).localeCompare(String(one.created_at));
  return listed.toSorted(newestFirst).slice(0, MAX_STORED);
}

/** A form of the fields and files of POST /image. */
function body(values, files) {
  const form = new FormData();
  for (const [name, value] of Object.entries(values)) form.append(name, String(value));
  for (const [name, file] of Object.entries(files)) if (file) form.append(name, file);
  return form;
}

function call(values, files) {
  const fields = { prompt: "a red fox in the snow", ...values };
  const chosen = Object.entries(files).filter(([, file]) => file);
  const names = Object.fromEntries(chosen.map(([name, file]) => [name, file.name]));
  const end = {
    ...(values.store ? { answer: "json" } : { answer: "file", saveAs: "image.png" }),
    openai: imageCall(fields, names),
  };
  if (!chosen.length) return { method: "POST", path: "/image", json: fields, ...end };
  const texts = Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, String(value)]));
  const uploads = Object.fromEntries(Object.entries(names).map(([name, file]) => [name, { file }]));
  return { method: "POST", path: "/image", form: { ...texts, ...uploads }, ...end };
}

/** A field for a picture, with a small view of it. */
function picker(name, label, files) {
  const input = h("input", {
    type: "file",
    accept: "image/png,image/jpeg,image/webp,image/gif",
    name,
    onchange: () => set(input.files[0] ?? null),
  });
  const preview = h("div");

  function set(file) {
    files[name] = file;
    if (!file) return preview.replaceChildren();
    const clear = iconButton("close", `Remove: ${label}`, () => {
      input.value = "";
      set(null);
    });
    preview.replaceChildren(
      h("div", { class: "thumbnail" }, h("img", { src: URL.createObjectURL(file), alt: label }), clear),
    );
  }

  return { node: h("div", { class: "stack" }, field(label, input), preview), set };
}

function picture(source, facts, edit, blob) {
  const download = h("a", { class: "button quiet small", href: source, download: "image" }, icon("down"), "Download");
  return h(
    "figure",
    { class: "picture" },
    h("img", { src: source, alt: "The generated image" }),
    h(
      "div",
      { class: "row" },
      download,
      edit && button("Edit this image", edit, { class: "quiet small" }, "edit"),
      blob && h("span", { class: "hint" }, `${blob.type}, ${bytesText(blob.size)}`),
    ),
    facts,
  );
}
