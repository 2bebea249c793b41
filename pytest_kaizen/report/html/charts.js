"use strict";
// Charts, drawn by uPlot. Each has its figures as a table beside it, for those who do not see it.

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

// Keeps a chart as wide as its box and in the colours of the theme.
function chart(label, options, rows) {
  const box = make("div", { class: "chart", role: "img", "aria-label": label });
  let plot = null;
  const draw = () => {
    plot?.destroy();
    const axis = { stroke: colour("soft"), grid: { stroke: colour("line"), width: 1 }, ticks: { show: false } };
    const width = Math.max(box.clientWidth, 200);
    const made = options();
    plot = new uPlot(
      {
        width,
        height: 190,
        legend: { show: false },
        cursor: { show: false },
        ...made,
        axes: made.axes.map((own) => ({ ...axis, ...own })),
      },
      rows,
      box,
    );
  };
  new ResizeObserver(() => box.clientWidth && (plot ? plot.setSize({ width: box.clientWidth, height: 190 }) : draw())).observe(box);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => plot && draw());
  return box;
}

// A figure of the task over its runs: the interval as a band, the bar as a dashed line.
function trend(task, name) {
  const gate = task.gates.find((one) => one.name === name);
  const runs = task.history.filter((run) => typeof run.figures[name]?.figure === "number");
  const figures = runs.map((run) => run.figures[name]);
  const values = figures.map((one) => one.figure);
  const low = figures.map((one) => one.interval?.[0] ?? null);
  const high = figures.map((one) => one.interval?.[1] ?? null);
  const limit = typeof gate?.limit === "number" ? gate.limit : null;
  const rows = [runs.map((_, at) => at), values, low, high, runs.map(() => limit)];
  const numbers = [...values, ...low, ...high, limit].filter((value) => value !== null);
  const top = Math.max(...numbers, 0);
  const days = new Set(runs.map((run) => run.at.slice(0, 10)));
  const label = `${name} over ${runs.length} runs, last ${shown.score(values.at(-1))}${limit === null ? "" : `, bar ${limit}`}`;
  const drawn = chart(
    label,
    () => ({
      scales: { x: { time: false, range: [-0.5, Math.max(runs.length - 0.5, 0.5)] }, y: { range: [0, top <= 1 ? 1.02 : top * 1.1] } },
      axes: [
        {
          size: 30,
          splits: () => rows[0].filter((at) => at % Math.ceil(runs.length / 8) === 0),
          values: (_, splits) => splits.map((at) => runs[at].at.slice(...(days.size > 1 ? [5, 10] : [11, 16]))),
        },
        { size: 40 },
      ],
      series: [
        {},
        { stroke: colour("accent"), width: 2, points: { show: true, size: 7, fill: colour("accent") } },
        { stroke: "transparent", points: { show: false } },
        { stroke: "transparent", points: { show: false } },
        { stroke: colour("fail"), width: 1.5, dash: [6, 4], points: { show: false } },
      ],
      bands: [{ series: [3, 2], fill: colour("band") }],
    }),
    rows,
  );
  const lines = runs.map((run, at) => [shown.time(run.at), run.id, (run.revision ?? "").slice(0, 12), shown.score(values[at]), shown.interval(figures[at].interval)]);
  const known = runs.map((run, at) => [run.at, run.id, run.revision, values[at], low[at]]);
  return [drawn, folded("Figures", () => grid(["when", "run", "revision", name, "interval"], lines, known))];
}

// How often which value came up.
function histogram(title, values, show) {
  const known = values.filter((value) => typeof value === "number").sort((one, other) => one - other);
  if (!known.length) return null;
  const [least, most] = [known[0], known.at(-1)];
  const bins = least === most ? 1 : Math.min(24, Math.max(6, Math.ceil(Math.sqrt(known.length))));
  const width = (most - least) / bins || Math.abs(least) || 1;
  const counts = new Array(bins).fill(0);
  for (const value of known) counts[Math.min(bins - 1, Math.floor((value - least) / width))] += 1;
  const middles = counts.map((_, at) => least + (at + 0.5) * width);
  const at = (share) => known[Math.min(known.length - 1, Math.floor(share * known.length))];
  const summary = `median ${show(at(0.5))}, 95th percentile ${show(at(0.95))}, most ${show(most)}`;
  const drawn = chart(
    `${title} of ${known.length} samples: ${summary}`,
    () => ({
      scales: { x: { time: false, range: [least - width / 2, least + (bins + 0.5) * width] }, y: { range: [0, Math.max(...counts) * 1.08] } },
      axes: [{ size: 30, values: (_, splits) => splits.map(show), space: 70 }, { size: 40, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000] }],
      series: [{}, { fill: colour("band"), stroke: colour("accent"), width: 1, paths: uPlot.paths.bars({ size: [0.95, 60] }), points: { show: false } }],
    }),
    [middles, counts],
  );
  return make("figure", {}, make("figcaption", {}, make("b", {}, title), ` ${summary}`), drawn);
}

// A table; with the values of its cells, by row, it can be sorted by them.
function grid(heads, rows, values = null) {
  const lines = rows.map((row) => make("tr", {}, row.map((cell, at) => (at ? make("td", {}, cell) : make("th", { scope: "row" }, cell)))));
  const body = make("tbody", {}, lines);
  const sorted = (column, way) => {
    const order = lines.map((_, at) => at).sort((one, other) => compare(values[one][column], values[other][column], way));
    body.append(...order.map((at) => lines[at]));
  };
  const tops = values && rows.length > 1 ? sortHeads(heads, sorted).tops : heads.map((head) => make("th", { scope: "col" }, head));
  return make(
    "div",
    { class: "wide", tabindex: 0, role: "region", "aria-label": heads.join(", ") },
    make("table", {}, make("thead", {}, make("tr", {}, tops)), body),
  );
}
