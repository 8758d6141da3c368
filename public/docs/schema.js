// Schemas for people: types in words, fields as tables.

import { h } from "../console/dom.js";

const WORDS = { string: "text", integer: "whole number", boolean: "true or false", array: "list", null: "null" };
const UNITS = { Length: "characters", Items: "items", Properties: "fields" };

/** Text with `code` in it, as paragraphs. */
export function prose(text) {
  const paragraphs = text.trim().split(/\n{2,}/);
  return h("div", { class: "prose" }, ...paragraphs.map((paragraph) => h("p", null, ...spans(paragraph))));
}

function spans(text) {
  return text.split("`").map((part, index) => (index % 2 ? h("code", null, part) : part));
}

/** The schema that a reference names; other schemas as they are. */
export function resolved(schema, schemas) {
  return schema.$ref ? schemas[schema.$ref.split("/").at(-1)] : schema;
}

/** A schema's type in words, such as “text (1 to 200 characters)”. */
export function typeText(schema, schemas) {
  if (schema.$ref) return resolved(schema, schemas).title ?? schema.$ref.split("/").at(-1);
  if ("const" in schema) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(", ");
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices) return [...new Set(choices.map((choice) => typeText(choice, schemas)))].join(" or ");
  if (schema.format === "binary" || schema.contentMediaType) return "file";
  const types = [schema.type ?? []].flat();
  if (types.length === 0) return "anything";
  return types.map((type) => simpleText(type, schema, schemas)).join(" or ");
}

function simpleText(type, schema, schemas) {
  const of = type === "array" && schema.items ? ` of ${typeText(schema.items, schemas)}` : "";
  const bounds = type === "null" ? "" : boundsText(schema);
  return `${WORDS[type] ?? type}${of}${bounds && ` (${bounds})`}`;
}

function boundsText(schema) {
  const [kind, unit] = Object.entries(UNITS).find(([name]) => `min${name}` in schema || `max${name}` in schema) ?? [
    "imum",
    "",
  ];
  const { [`min${kind}`]: least, [`max${kind}`]: most } = schema;
  if (least === undefined && most === undefined) return schema.pattern ? `like ${schema.pattern}` : "";
  const range = most === undefined ? `${least} or more` : least === undefined ? `up to ${most}` : `${least} to ${most}`;
  return `${range} ${unit}`.trim();
}

/** The objects whose fields a schema has: its own, those of the items of a list, of each alternative, of named values. */
function objectsOf(schema, schemas) {
  const own = resolved(schema, schemas);
  if (own.properties) return Object.keys(own.properties).length > 0 ? [own] : [];
  const { items, anyOf = [], oneOf = [], patternProperties = {}, additionalProperties } = own;
  const values = typeof additionalProperties === "object" ? [additionalProperties] : [];
  const parts = [...(items ? [items] : []), ...anyOf, ...oneOf, ...Object.values(patternProperties), ...values];
  return [...new Set(parts.flatMap((part) => objectsOf(part, schemas)))];
}

/** The fields of a schema as a table for each alternative, or its type if it has none. */
export function fieldsView(schema, schemas, label) {
  const objects = objectsOf(schema, schemas);
  if (objects.length === 0) return h("p", null, typeText(schema, schemas));
  if (objects.length === 1) return objectView(objects[0], schemas, label);
  const views = objects.map((object, index) => {
    const title = object.title ?? `Alternative ${index + 1}`;
    return [h("p", { class: "alternative" }, title), objectView(object, schemas, `${label} (${title}, ${index + 1})`)];
  });
  return h("div", null, ...views.flat());
}

function objectView({ properties, required = [] }, schemas, label) {
  const rows = Object.entries(properties).map(([name, schema]) =>
    fieldRow({ name, schema, required: required.includes(name), description: schema.description }, schemas, label),
  );
  return table(label, rows);
}

/** Parameters of a path or a query as a table. */
export function parametersView(parameters, schemas, label) {
  return table(
    label,
    parameters.map((parameter) => fieldRow(parameter, schemas, label)),
  );
}

function table(label, rows) {
  const heads = ["Name", "Type", "Meaning"].map((name) => h("th", { scope: "col" }, name));
  return h(
    "div",
    { class: "scroller", tabindex: "0", role: "region", "aria-label": label },
    h("table", null, h("thead", null, h("tr", null, ...heads)), h("tbody", null, ...rows)),
  );
}

/** label: of the table, which those within it repeat, so that no two have the same. */
function fieldRow({ name, schema, required, description = "" }, schemas, label) {
  const hasFields = objectsOf(schema, schemas).length > 0;
  const meaning = [
    description && prose(description),
    schema.default !== undefined &&
      schema.default !== null &&
      h("p", { class: "hint" }, `Default: ${JSON.stringify(schema.default)}`),
    hasFields && nested(name, schema, schemas, label),
  ];
  return h(
    "tr",
    null,
    h("th", { scope: "row" }, h("code", null, name), required && h("span", { class: "hint" }, " required")),
    h("td", null, typeText(schema, schemas)),
    h("td", null, ...meaning),
  );
}

/** Fields within a field, made when they are opened: schemas may contain themselves. */
function nested(name, schema, schemas, label) {
  const details = h("details", null, h("summary", null, `Fields of ${name}`));
  details.addEventListener("toggle", () => details.append(fieldsView(schema, schemas, `${label}: ${name}`)), {
    once: true,
  });
  return details;
}

/** A body with the required fields of a schema, for routes without an example. */
export function skeleton(schema, schemas) {
  const own = resolved(schema, schemas);
  if (own.enum) return own.enum[0];
  if (own.properties)
    return Object.fromEntries((own.required ?? []).map((name) => [name, skeleton(own.properties[name], schemas)]));
  const type = [own.type ?? "string"].flat()[0];
  return { array: [], object: {}, integer: own.minimum ?? 0, number: own.minimum ?? 0, boolean: false }[type] ?? "";
}
