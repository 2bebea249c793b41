"use strict";
// The cases of a task: a table that sorts and filters; rows are made as they are wanted.

const OUTCOMES = { passed: "pass", failed: "fail", error: "fail", skipped: "not run" };
const WORST_FIRST = ["fail", "undecided", "not run", "pass"];
const STEP = 100;

// A cell whose colour is its value; the number stands in it.
function heat(value, tag = "td") {
  if (value === null || value === undefined) return make(tag, { class: "number soft" }, "–");
  const cell = make(tag, { class: "number heat" }, shown.score(value));
  cell.style.setProperty("--share", `${Math.round(value * 100)}%`);
  return cell;
}

// The samples' scores as dots on a line from 0 to 1.
function dots(samples) {
  const words = samples.map((one) => `${shown.score(one.metrics.score)}${one.passed === false ? " failed" : ""}`).join(", ");
  const line = make("span", { class: "dots", role: "img", "aria-label": `${samples.length} samples: ${words}`, title: words });
  for (const one of samples) {
    const dot = make("i", { class: one.passed === false ? "bad" : one.passed === null ? "open" : "" });
    dot.style.left = `${(one.metrics.score ?? 0) * 100}%`;
    if (typeof one.metrics.score !== "number") dot.className = "none";
    line.append(dot);
  }
  return line;
}

function worst(gates) {
  return WORST_FIRST.find((outcome) => gates.some((gate) => gate.outcome === outcome)) ?? null;
}

function state(one) {
  const gates = worst(one.gates);
  const own = OUTCOMES[one.outcome] ?? "undecided";
  if (own === "fail" || gates === null || gates === "pass") return own;
  return gates;
}

// What a row shows and is sorted by.
function line(one, number, criteria) {
  const of = (name) => mean(one.samples.map((sample) => sample.metrics[name]));
  return {
    one,
    number,
    state: state(one),
    search: one.id.toLowerCase(),
    values: [one.id, WORST_FIRST.indexOf(state(one)), of("score"), of("score"), ...criteria.map(of), of("latency_ms"), of("cost_usd")],
  };
}

function row(item, criteria, open) {
  const { one, number, values } = item;
  const opener = make("button", { type: "button", class: "link", "aria-haspopup": "dialog", onclick: () => open(number) }, name(one.id));
  return make(
    "tr",
    {},
    make("th", { scope: "row" }, opener),
    make("td", {}, badge(item.state)),
    make("td", { class: "number" }, shown.score(values[2])),
    make("td", {}, dots(one.samples)),
    criteria.map((_, at) => heat(values[4 + at])),
    make("td", { class: "number" }, shown.ms(values.at(-2))),
    make("td", { class: "number" }, shown.usd(values.at(-1))),
  );
}

// Returns the table's section; `order()` lists the numbers of the cases as they stand in it.
function caseTable(task, numbered, open) {
  const criteria = task.criteria;
  const items = numbered.map(([one, number]) => line(one, number, criteria));
  const heads = ["case", "gate", "score", "samples", ...criteria, "latency", "cost"];
  let sort = null;
  let wanted = STEP;
  let found = items;
  const body = make("tbody");
  const status = make("p", { class: "soft", role: "status" });
  const more = make("button", { type: "button", onclick: () => ((wanted += STEP), fill()) }, "Show more");
  const search = make("input", { type: "search", placeholder: "Find a case", "aria-label": `Find a case of ${task.task}`, oninput: () => refresh() });
  const only = make("input", { type: "checkbox", onchange: () => refresh() });
  const { tops, mark } = sortHeads(heads, (column, way) => {
    sort = { column, way };
    refresh();
  });

  function refresh() {
    const words = search.value.toLowerCase();
    found = items.filter((item) => item.search.includes(words) && (!only.checked || item.state !== "pass"));
    const { column, way } = sort;
    found.sort((one, other) => compare(one.values[column], other.values[column], way) || compare(one.values[2], other.values[2], 1) || one.number - other.number);
    wanted = STEP;
    body.replaceChildren();
    fill();
  }

  function fill() {
    body.append(...found.slice(body.childElementCount, wanted).map((item) => row(item, criteria, open)));
    more.hidden = found.length <= wanted;
    status.replaceChildren(`${body.childElementCount} of ${found.length} cases shown${found.length < items.length ? `, ${items.length} in all` : ""}`);
  }

  const table = make("table", { class: "cases" }, make("caption", { class: "unseen" }, `Cases of ${task.task}`), make("thead", {}, make("tr", {}, tops)), body);
  const view = section(
    3,
    "Cases",
    make("div", { class: "controls" }, search, make("label", {}, only, " only those that did not pass"), status),
    make("div", { class: "wide", tabindex: 0, role: "region", "aria-label": `Cases of ${task.task}` }, table),
    more,
  );
  mark(1, 1);
  return { view, order: () => found.map((item) => item.number) };
}
