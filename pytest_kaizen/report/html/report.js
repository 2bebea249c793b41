"use strict";
// The page: the verdict, then task by task.

function tile(name, value, note = "") {
  return make("div", { class: "tile" }, make("dt", {}, name), make("dd", {}, value), note && make("dd", { class: "soft" }, note));
}

function tiles(task) {
  const calls = task.calls ? `${shown.count(task.input_tokens)} tokens in, ${shown.count(task.output_tokens)} out` : "";
  const judged = task.judge_calls ? `judge ${task.judge_cost_usd === null ? "unknown" : shown.usd(task.judge_cost_usd)}` : "";
  const unpriced = task.unpriced ? `${task.unpriced} calls without a price` : "";
  return make(
    "dl",
    { class: "tiles" },
    tile("score", shown.score(task.score), shown.interval(task.score_interval)),
    tile("passed", shown.percent(task.pass_rate), `of ${shown.count(task.samples)} samples`),
    tile("cases", shown.count(task.cases), task.cases < task.collected ? `of ${shown.count(task.collected)}` : "all of them"),
    tile("prompt", task.prompts || "–"),
    tile("cost", shown.usd(task.cost_usd), [judged, unpriced].filter(Boolean).join(", ")),
    tile("latency", shown.ms(task.latency_p50_ms), `95th percentile ${shown.ms(task.latency_p95_ms)}`),
    tile("calls", shown.count(task.calls), calls),
  );
}

// All tasks side by side, each a link to its own part of the page.
function taskTable(tasks) {
  const heads = ["task", "gates", "score", "interval", "passed", "cases", "cost", "latency"];
  const outcome = (task) => worst(task.gates) ?? "not run";
  const cells = (task, at) => [
    make("a", { href: `#task-${at}` }, name(task.task)),
    badge(outcome(task)),
    heat(task.score, "span"),
    shown.interval(task.score_interval),
    shown.percent(task.pass_rate),
    shown.count(task.cases),
    shown.usd(task.cost_usd),
    shown.ms(task.latency_p50_ms),
  ];
  const values = (task) => [
    task.task,
    WORST_FIRST.indexOf(outcome(task)),
    task.score,
    task.score_interval?.[0],
    task.pass_rate,
    task.cases,
    task.cost_usd,
    task.latency_p50_ms,
  ];
  return make("nav", { "aria-label": "Tasks" }, grid(heads, tasks.map(cells), tasks.map(values)));
}

// A figure in [0, 1] with its interval, against its bar.
function meter(gate) {
  if (typeof gate.figure !== "number" || gate.limit === null || gate.limit > 1 || gate.figure > 1) return "";
  const at = (name, low, high = null) => {
    const mark = make("i", { class: name });
    mark.style.left = `${low * 100}%`;
    if (high !== null) mark.style.width = `${(high - low) * 100}%`;
    return mark;
  };
  return make("span", { class: `meter ${gate.outcome}`, "aria-hidden": "true" }, gate.interval && at("range", ...gate.interval), at("limit", gate.limit), at("figure", gate.figure));
}

function gates(task) {
  if (!task.gates.length) return null;
  return section(3, "Gates", make("ul", { class: "gates" }, task.gates.map((gate) => make("li", {}, badge(gate.outcome), meter(gate), make("span", {}, gate.sentence)))));
}

function trends(task) {
  const names = Object.keys(task.history.at(-1)?.figures ?? {}).filter((name) => task.history.some((run) => typeof run.figures[name]?.figure === "number"));
  if (!names.length) return null;
  const place = make("div");
  const show = (name) => place.replaceChildren(...trend(task, name));
  const choice = make("select", { "aria-label": `Figure of ${task.task} over its runs`, onchange: () => show(choice.value) }, names.map((name) => make("option", { value: name }, name)));
  const first = task.gates.find((gate) => names.includes(gate.name) && gate.limit !== null && gate.figure <= 1)?.name ?? names[0];
  choice.selectedIndex = names.indexOf(first);
  choice.addEventListener("change", () => show(names[choice.selectedIndex]));
  show(first);
  return section(3, "Over the runs", choice, make("span", { class: "soft" }, " with its interval; the bar is dashed"), place);
}

