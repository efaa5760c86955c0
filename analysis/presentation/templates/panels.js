"use strict";
// Panels over one time axis, one uPlot each: lines, flows summed anew at every zoom, marks, shaded stretches.

MQ.gutter = (width) => ({ left: width < 560 ? 58 : 66, right: width < 560 ? 22 : 26 });

MQ.kinds.panels = (host, data, group) => {
  const panels = data.panels.map((panel, k) => MQ.panel(host, panel, data, group, k));
  return {
    draw: () => panels.forEach((panel) => panel.draw()),
    resize: (width) => panels.forEach((panel) => panel.resize(width)),
    unpainted: () => panels.flatMap((panel) => panel.unpainted()),
  };
};

MQ.panel = (host, panel, data, group, place) => {
  const box = MQ.element("div", "panel", host);
  const head = MQ.element("div", "panel-head", box);
  MQ.element("span", "panel-title", head, panel.title);
  const unit = MQ.element("span", "panel-unit", head, panel.unit);
  const legend = MQ.element("span", "legend", head);
  const body = MQ.element("div", "panel-body", box);
  const lines = panel.flows ? MQ.flowLines(panel) : MQ.plainLines(panel);
  const last = place === data.panels.length - 1;
  const height = () => panel.height + (last ? 30 : 6);
  const plotWidth = () => {
    const gutter = MQ.gutter(host.clientWidth);
    return Math.max(host.clientWidth - gutter.left - gutter.right, 40);
  };

  const keys = lines.legend.map((entry, k) => {
    const key = MQ.key(legend, entry.label, entry.colour, "button");
    if (entry.dash) key.classList.add("dashed");
    key.type = "button";
    key.title = `Show or hide ${entry.label}`;
    key.setAttribute("aria-pressed", "true");
    const value = MQ.element("b", "", key);
    key.addEventListener("click", () => {
      const shown = key.getAttribute("aria-pressed") !== "true";
      key.setAttribute("aria-pressed", String(shown));
      if (lines.toggle) {
        lines.toggle(entry, shown);
        plot.setData(lines.data(group.range, host.clientWidth), false);
        plot.redraw(false, true);
      }
      plot.setSeries(entry.series, { show: shown });
    });
    return value;
  });
  for (const mark of panel.marks || []) {
    const key = MQ.key(legend, mark.label, mark.colour);
    key.classList.add("mark-" + mark.marker);
  }

  const options = {
    width: Math.max(host.clientWidth, 200),
    height: height(),
    legend: { show: false },
    select: { show: false },
    padding: [8, () => MQ.gutter(host.clientWidth).right, 0, 0],
    cursor: {
      drag: { x: false, y: false, setScale: false },
      y: false,
      bind: Object.fromEntries(
        ["mousedown", "mouseup", "click", "dblclick", "mousemove", "mouseleave", "mouseenter"].map((name) => [name, () => null]),
      ),
      points: { size: 7, width: 1.5, stroke: () => MQ.colour("card"), fill: (u, k) => MQ.colour(lines.colour(k)) },
    },
    scales: {
      x: { time: false, range: () => group.range },
      y: { distr: panel.scale === "log" ? 3 : 1, range: (u, low, high) => MQ.valueRange(panel, low, high, group.range) },
    },
    axes: [
      {
        size: last ? 30 : 6,
        gap: 8,
        font: "12px " + MQ.FONT,
        stroke: () => MQ.colour("muted"),
        grid: { stroke: () => MQ.colour("grid"), width: 1 },
        ticks: { show: false },
        splits: (u, k, from, to) => MQ.timeTicks(from, to, plotWidth() / 78).ticks,
        values: (u, ticks) => {
          const step = ticks.length > 1 ? ticks[1] - ticks[0] : 1;
          return ticks.map((tick) => (last ? MQ.clock(tick, step < 1 ? 1 : 0) : ""));
        },
      },
      {
        size: () => MQ.gutter(host.clientWidth).left,
        gap: 6,
        font: "12px " + MQ.FONT,
        stroke: () => MQ.colour("muted"),
        grid: { stroke: () => MQ.colour("grid"), width: 1 },
        ticks: { show: false },
        splits: (u, k, low, high) =>
          panel.scale === "log" ? MQ.logTicks(low, high) : MQ.valueTicks(panel, low, high),
        filter: (u, splits) => splits,
        values: (u, splits) => MQ.axisLabels(panel.flows ? splits.map(Math.abs) : splits, panel.format),
      },
    ],
    series: [{}, ...lines.series()],
    hooks: {
      drawClear: [(u) => MQ.drawShades(u, data, place === 0)],
      draw: [(u) => MQ.drawMarks(u, panel), (u) => MQ.drawNothing(u, lines, panel)],
    },
  };
  const plot = new uPlot(options, lines.data(group.range, host.clientWidth), body);
  const band = MQ.element("div", "band", plot.over);
  band.hidden = true;

  // Beside the unit: whose values the legend shows, of one moment or, for flows, of all that is in view.
  const label = (row) => {
    const time = row == null ? null : plot.data[0][row];
    const when = panel.flows
      ? lines.empty() ? "" : time === null ? "sums of what is shown" : `at ${MQ.clock(time)}`
      : time === null ? "" : `values at ${MQ.clock(time)}`;
    const per = lines.step() ? `, per ${MQ.duration(lines.step())}` : "";
    unit.textContent = [panel.unit + per, when].filter(Boolean).join(" \u00b7 ");
  };
  const values = (row) => lines.legend.map((entry) => lines.value(entry, row));
  const show = (row) => {
    values(row).forEach((value, k) => (keys[k].textContent = value == null ? "" : MQ.shown(value, panel.format)));
    label(row);
  };
  // With no pointer: lines as they are last within what is shown.
  const rest = () => show(panel.flows ? null : MQ.lastWithin(plot.data[0], group.range));

  group.members.push({
    zoom(from, to) {
      plot.batch(() => {
        if (panel.flows) plot.setData(lines.data([from, to], host.clientWidth), false);
        plot.setScale("x", { min: from, max: to });
      });
      rest();
    },
    point(time) {
      if (time === null) {
        plot.setCursor({ left: -10, top: -10 }, false);
        rest();
        return;
      }
      plot.setCursor({ left: plot.valToPos(time, "x"), top: 10 }, false);
      show(plot.cursor.idx);
    },
    select(from, to) {
      band.hidden = from === null;
      if (band.hidden) return;
      band.style.left = plot.valToPos(from, "x") + "px";
      band.style.width = plot.valToPos(to, "x") - plot.valToPos(from, "x") + "px";
    },
  });
  MQ.gestures(plot.over, group, (x, y) => {
    const row = plot.cursor.idx;
    const rows = lines.legend
      .map((entry, k) => [entry.colour, entry.label, values(row)[k]])
      .filter(([, , value]) => value != null)
      .map(([colour, name, value]) => [colour, name, MQ.shown(value, panel.format)]);
    for (const mark of MQ.marksNear(plot, panel, x, y)) rows.push([mark.colour, mark.label, mark.text]);
    for (const shade of data.shades) if (group.at >= shade.from && group.at <= shade.to) rows.push([shade.colour, shade.label, ""]);
    const box = plot.over.getBoundingClientRect();
    MQ.tip.show(box.left + x, box.top + y, MQ.clock(group.at, 1), rows);
  });
  plot.over.setAttribute("aria-label", `${panel.title}, ${panel.unit}: arrows move in time, plus and minus zoom, 0 shows all`);
  rest();
  return {
    draw: () => plot.redraw(),
    resize(width) {
      plot.setSize({ width: Math.max(width, 200), height: height() });
      if (panel.flows) plot.setData(lines.data(group.range, width), false), plot.redraw();
      rest();
    },
    unpainted() {
      const wanted = lines.empty() ? [{ label: "that there is nothing", colour: "muted" }] : lines.visible(plot, group.range);
      return MQ.unpainted(plot.ctx.canvas, wanted, plot.bbox).map((name) => `${panel.title}: ${name}`);
    },
  };
};

