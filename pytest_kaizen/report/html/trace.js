"use strict";
// One case, opened: its gates, and what each of its samples did.

function text(title, value) {
  if (value === null || value === undefined || value === "") return null;
  return make("div", { class: "text" }, make("h5", {}, title), verbatim(value, { "aria-label": title }));
}

function part(one) {
  if (one.type === "text") return verbatim(one.content ?? "");
  if (one.type === "reasoning") return verbatim(one.content ?? "", { class: "reasoning" });
  if (one.type === "tool_call") {
    return make("div", { class: "tool" }, make("b", {}, `calls ${one.name}`), verbatim(one.arguments ?? {}));
  }
  if (one.type === "tool_call_response") {
    return make("div", { class: "tool" }, make("b", {}, "tool result"), verbatim(one.response ?? ""));
  }
  const { type, ...rest } = one;
  return make("div", { class: "tool" }, make("b", {}, type), verbatim(rest));
}

function message(one) {
  const end = one.finish_reason ? ` (${one.finish_reason})` : "";
  return make("div", { class: "message" }, make("h5", {}, one.role, end), one.parts.map(part));
}

function scores(list) {
  if (!list.length) return null;
  const rows = list.map((score) => [
    name(score.name),
    score.error ? badge("undecided", "error") : heat(score.value, "span"),
    score.source,
    score.error ?? score.reason ?? "",
  ]);
  const values = list.map((score) => [score.name, score.error ? null : score.value, score.source, score.error ?? score.reason]);
  return section(4, "Scores", grid(["score", "value", "by", "reason"], rows, values));
}

// Spans under one another, each with a bar for when and how long.
function waterfall(spans) {
  if (!spans.length) return null;
  const starts = spans.map((span) => Date.parse(span.started_at));
  const begin = Math.min(...starts);
  const end = Math.max(...spans.map((span, at) => starts[at] + (span.latency_ms ?? 0)), begin + 0.001);
  const depth = new Map();
  const ids = new Map(spans.map((span) => [span.id, span]));
  const level = (span, seen = 0) => {
    if (!depth.has(span.id)) {
      const parent = ids.get(span.parent_id);
      depth.set(span.id, parent && parent !== span && seen < 20 ? level(parent, seen + 1) + 1 : 0);
    }
    return depth.get(span.id);
  };
  const lines = spans.map((span, at) => {
    const bar = make("span", { class: `bar ${span.error ? "bad" : span.kind.toLowerCase()}` });
    bar.style.left = `${((starts[at] - begin) / (end - begin)) * 100}%`;
    bar.style.width = `${((span.latency_ms ?? 0) / (end - begin)) * 100}%`;
    const label = make("span", { class: "name" }, make("span", { class: "kind" }, span.kind), ` ${span.name}`);
    label.style.paddingLeft = `${level(span)}em`;
    const head = [label, make("span", { class: "track", "aria-hidden": "true" }, bar), make("span", { class: "number" }, shown.ms(span.latency_ms))];
    return folded(head, () => spanDetail(span), { class: "span", open: spans.length === 1 });
  });
  return section(4, "Spans", make("div", { class: "waterfall" }, lines));
}

function spanDetail(span) {
  const usage = span.usage;
  const facts = [
    ["model", [span.provider, span.model].filter(Boolean).join(" ")],
    ["tokens", usage.input_tokens === null && usage.output_tokens === null ? "" : `${usage.input_tokens ?? "?"} in, ${usage.output_tokens ?? "?"} out`],
    ["cost", span.cost_usd === null ? "" : shown.usd(span.cost_usd)],
    ["attempts", span.attempts.length > 1 ? span.attempts.map((one) => one.error ?? one.status ?? "?").join(", ") : ""],
    ["replayed", span.replayed ? "from a cassette" : ""],
    ["error", span.error],
  ];
  return [
    make("dl", { class: "facts" }, facts.filter(([, value]) => value).map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value)))),
    span.input.map(message),
    span.output.length ? make("div", { class: "answer" }, span.output.map(message)) : null,
    Object.keys(span.metadata).length ? folded("Metadata", () => verbatim(span.metadata)) : null,
  ];
}

function sample(one, trace) {
  const prompts = Object.entries(one.prompts).map(([task, [version]]) => `${task} v${version}`).join(", ");
  const missing = Object.entries(one.missing).map(([name, why]) => `${name}: ${why}`).join("\n");
  const state = one.passed === null ? "undecided" : one.passed ? "pass" : "fail";
  const title = [make("b", {}, `Sample ${one.sample}`), " ", badge(state), ` score ${shown.score(one.metrics.score)} · ${shown.ms(one.metrics.latency_ms)} · ${shown.usd(one.metrics.cost_usd)} ${prompts && `· ${prompts}`}`];
  const fill = () => [
    text("Error", one.error),
    text("Without a value", missing),
    scores(trace.scores),
    text("Input", trace.input),
    text("Output", trace.output),
    text("Reference", trace.reference),
    waterfall(trace.spans),
    Object.keys(trace.metadata).length ? folded("Metadata", () => verbatim(trace.metadata)) : null,
    make("p", { class: "soft" }, "In the store: ", make("code", {}, `kaizen traces show ${trace.id}`)),
  ];
  return { title, fill };
}

// The window in which cases are opened. `beside` gives the number of the case before or after one.
function caseWindow(cases, beside) {
  const body = make("div", { class: "body" });
  const title = make("h3", { id: "case-title", tabindex: -1 });
  const before = make("button", { type: "button", onclick: () => go(-1) }, "Previous");
  const after = make("button", { type: "button", onclick: () => go(1) }, "Next");
  const shut = make("button", { type: "button", onclick: () => dialog.close() }, "Close");
  const dialog = make("dialog", { "aria-labelledby": "case-title" }, make("header", {}, title, make("div", { class: "buttons" }, before, after, shut)), body);
  let current = null;
  const go = (step) => open(beside(current, step) ?? current);
  dialog.addEventListener("close", () => history.replaceState(null, "", "#"));
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());

  function open(number) {
    current = number;
    const one = cases[number];
    const traces = data(`case-${number}`);
    title.replaceChildren(plain(one.id));
    before.disabled = beside(number, -1) === null;
    after.disabled = beside(number, 1) === null;
    body.replaceChildren(
      make("p", {}, badge(OUTCOMES[one.outcome] ?? "undecided", one.outcome), one.complete ? "" : " did not run to its end"),
      one.gates.length ? make("ul", { class: "gates" }, one.gates.map((gate) => make("li", {}, badge(gate.outcome), " ", gate.sentence))) : "",
      ...one.samples.map((each, at) => {
        const { title: head, fill } = sample(each, traces[at]);
        return folded(head, fill, { class: "sample", open: at === 0 });
      }),
    );
    history.replaceState(null, "", `#case-${number}`);
    if (!dialog.open) dialog.showModal();
    body.scrollTop = 0;
    title.focus();
  }
  return { dialog, open };
}