function changes(task) {
  const since = task.changes;
  if (!since) return null;
  const move = (fall) => [name(fall.name), shown.score(fall.before), shown.score(fall.now), (fall.now - fall.before).toFixed(2)];
  const moved = (fall) => [fall.name, fall.before, fall.now, fall.now - fall.before];
  const falls = [...since.criteria, ...since.cases];
  const score = since.score ? ` Score ${shown.score(since.score.before)} to ${shown.score(since.score.now)}.` : "";
  const mark = (line) => (line.startsWith("+") ? "added" : line.startsWith("-") ? "removed" : "");
  return section(
    3,
    "Since the baseline",
    make("p", {}, `Compared with ${since.since}: ${since.paired} cases in both, ${since.new.length} new, ${since.removed.length} removed.${score}`),
    since.facts.length ? grid(["what", "before", "now"], since.facts) : make("p", {}, "Same prompt, models, judge, rubrics and revision."),
    make(
      "div",
      { class: "columns" },
      falls.length ? folded("Scores that fell most, before and now", () => grid(["score", "before", "now", "change"], falls.map(move), falls.map(moved)), { open: true }) : null,
      since.prompt_diff.length ? make("pre", { class: "diff", tabindex: 0, "aria-label": "What changed in the prompt" }, since.prompt_diff.map((line) => make("span", { class: mark(line) }, line, "\n"))) : null,
    ),
  );
}

function distributions(samples) {
  const of = (name) => samples.map((sample) => sample.metrics[name]);
  const charts = [histogram("Latency", of("latency_ms"), shown.ms), histogram("Cost", of("cost_usd"), shown.usd)].filter(Boolean);
  return charts.length ? section(3, "Latency and cost of a sample", make("div", { class: "charts" }, charts)) : null;
}

function begin() {
  const run = data("run");
  const page = document.getElementById("page");
  const orders = new Map();
  const beside = (number, step) => {
    const order = orders.get(run.cases[number].task)?.() ?? [];
    const at = order.indexOf(number);
    return at < 0 ? null : order[at + step] ?? null;
  };
  const opened = caseWindow(run.cases, beside);
  const facts = [["run", run.id], ["when", shown.time(run.created_at)], ["branch", run.branch], ["revision", run.revision?.slice(0, 12)], ["status", run.status]];
  document.title = plain(`${run.passed ? "passed" : "not passed"}: kaizen run ${run.id}`);
  page.append(
    make(
      "header",
      { class: run.passed ? "passed" : "failed" },
      make("h1", {}, badge(run.passed ? "pass" : "fail", run.passed ? "passed" : "not passed"), " kaizen report"),
      make("p", { class: "verdict cut" }, run.verdict),
      make("dl", { class: "facts" }, facts.filter(([, value]) => value).map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value)))),
      run.notes.length ? make("ul", { class: "notes" }, run.notes.map((note) => make("li", {}, make("span", { class: "cut" }, note)))) : null,
    ),
  );
  if (run.tasks.length > 1) {
    page.append(taskTable(run.tasks));
  }
  run.tasks.forEach((task, at) => {
    const numbered = run.cases.map((one, number) => [one, number]).filter(([one]) => one.task === task.task);
    const table = caseTable(task, numbered, opened.open);
    orders.set(task.task, table.order);
    page.append(
      make(
        "article",
        { id: `task-${at}`, "aria-label": task.task },
        make("h2", { class: "cut" }, task.task),
        task.partial ? make("p", { class: "partial" }, task.partial) : null,
        tiles(task),
        make("div", { class: "columns" }, gates(task), trends(task)),
        changes(task),
        distributions(numbered.flatMap(([one]) => one.samples)),
        table.view,
      ),
    );
  });
  document.body.append(opened.dialog);
  const asked = /^#case-(\d+)$/.exec(location.hash);
  if (asked && run.cases[asked[1]]) opened.open(Number(asked[1]));
}

begin();