// Lines over a common time -----------------------------------------------------------------------------------------

MQ.plainLines = (panel) => {
  const series = panel.series;
  return {
    legend: series.map((line, k) => ({ label: line.label, colour: line.colour, dash: line.dash, series: k + 1 })),
    colour: (k) => series[k - 1].colour,
    series: () =>
      series.map((line) => ({
        label: line.label,
        width: line.width,
        dash: line.dash || undefined,
        stroke: () => MQ.colour(line.colour),
        fill: line.style === "area" ? () => MQ.faded(line.colour, 0.12) : undefined,
        paths: line.style === "step" ? uPlot.paths.stepped({ align: 1 }) : undefined,
        points: { show: false },
      })),
    data: () => [panel.x, ...series.map((line) => line.values)],
    value: (entry, row) => (row == null ? null : series[entry.series - 1].values[row]),
    step: () => null,
    empty: () => !series.some((line) => line.values.some((value) => value != null)),
    // Lines with something to draw; not those that another one, drawn later, covers all the way.
    visible(plot, [from, to]) {
      const rows = panel.x.map((_, row) => row).filter((row) => panel.x[row] >= from && panel.x[row] <= to);
      const level = series.map((line) => rows.map((row) => (line.values[row] == null ? null : plot.valToPos(line.values[row], "y"))));
      return series.filter((_, k) => {
        if (!plot.series[k + 1].show) return false;
        const known = level[k].map((y, n) => [y, n]).filter(([y]) => y !== null);
        const covered = ([y, n]) => level.slice(k + 1).some((later) => later[n] !== null && Math.abs(later[n] - y) < 2.5);
        return known.length > 1 && known.filter((each) => !covered(each)).length > 0.02 * known.length + 1;
      });
    },
  };
};

