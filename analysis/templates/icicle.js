"use strict";
// Cascades as icicles: one cell a margin call, below the one that caused most of it, as wide as what it led to.

MQ.kinds.icicle = (host, data, group) => {
  const head = MQ.element("div", "panel-head", host);
  const choice = MQ.element("span", "choice", head);
  const legend = MQ.element("span", "legend", head);
  for (const cause of data.causes) MQ.key(legend, cause.label, cause.colour);
  const canvas = MQ.canvas(host);
  const ROW = 46;
  let shown = 0, focus = -1;

  // Left end and depth of every cell: children begin where their parent does, one after the other.
  for (const cascade of data.cascades) {
    const free = cascade.mass.map(() => 0);
    let roots = 0;
    cascade.depth = [];
    cascade.left = [];
    cascade.parent.forEach((parent, k) => {
      cascade.depth.push(parent < 0 ? 0 : cascade.depth[parent] + 1);
      cascade.left.push(parent < 0 ? roots : cascade.left[parent] + free[parent]);
      if (parent < 0) roots += cascade.mass[k];
      else free[parent] += cascade.mass[k];
    });
    cascade.whole = roots;
    cascade.rows = Math.max(...cascade.depth) + 1;
  }

  const buttons = data.cascades.map((cascade, k) => {
    const button = MQ.element("button", "", choice, `${cascade.label}: ${MQ.short(cascade.notional)}, ${MQ.grouped(cascade.calls)} calls`);
    button.type = "button";
    button.addEventListener("click", () => {
      shown = k;
      focus = -1;
      draw();
    });
    return button;
  });
  if (buttons.length < 2) MQ.element("span", "panel-unit", choice), (choice.hidden = true);

  const part = (cascade, k, n) => cascade.shares[k * data.causes.length + n];
  let x = () => 0, wide = 0;

  const draw = () => {
    const cascade = data.cascades[shown];
    buttons.forEach((button, k) => button.setAttribute("aria-pressed", String(k === shown)));
    const width = host.clientWidth, margin = 74;
    const left = width < 560 ? 8 : margin;
    const height = cascade.rows * ROW + 4;
    const pen = MQ.context(canvas, width, height);
    wide = width - left - 8;
    const [from, span] = focus < 0 ? [0, cascade.whole] : [cascade.left[focus], cascade.mass[focus]];
    x = (mass) => left + Math.min(Math.max((mass - from) / span, 0), 1) * wide;
    cascade.parent.forEach((parent, k) => {
      const start = x(cascade.left[k]), end = x(cascade.left[k] + cascade.mass[k]);
      if (end - start < 0.15) return;
      const top = cascade.depth[k] * ROW + 2, tall = ROW - 3;
      const gap = end - start > 6 ? 1 : end - start > 2 ? 0.5 : 0;
      const parts = data.causes.map((_, n) => Math.max(part(cascade, k, n), 0));
      const sum = parts.reduce((total, value) => total + value, 0);
      let at = top;
      parts.forEach((value, n) => {
        const high = sum ? (tall * value) / sum : n === 1 ? tall : 0;
        pen.fillStyle = MQ.colour(data.causes[n].colour);
        pen.globalAlpha = cascade.count[k] > 1 && cascade.account[k] < 0 ? 0.55 : 1;
        pen.fillRect(start, at, Math.max(end - start - gap, 0.4), high);
        at += high;
      });
      pen.globalAlpha = 1;
      if (end - start > 58) {
        const more = cascade.count[k] > 1 && end - start > 170 ? `, then ${MQ.short(cascade.mass[k] - cascade.own[k])}` : "";
        const text = cascade.account[k] < 0 ? `${MQ.grouped(cascade.count[k])} calls` : MQ.short(cascade.own[k]) + more;
        pen.font = "600 12px " + MQ.FONT;
        pen.textBaseline = "middle";
        pen.textAlign = "left";
        const room = pen.measureText(text).width;
        pen.fillStyle = MQ.faded("card", 0.86);
        pen.beginPath();
        pen.roundRect(start + 5, top + tall / 2 - 9, room + 10, 18, 4);
        pen.fill();
        pen.fillStyle = MQ.colour("ink");
        pen.fillText(text, start + 10, top + tall / 2);
      }
    });
    if (left === margin) {
      pen.font = "12px " + MQ.FONT;
      pen.fillStyle = MQ.colour("muted");
      pen.textAlign = "right";
      pen.textBaseline = "middle";
      for (let row = 0; row < cascade.rows; row++)
        pen.fillText(row ? String(row) : "called first", left - 8, row * ROW + ROW / 2);
    }
  };

  const cellAt = (event) => {
    const cascade = data.cascades[shown], box = canvas.getBoundingClientRect();
    const px = event.clientX - box.left, row = Math.floor((event.clientY - box.top) / ROW);
    return cascade.parent.findIndex(
      (_, k) => cascade.depth[k] === row && x(cascade.left[k]) <= px && px < x(cascade.left[k] + cascade.mass[k]));
  };
  const tell = (event, k) => {
    const cascade = data.cascades[shown], one = cascade.account[k] >= 0, above = cascade.parent[k];
    const rows = [
      [null, one ? "forced notional" : "forced notional, all", MQ.short(cascade.own[k])],
      ...(cascade.mass[k] > cascade.own[k] * 1.0001
        ? [[null, `with ${MQ.grouped(cascade.count[k] - 1)} that followed`, MQ.short(cascade.mass[k])]] : []),
      ...data.causes.map((cause, n) => [cause.colour, cause.label, MQ.FORMATS.percent(part(cascade, k, n)).replace(/\.\d+/, "")]),
      [null, "mainly because of", above < 0 ? "no liquidation" : cascade.account[above] < 0 ? "several" : `account ${cascade.account[above]}`],
    ];
    const title = one ? `account ${cascade.account[k]}, called at ${MQ.clock(cascade.time[k], 1)}` : `${MQ.grouped(cascade.count[k])} small calls`;
    if (one) group.point(cascade.time[k]);
    MQ.tip.show(event.clientX, event.clientY, title, rows);
  };
  canvas.addEventListener("pointermove", (event) => {
    if (event.pointerType !== "mouse") return;
    const k = cellAt(event);
    if (k < 0) MQ.tip.hide();
    else tell(event, k);
  });
  canvas.addEventListener("pointerleave", () => group.point(null));
  canvas.addEventListener("click", (event) => {
    const k = cellAt(event);
    if (k < 0) return;
    focus = k === focus || data.cascades[shown].depth[k] === 0 && focus >= 0 && k !== focus ? -1 : k;
    draw();
    tell(event, cellAt(event) < 0 ? k : cellAt(event));
  });
  draw();
  return { draw, resize: draw, painted: () => MQ.painted(canvas, data.causes.map((cause) => cause.colour)) };
};
