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
      row.addEventListener("click", show);
      // A button in the row, so that the row stays a row to those who hear the page.
      const cell = row.cells[0], button = MQ.element("button", "show-row", null, cell.textContent);
      button.type = "button";
      button.setAttribute("aria-label", `${cell.textContent}: show its minutes in every chart`);
      cell.replaceChildren(button);
    }
  }

  // A table that goes on to the right fades there, and so do the contents.
  for (const box of document.querySelectorAll(".scroll, .contents div")) {
    const look = () => {
      box.classList.toggle("more", box.scrollWidth - box.clientWidth - box.scrollLeft > 4);
      if (box.matches(".scroll") && box.scrollWidth > box.clientWidth + 4) box.tabIndex = 0;
      else box.removeAttribute("tabindex");
    };
    box.addEventListener("scroll", look, { passive: true });
    new ResizeObserver(look).observe(box);
  }

  const report = () => {
    for (const { host, chart } of charts) host.dataset.drawn = chart.unpainted().join("; ") || "true";
  };
  const redraw = () => {
    MQ.colours.clear();
    for (const each of charts) {
      const width = each.host.clientWidth;
      if (width && width !== each.width) each.chart.resize((each.width = width));
      else each.chart.draw();
    }
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
  // On paper the page has a width of its own (report.css), whatever the screen: charts are drawn anew for it, and back.
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