// Flows: sums over round stretches of time, as many as fit; those in one direction stand on each other -----------

MQ.flowLines = (panel) => {
  const flows = panel.flows;
  let sums = flows.map(() => []), step = null;
  const hidden = new Set();
  const bars = uPlot.paths.bars({ size: [0.86, 40], align: 0 });
  // Drawn in this order, the outermost first: a bar then covers the inner part of the one before it.
  const order = flows.map((_, k) => k).reverse();
  return {
    legend: flows.map((flow, k) => ({ label: flow.label, colour: flow.colour, series: order.indexOf(k) + 1, flow: k })),
    colour: (k) => flows[order[k - 1]].colour,
    // Without any flow one empty line stands in, so that the panel has its axes.
    series: () => (flows.length ? order : [null]).map((k) => k === null ? { points: { show: false } } : ({
        label: flows[k].label,
        width: 0,
        stroke: () => MQ.colour(flows[k].colour),
        fill: () => MQ.colour(flows[k].colour),
        paths: bars,
        points: { show: false },
      })),
    data([from, to], width) {
      const most = Math.max(width - 80, 100) / (width < 560 ? 5 : 6);
      step = MQ.STEPS.find((each) => (to - from) / each <= most) || 86400;
      const first = Math.floor(from / step), count = Math.max(Math.ceil(to / step) - first, 1);
      sums = flows.map((flow) => {
        const found = new Array(count).fill(0);
        for (let k = MQ.lowerBound(flow.x, first * step); k < flow.x.length; k++) {
          if (flow.x[k] > to) break;
          const bin = Math.min(Math.floor(flow.x[k] / step + 1e-6) - first, count - 1);
          if (bin >= 0) found[bin] += flow.amount[k];
        }
        return found;
      });
      const x = Array.from({ length: count }, (_, k) => (first + k + 0.5) * step);
      const stacked = flows.map((flow, k) =>
        x.map((_, bin) => {
          if (!sums[k][bin] || hidden.has(k)) return null;
          let height = 0;
          for (let below = 0; below <= k; below++)
            if (flows[below].direction === flow.direction && !hidden.has(below)) height += sums[below][bin];
          return flow.direction * height;
        }),
      );
      return [x, ...(flows.length ? order.map((k) => stacked[k]) : [x.map(() => null)])];
    },
    value(entry, row) {
      if (row != null) return sums[entry.flow][row] ?? null;
      return sums[entry.flow].reduce((sum, value) => sum + value, 0);
    },
    step: () => (flows.length ? step : null),
    empty: () => flows.length === 0,
    // What is hidden does not lift what stands on it.
    toggle: (entry, shown) => (shown ? hidden.delete(entry.flow) : hidden.add(entry.flow)),
    // Flows with a bar that is high and wide enough to be seen.
    visible(plot) {
      const floor = plot.valToPos(0, "y");
      return flows.filter((flow, k) => {
        const height = (value) => Math.abs(plot.valToPos(flow.direction * value, "y") - floor);
        return !hidden.has(k) && sums[k].some((value) => value && height(value) >= 3);
      });
    },
  };
};

