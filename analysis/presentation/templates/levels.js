"use strict";
// Liquidation levels by price at one of several moments: true ones as bars, an outsider's estimate as a line.

MQ.kinds.levels = (host, data) => {
  const head = MQ.element("div", "panel-head", host);
  const choice = MQ.element("span", "choice", head);
  const note = MQ.element("span", "panel-unit", head);
  const legend = MQ.element("span", "legend", head);
  MQ.key(legend, "longs, true", "forced-sell");
  MQ.key(legend, "shorts, true", "forced-buy");
  const guessed = MQ.key(legend, "", "ink").lastChild;
  const canvas = MQ.canvas(host);
  const HEIGHT = 300;
  let shown = data.open, place = null, at = -1;

  const buttons = data.moments.map((moment, k) => {
    const button = MQ.element("button", "", choice, `at ${MQ.clock(moment.time)}`);
    button.type = "button";
    button.addEventListener("click", () => {
      shown = k;
      at = -1;
      draw();
    });
    return button;
  });

  // Bins of both sides in the order of price: [low, high, true, estimated, side].
  const bins = data.moments.map((moment) =>
    moment.sides
      .flatMap(({ side, edges, truth, guess }) =>
        truth.map((value, k) => [Math.min(edges[k], edges[k + 1]), Math.max(edges[k], edges[k + 1]), value, guess ? guess[k] : null, side]))
      .sort((a, b) => a[0] - b[0]));

  const draw = () => {
    const moment = data.moments[shown], all = bins[shown], gutter = MQ.gutter(host.clientWidth);
    buttons.forEach((button, k) => button.setAttribute("aria-pressed", String(k === shown)));
    note.textContent = "quote notional a bin, by price" + (moment.correlation === null ? "" : `, correlation ${moment.correlation.toFixed(2)}`);
    const width = host.clientWidth, pen = MQ.context(canvas, width, HEIGHT);
    const left = gutter.left, wide = width - left - gutter.right, top = 10, high = HEIGHT - top - 28;
    // Prices with nearly everything that waits, on both sides of the mark.
    const total = all.reduce((sum, bin) => sum + bin[2], 0);
    const claimed = all.reduce((sum, bin) => sum + (bin[3] || 0), 0), scale = claimed > 0 ? total / claimed : 1;
    guessed.textContent = `an outsider's estimate \u00d7 ${scale < 10 ? scale.toFixed(1) : MQ.grouped(scale)}`;
    let low = moment.mark * 0.99, far = moment.mark * 1.01, sum = 0;
    for (const bin of [...all].sort((a, b) => b[2] - a[2])) {
      if (sum > 0.985 * total) break;
      sum += bin[2];
      [low, far] = [Math.min(low, bin[0]), Math.max(far, bin[1])];
    }
    const room = 0.03 * (far - low);
    low -= room;
    far += room;
    const seen = all.filter((bin) => bin[1] > low && bin[0] < far);
    const most = Math.max(...seen.flatMap((bin) => [bin[2], scale * (bin[3] || 0)])) * 1.06 || 1;
    const x = (price) => left + Math.min(Math.max((price - low) / (far - low), 0), 1) * wide;
    const y = (value) => top + high * (1 - value / most);
    place = { seen, x, y, low, far, left, wide, top, high };
    for (const cluster of moment.clusters) {
      pen.fillStyle = MQ.faded("muted", 0.13);
      pen.fillRect(x(Math.min(cluster.near, cluster.far)), top, x(Math.max(cluster.near, cluster.far)) - x(Math.min(cluster.near, cluster.far)), high);
    }
    const ticks = MQ.ticks(0, most, high / 46);
    pen.textBaseline = "middle";
    pen.textAlign = "right";
    MQ.axisLabels(ticks, "money").forEach((label, k) => {
      pen.strokeStyle = MQ.colour("grid");
      pen.beginPath();
      pen.moveTo(left, Math.round(y(ticks[k])) + 0.5);
      pen.lineTo(left + wide, Math.round(y(ticks[k])) + 0.5);
      pen.stroke();
      pen.fillStyle = MQ.colour("muted");
      pen.fillText(label, left - 6, y(ticks[k]));
    });
    pen.textAlign = "center";
    pen.textBaseline = "top";
    const prices = MQ.ticks(low, far, wide / 84);
    MQ.axisLabels(prices, "price").forEach((label, k) => {
      pen.fillStyle = MQ.colour("muted");
      const half = pen.measureText(label).width / 2;
      pen.fillText(label, Math.min(Math.max(x(prices[k]), half + 1), width - half - 1), top + high + 9);
    });
    for (const [from, to, value, , side] of seen) {
      pen.fillStyle = MQ.colour(side > 0 ? "forced-sell" : "forced-buy");
      const gap = x(to) - x(from) > 4 ? 1 : 0;
      pen.fillRect(x(from), y(value), Math.max(x(to) - x(from) - gap, 0.8), y(0) - y(value));
    }
    pen.strokeStyle = MQ.colour("ink");
    pen.lineWidth = 1.5;
    pen.beginPath();
    for (const [from, to, , guess] of seen)
      if (guess !== null) {
        pen.lineTo(x(from), y(scale * guess));
        pen.lineTo(x(to), y(scale * guess));
      }
    pen.stroke();
    pen.lineWidth = 1;
    pen.setLineDash([4, 3]);
    pen.beginPath();
    pen.moveTo(x(moment.mark), top);
    pen.lineTo(x(moment.mark), top + high);
    pen.stroke();
    pen.setLineDash([]);
    pen.fillStyle = MQ.colour("ink");
    pen.font = "600 12px " + MQ.FONT;
    pen.textBaseline = "top";
    const label = `mark ${MQ.price(moment.mark)}`, space = pen.measureText(label).width + 8;
    pen.textAlign = x(moment.mark) + space > left + wide ? "right" : "left";
    pen.fillText(label, x(moment.mark) + (pen.textAlign === "left" ? 5 : -5), top + 2);
    if (at >= 0) MQ.framed(pen, x(seen[at][0]), top, Math.max(x(seen[at][1]) - x(seen[at][0]), 2), high);
  };

  const point = (event) => {
    const box = canvas.getBoundingClientRect();
    const price = place.low + ((event.clientX - box.left - place.left) / place.wide) * (place.far - place.low);
    const bin = place.seen.find(([from, to]) => from <= price && price < to);
    if (bin) tell(event.clientX, event.clientY, bin);
    else MQ.tip.hide();
  };
  const tell = (left, top, [from, to, value, guess, side]) => {
    const mark = data.moments[shown].mark;
    MQ.tip.show(left, top, `${MQ.price(from)} to ${MQ.price(to)}`, [
      [side > 0 ? "forced-sell" : "forced-buy", side > 0 ? "longs to be sold" : "shorts to be bought", MQ.short(value)],
      ["ink", "estimate, not scaled", guess === null ? "none" : MQ.short(guess)],
      [null, "away from the mark", MQ.FORMATS.percent((from + to) / 2 / mark - 1)],
    ]);
  };
  canvas.addEventListener("pointermove", (event) => event.pointerType === "mouse" && point(event));
  canvas.addEventListener("click", point);
  canvas.addEventListener("pointerleave", () => MQ.tip.hide());
  // Sideways through prices at which something waits, or is said to; upwards and downwards through the moments.
  const move = (key, far) => {
    const full = place.seen.map((_, k) => k).filter((k) => place.seen[k][2] || place.seen[k][3]);
    const nearest = place.seen.findIndex(([, to]) => to > data.moments[shown].mark);
    if (key === "ArrowUp" || key === "ArrowDown") {
      shown = Math.min(Math.max(shown + (key === "ArrowDown" ? 1 : -1), 0), data.moments.length - 1);
      at = -1;
      draw();
      return move("Home", false);
    }
    if (at < 0 || key === "Home") at = full.findLast((k) => k < nearest) ?? full[0] ?? -1;
    else {
      const step = (key === "ArrowLeft" ? -1 : 1) * (key === "End" ? full.length : far ? 10 : 1);
      at = full[Math.min(Math.max(full.indexOf(at) + step, 0), full.length - 1)];
    }
  };
  MQ.walk(canvas, "Liquidation levels by price: left and right through prices, up and down through the moments", {
    at: () => (at < 0 ? null : [(place.x(place.seen[at][0]) + place.x(place.seen[at][1])) / 2, place.top + place.high / 3]),
    move, draw: () => draw(), tell: (left, top) => tell(left, top, place.seen[at]), leave: () => (at = -1),
  });
  draw();
  // Sides with a bar that is high enough to be seen, and the estimate where there is one.
  const unpainted = () => {
    const seen = (side) => place.seen.some((bin) => bin[4] === side && place.y(0) - place.y(bin[2]) >= 4);
    const wanted = [];
    if (seen(1)) wanted.push({ label: "longs", colour: "forced-sell" });
    if (seen(-1)) wanted.push({ label: "shorts", colour: "forced-buy" });
    if (place.seen.some((bin) => bin[3])) wanted.push({ label: "estimate", colour: "ink" });
    return MQ.unpainted(canvas, wanted);
  };
  return { draw, resize: draw, unpainted };
};
