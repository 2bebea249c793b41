"use strict";
// What the pages do beyond links and forms. All of them work without it.

// The trend of a task's score, or of its first gate's figure.
function drawTrends() {
  const holder = document.getElementById("data-trends");
  if (!holder) return;
  const trends = JSON.parse(holder.textContent);
  for (const figure of document.querySelectorAll("[data-trend]")) {
    const one = trends[figure.dataset.trend];
    const known = (name) => one.history.some((run) => typeof run.figures[name]?.figure === "number");
    const names = Object.keys(one.history.at(-1)?.figures ?? {}).filter(known);
    if (!names.length) {
      figure.append(make("p", { class: "soft" }, "no figures yet"));
      continue;
    }
    const place = make("div");
    const choice = make("select", { "aria-label": `Figure of ${one.task} over the runs` }, names.map((name, at) => make("option", { value: at }, name)));
    choice.addEventListener("change", () => place.replaceChildren(...trend(one, names[choice.selectedIndex])));
    place.replaceChildren(...trend(one, names[0]));
    figure.append(names.length > 1 ? choice : "", place);
  }
}

drawTrends();

// Jobs as they change: what is on the page is rewritten, and one that ends shows what came of it.
function followJobs() {
  const says = document.querySelector("[data-events]");
  if (!says) return;
  const rows = new Map([...document.querySelectorAll("[data-job]")].map((row) => [row.dataset.job, row]));
  const more = document.querySelector("[data-more]");
  let source = null;
  const open = () => {
    source = new EventSource(says.dataset.events);
    source.addEventListener("open", () => (says.textContent = "Live."));
    source.addEventListener("error", lost);
    source.addEventListener("message", (event) => show(JSON.parse(event.data)));
  };
  // A browser goes on asking where nobody answered, and gives up where it was refused.
  const lost = () => {
    const refused = source.readyState === EventSource.CLOSED;
    says.textContent = refused ? "Not live: the server refused, as it does with too many live pages. Asked again soon." : "Not live: the server cannot be reached.";
    if (refused) setTimeout(() => document.hidden || open(), 15_000);
  };
  const show = (job) => {
    const row = rows.get(job.id);
    if (!row) {
      if (more && !job.final) more.hidden = false;
      return;
    }
    for (const field of row.querySelectorAll("[data-field]")) {
      const text = job.fields[field.dataset.field];
      if (field.textContent !== text) field.textContent = text;
    }
    if (job.final && "alone" in row.dataset) location.reload();
  };
  // What nobody sees needs no line of its own, of which a browser has few.
  document.addEventListener("visibilitychange", () => {
    source?.close();
    if (!document.hidden) open();
  });
  if (!document.hidden) open();
}

// Insights by keyboard. Buttons and the note do the same without.
function triage() {
  const list = document.querySelector("[data-triage]");
  const on = document.getElementById("shortcuts");
  if (!list || !on) return;
  on.checked = localStorage.getItem("shortcuts") !== "off";
  on.addEventListener("change", () => localStorage.setItem("shortcuts", on.checked ? "on" : "off"));
  const cards = [...list.querySelectorAll("article")];
  const current = () => cards.findIndex((card) => card.contains(document.activeElement));
  const go = (at) => cards[Math.min(Math.max(at, 0), cards.length - 1)].focus();
  const press = (decision) => cards[current()]?.querySelector(`button[value=${decision}]`)?.click();
  const actions = {
    j: () => go(current() + 1),
    k: () => go(current() - 1),
    a: () => press("accept"),
    r: () => press("reject"),
    n: () => cards[current()]?.querySelector("textarea").focus(),
  };
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, textarea, select");
    if (typing && event.key === "Escape") typing.closest("article")?.focus();
    if (typing || !on.checked || event.ctrlKey || event.metaKey || event.altKey || !actions[event.key]) return;
    event.preventDefault();
    actions[event.key]();
  });
  // After a decision the page comes back to the one that follows.
  const asked = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (asked && list.contains(asked)) asked.focus();
}

followJobs();
triage();
