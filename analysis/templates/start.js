"use strict";
// Draws every chart of the page, and keeps them right when width, colours or medium change.

(() => {
  const charts = [];

  for (const market of document.querySelectorAll(".market")) {
    const group = new MQ.Group(Number(market.dataset.from), Number(market.dataset.to));
    for (const host of market.querySelectorAll(".chart")) {
      const data = MQ.unpack(JSON.parse(document.getElementById(host.dataset.source).textContent));
      const chart = MQ.kinds[host.dataset.kind](host, data, group);
      charts.push({ host, chart, width: host.clientWidth });
    }
    const button = market.querySelector(".reset");
    button.addEventListener("click", () => group.reset());
    group.listeners.push(() => {
      button.hidden = !group.zoomed;
      button.querySelector("span").textContent = group.range.map((time) => MQ.clock(time)).join(" \u2013 ");
    });
    for (const row of market.querySelectorAll("tr[data-from]")) {
      const show = () => {
        group.zoom(Number(row.dataset.from), Number(row.dataset.to));
        market.querySelector(".section")?.scrollIntoView({ behavior: "smooth" });
      };
      row.tabIndex = 0;
      row.addEventListener("click", show);
      row.addEventListener("keydown", (event) => event.key === "Enter" && show());
    }
  }

  const report = () => {
    for (const { host, chart } of charts) host.dataset.drawn = String(chart.painted());
  };
  const redraw = () => {
    MQ.colours.clear();
    for (const { chart } of charts) chart.draw();
    // uPlot paints in a microtask of its own.
    setTimeout(report, 0);
  };

  const resized = new ResizeObserver((entries) => {
    for (const entry of entries) {
      const found = charts.find(({ host }) => host === entry.target);
      const width = entry.target.clientWidth;
      if (found && width && width !== found.width) {
        found.width = width;
        found.chart.resize(width);
      }
    }
  });
  for (const { host } of charts) resized.observe(host);

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  addEventListener("beforeprint", () => {
    document.documentElement.dataset.print = "";
    redraw();
  });
  addEventListener("afterprint", () => {
    delete document.documentElement.dataset.print;
    redraw();
  });
  addEventListener("scroll", () => MQ.tip.hide(), { passive: true });
  setTimeout(report, 0);
})();
