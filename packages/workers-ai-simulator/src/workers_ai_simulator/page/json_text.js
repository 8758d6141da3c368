// JSON for people: indented, with the length of long lists of numbers and of encoded files in their place.

/** Numbers of a list that are all shown. */
const MAX_NUMBERS = 16;
const SHOWN_NUMBERS = 4;
/** Characters without a space from which on a text counts as an encoded file. */
const ENCODED = /^[\w+/=:;,.-]{300,}$/;
const SHOWN_CHARACTERS = 40;

/** The value as indented JSON. */
export function indented(value) {
  return JSON.stringify(value, null, 2) ?? "";
}

/** The same, abridged. */
export function abridged(value) {
  return indented(withoutLongParts(value));
}

/** A body as indented JSON, abridged; any other body, or one that was cut, unchanged. */
export function readableBody(body) {
  const value = parsed(body);
  return value === undefined ? body : abridged(value);
}

/** The value of a JSON text; undefined if it is none. */
export function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function withoutLongParts(value) {
  if (typeof value === "string") return ENCODED.test(value) ? encodedNote(value) : value;
  if (Array.isArray(value)) return isLongList(value) ? numbersNote(value) : value.map(withoutLongParts);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, withoutLongParts(each)]));
}

function isLongList(list) {
  return list.length > MAX_NUMBERS && list.every((each) => typeof each === "number");
}

function numbersNote(list) {
  return `<${list.length} numbers: ${list.slice(0, SHOWN_NUMBERS).join(", ")}, …>`;
}

function encodedNote(text) {
  return `${text.slice(0, SHOWN_CHARACTERS)}… <${text.length} characters>`;
}
