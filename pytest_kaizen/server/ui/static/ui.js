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