// Scales -----------------------------------------------------------------------------------------------------------

MQ.valueRange = (panel, low, high, [from, to]) => {
  if (low == null || high == null) return panel.scale === "log" ? [1, 10] : [0, 1];
  // What was forced through the book between two samples of the series belongs into the picture.
  for (const mark of panel.marks || [])
    for (let k = 0; k < mark.x.length; k++)
      if (mark.x[k] >= from && mark.x[k] <= to) [low, high] = [Math.min(low, mark.y[k]), Math.max(high, mark.y[k])];
  if (panel.scale === "log") return [low / 1.25, high * 1.25];
  if (panel.flows || panel.scale === "zero") {
    low = Math.min(low, 0);
    high = Math.max(high, 0);
    const room = 0.08 * (high - low || 1);
    return [low < 0 ? low - room : 0, high > 0 || low === 0 ? high + room : 0];
  }
  const room = 0.07 * (high - low) || Math.abs(high) * 0.001 || 1;
  return [low - room, high + room];
};

MQ.valueTicks = (panel, low, high) => {
  const ticks = MQ.ticks(low, high, Math.max(panel.height / 42, 3));
  return panel.format === "count" ? ticks.filter(Number.isInteger) : ticks;
};

MQ.logTicks = (low, high) => {
  const multiples = high / low > 200 ? [1] : high / low > 12 ? [1, 3] : [1, 2, 5];
  const ticks = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++)
    for (const multiple of multiples) {
      const tick = multiple * 10 ** power;
      if (tick >= low && tick <= high) ticks.push(tick);
    }
  return ticks;
};

// What lies on a plot and under it -----------------------------------------------------------------------------------

MQ.clipped = (u, paint) => {
  const { ctx, bbox } = u;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  paint(ctx, bbox, window.devicePixelRatio || 1);
  ctx.restore();
};

MQ.drawShades = (u, data, labelled) =>
  MQ.clipped(u, (ctx, bbox, scale) => {
    const x = (time) => u.valToPos(time, "x", true);
    for (const span of data.numbered || []) {
      const width = Math.max(x(span.to) - x(span.from), 2 * scale);
      ctx.fillStyle = MQ.faded("forced-sell", 0.07);
      ctx.fillRect(x(span.from), bbox.top, width, bbox.height);
    }
    for (const shade of data.shades) {
      const width = Math.max(x(shade.to) - x(shade.from), 2 * scale);
      ctx.fillStyle = MQ.faded(shade.colour, 0.16);
      ctx.fillRect(x(shade.from), bbox.top, width, bbox.height);
    }
    if (!labelled) return;
    ctx.font = `600 ${11 * scale}px ${MQ.FONT}`;
    ctx.textBaseline = "top";
    ctx.textAlign = "left";
    let free = -Infinity;
    const labels = [
      ...(data.numbered || []).map((span) => [span, "forced-sell"]),
      ...data.shades.map((shade) => [shade, shade.colour]),
    ].sort(([a], [b]) => a.from - b.from);
    for (const [span, colour] of labels) {
      const width = ctx.measureText(span.label).width;
      const centre = (Math.max(x(span.from), bbox.left) + Math.min(x(span.to), bbox.left + bbox.width)) / 2;
      const left = Math.min(Math.max(centre - width / 2, bbox.left + 3 * scale), bbox.left + bbox.width - width - 3 * scale);
      if (x(span.to) < bbox.left || x(span.from) > bbox.left + bbox.width || left < free) continue;
      ctx.fillStyle = MQ.colour(colour);
      ctx.fillText(span.label, left, bbox.top + 3 * scale);
      free = left + width + 6 * scale;
    }
  });

