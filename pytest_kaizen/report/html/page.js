"use strict";
// Building blocks. What a run holds is hostile text: it enters the page through `make` alone, as text.

// What moves a cursor or turns the direction of writing is shown, not done.
const ACTIVE = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]/gu;
const MARKS = { pass: "✓", fail: "✗", undecided: "?", "not run": "–" };

function plain(value) {
  const text = typeof value === "string" ? value : JSON.stringify(value, null, 2) ?? "";
  return text
    .replaceAll("\r\n", "\n")
    .replace(ACTIVE, (mark) => `\\u${mark.codePointAt(0).toString(16).padStart(4, "0")}`);
}

// An element with attributes (`on…` ones are listeners) and children: elements, texts, lists, or nothing.
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, plain(String(value)));
  }
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : plain(String(child)));
  }
  return element;
}

// A name that may go on in the next line after its dots, slashes and the like.
function name(text) {
  return plain(text).split(/(?<=[./[]|::|_(?=.{4}))/).flatMap((piece) => [piece, document.createElement("wbr")]);
}

function data(name) {
  return JSON.parse(document.getElementById(`data-${name}`).textContent);
}

// A box that is filled when it is first opened.
function folded(title, fill, attributes = {}) {
  const box = make("details", attributes, make("summary", {}, title));
  const open = () => {
    if (box.childElementCount === 1) box.append(...[fill()].flat(Infinity).filter(Boolean));
  };
  box.addEventListener("toggle", () => box.open && open());
  if (box.open) open();
  return box;
}

// A text as it was written; long ones scroll, also by keyboard.
function verbatim(value, attributes = {}) {
  return make("pre", { tabindex: 0, ...attributes }, typeof value === "string" ? value : plain(value));
}

function badge(outcome, text = outcome) {
  return make("span", { class: `badge ${outcome.replace(" ", "-")}` }, `${MARKS[outcome] ?? "•"} ${text}`);
}

function section(level, title, ...children) {
  return make("section", {}, make(`h${level}`, {}, title), children);
}

// What is not known comes last, whichever way.
function compare(one, other, way) {
  if (one === other) return 0;
  if (one === null || one === undefined) return 1;
  if (other === null || other === undefined) return -1;
  return (one < other ? -1 : 1) * way;
}

// The heads of a table that sorts. Pressing one calls `sorted(column, way)`, a second time the other way.
function sortHeads(names, sorted) {
  let sort = { column: -1, way: 1 };
  const tops = names.map((label, column) => {
    const turn = () => mark(column, sort.column === column ? -sort.way : 1);
    return make("th", { scope: "col" }, make("button", { type: "button", class: "sort", onclick: turn }, name(label)));
  });
  const mark = (column, way) => {
    sort = { column, way };
    tops.forEach((top, at) => {
      if (at === column) top.setAttribute("aria-sort", way > 0 ? "ascending" : "descending");
      else top.removeAttribute("aria-sort");
    });
    sorted(column, way);
  };
  return { tops, mark };
}

function mean(values) {
  const known = values.filter((value) => typeof value === "number");
  return known.length ? known.reduce((sum, value) => sum + value, 0) / known.length : null;
}

const shown = {
  score: (value) => (value === null || value === undefined ? "–" : value.toFixed(2)),
  percent: (value) => (value === null || value === undefined ? "–" : `${Math.round(value * 100)}%`),
  usd: (value) => (value === null || value === undefined ? "–" : `$${value < 1 ? value.toFixed(4) : value.toFixed(2)}`),
  ms: (value) => {
    if (value === null || value === undefined) return "–";
    return value < 1000 ? `${value.toFixed(value < 10 ? 1 : 0)} ms` : `${(value / 1000).toFixed(2)} s`;
  },
  count: (value) => (value ?? 0).toLocaleString("en"),
  time: (text) => (text ? `${text.slice(0, 16).replace("T", " ")} UTC` : "–"),
  interval: (range) => (range ? `[${range[0].toFixed(2)}, ${range[1].toFixed(2)}]` : ""),
};