MQ.LARGEST_MARK = 9;

// Radius in CSS pixels: area in proportion to the amount, none invisible; triangles are of one size.
MQ.markRadius = (mark, k) => {
  if (mark.marker !== "circle") return 4;
  mark.most = mark.most || Math.max(...mark.amount);
  return Math.max(MQ.LARGEST_MARK * Math.sqrt(mark.amount[k] / mark.most), 1.6);
};

MQ.markShift = (mark) => ({ up: 11, down: -11, circle: 0 })[mark.marker];

MQ.drawMark = (ctx, mark, x, y, radius) => {
  ctx.beginPath();
  if (mark.marker === "circle") ctx.arc(x, y, radius, 0, 2 * Math.PI);
  else {
    const tip = mark.marker === "down" ? radius : -radius;
    ctx.moveTo(x - radius, y - tip);
    ctx.lineTo(x + radius, y - tip);
    ctx.lineTo(x, y + tip);
    ctx.closePath();
  }
};

MQ.drawMarks = (u, panel) => {
  if (!panel.marks) return;
  MQ.clipped(u, (ctx, bbox, scale) => {
    for (const mark of panel.marks) {
      ctx.fillStyle = MQ.faded(mark.colour, mark.marker === "circle" ? 0.4 : 0.85);
      ctx.strokeStyle = MQ.colour("card");
      ctx.lineWidth = 0.7 * scale;
      for (let k = 0; k < mark.x.length; k++) {
        if (mark.x[k] < u.scales.x.min || mark.x[k] > u.scales.x.max) continue;
        const y = u.valToPos(mark.y[k], "y", true) + MQ.markShift(mark) * scale;
        MQ.drawMark(ctx, mark, u.valToPos(mark.x[k], "x", true), y, MQ.markRadius(mark, k) * scale);
        ctx.fill();
        if (mark.marker === "circle" && MQ.markRadius(mark, k) > 3) ctx.stroke();
      }
    }
  });
};

// The nearest mark of every sort under the pointer, in words.
MQ.marksNear = (u, panel, x, y) => {
  const found = [];
  for (const mark of panel.marks || []) {
    let best = null, nearest = Infinity;
    for (let k = 0; k < mark.x.length; k++) {
      const away = Math.hypot(u.valToPos(mark.x[k], "x") - x, u.valToPos(mark.y[k], "y") + MQ.markShift(mark) - y);
      if (away < nearest && away <= MQ.markRadius(mark, k) + 5) [best, nearest] = [k, away];
    }
    if (best !== null) found.push({ ...mark, text: MQ.markText(mark, best) });
  }
  return found;
};

MQ.markText = (mark, k) =>
  mark.unit === "calls" ? MQ.grouped(mark.amount[k]) : `${MQ.short(mark.amount[k])} at ${MQ.price(mark.y[k])}`;

MQ.drawNothing = (u, lines, panel) => {
  if (!lines.empty()) return;
  MQ.clipped(u, (ctx, bbox, scale) => {
    ctx.font = `${13 * scale}px ${MQ.FONT}`;
    ctx.fillStyle = MQ.colour("muted");
    ctx.textAlign = "center";
    ctx.textBaseline = "middle";
    ctx.fillText(panel.nothing || "nothing recorded", bbox.left + bbox.width / 2, bbox.top + bbox.height / 2);
  });
};
