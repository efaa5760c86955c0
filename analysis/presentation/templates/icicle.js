"use strict";
// Cascades as icicles: one cell a margin call, below the one that caused most of it, as wide as what it led to.

MQ.kinds.icicle = (host, data, group) => {
  const head = MQ.element("div", "panel-head", host);
  const choice = MQ.element("span", "choice", head);
  const legend = MQ.element("span", "legend", head);
  for (const cause of data.causes) MQ.key(legend, cause.label, cause.colour);
  const canvas = MQ.canvas(host);
  const TALL = 43;
  let shown = 0, focus = -1, at = -1;
  // The name of a row stands beside it or, where that takes too much of the width, above it.
  const narrow = () => host.clientWidth < 560;
  const pitch = () => TALL + (narrow() ? 21 : 3);
  const topOf = (row) => row * pitch() + (narrow() ? 18 : 2);

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
      focus = at = -1;
      draw();
    });
    return button;
  });
  if (buttons.length < 2) MQ.element("span", "panel-unit", choice), (choice.hidden = true);

  // An account by its number, and by the user's own id where it has one.
  const named = (cascade, k) => `account ${cascade.account[k]}` + (cascade.id[k] ? ` (${cascade.id[k]})` : "");
  const part = (cascade, k, n) => cascade.shares[k * data.causes.length + n];
  let x = () => 0, wide = 0;

  const draw = () => {
    const cascade = data.cascades[shown];
    buttons.forEach((button, k) => button.setAttribute("aria-pressed", String(k === shown)));
    const width = host.clientWidth, margin = 74;
    const left = narrow() ? 8 : margin;
    const height = cascade.rows * pitch() + 4;
    const pen = MQ.context(canvas, width, height);
    wide = width - left - 8;
    const [from, span] = focus < 0 ? [0, cascade.whole] : [cascade.left[focus], cascade.mass[focus]];
    x = (mass) => left + Math.min(Math.max((mass - from) / span, 0), 1) * wide;
    cascade.parent.forEach((parent, k) => {
      const start = x(cascade.left[k]), end = x(cascade.left[k] + cascade.mass[k]);
      if (end - start < 0.15) return;
      const top = topOf(cascade.depth[k]), tall = TALL;
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
    pen.font = "12px " + MQ.FONT;
    pen.fillStyle = MQ.colour("muted");
    pen.textBaseline = "middle";
    pen.textAlign = narrow() ? "left" : "right";
    for (let row = 0; row < cascade.rows; row++) {
      const name = row ? (narrow() ? `generation ${row}` : String(row)) : "called first";
      pen.fillText(name, narrow() ? left : left - 8, topOf(row) + (narrow() ? -9 : TALL / 2));
    }
    if (at >= 0) {
      const start = x(cascade.left[at]), end = x(cascade.left[at] + cascade.mass[at]);
      MQ.framed(pen, start, topOf(cascade.depth[at]), Math.max(end - start, 2), TALL);
    }
  };

  const cellAt = (event) => {
    const cascade = data.cascades[shown], box = canvas.getBoundingClientRect();
    const px = event.clientX - box.left, row = Math.floor((event.clientY - box.top) / pitch());
    return cascade.parent.findIndex(
      (_, k) => cascade.depth[k] === row && x(cascade.left[k]) <= px && px < x(cascade.left[k] + cascade.mass[k]));
  };
  const tell = (left, top, k) => {
    const cascade = data.cascades[shown], one = cascade.account[k] >= 0, above = cascade.parent[k];
    const rows = [
      [null, one ? "closed by force" : "closed by force, all", MQ.short(cascade.own[k])],
      ...(cascade.mass[k] > cascade.own[k] * 1.0001
        ? [[null, `with ${MQ.grouped(cascade.count[k] - 1)} that followed`, MQ.short(cascade.mass[k])]] : []),
      ...data.causes.map((cause, n) => [cause.colour, cause.label, MQ.FORMATS.percent(part(cascade, k, n)).replace(/\.\d+/, "")]),
      [null, "mainly because of", above < 0 ? "no liquidation" : cascade.account[above] < 0 ? "several" : named(cascade, above)],
    ];
    const title = one ? `${named(cascade, k)}, called at ${MQ.clock(cascade.time[k], 1)}` : `${MQ.grouped(cascade.count[k])} small calls`;
    if (one) group.point(cascade.time[k]);
    MQ.tip.show(left, top, title, rows);
  };
  const enlarge = (k) => {
    focus = k === focus || data.cascades[shown].depth[k] === 0 && focus >= 0 && k !== focus ? -1 : k;
  };
  canvas.addEventListener("pointermove", (event) => {
    if (event.pointerType !== "mouse") return;
    const k = cellAt(event);
    if (k < 0) MQ.tip.hide();
    else tell(event.clientX, event.clientY, k);
  });
  canvas.addEventListener("pointerleave", () => group.point(null));
  canvas.addEventListener("click", (event) => {
    const k = cellAt(event);
    if (k < 0) return;
    enlarge(k);
    draw();
    tell(event.clientX, event.clientY, cellAt(event) < 0 ? k : cellAt(event));
  });

  // Cells of a row that can be seen, from left to right.
  const cellsOf = (row) => {
    const cascade = data.cascades[shown];
    return cascade.parent
      .map((_, k) => k)
      .filter((k) => cascade.depth[k] === row && x(cascade.left[k] + cascade.mass[k]) - x(cascade.left[k]) >= 0.5)
      .sort((a, b) => cascade.left[a] - cascade.left[b]);
  };
  const move = (key, far) => {
    const cascade = data.cascades[shown];
    if (at < 0 || key === "Home") at = cellsOf(0)[0];
    else if (key === "ArrowUp") at = cascade.parent[at] >= 0 ? cascade.parent[at] : at;
    else if (key === "ArrowDown") at = cellsOf(cascade.depth[at] + 1).find((k) => cascade.parent[k] === at) ?? at;
    else {
      const row = cellsOf(cascade.depth[at]), step = (key === "ArrowLeft" ? -1 : 1) * (key === "End" ? row.length : far ? 10 : 1);
      at = row[Math.min(Math.max(row.indexOf(at) + step, 0), row.length - 1)];
    }
  };
  MQ.walk(canvas, "Cascade, a cell a margin call: left and right to its neighbours, down to what it caused, up to its cause, Enter enlarges, Escape shows all", {
    at: () => {
      if (at < 0) return null;
      const cascade = data.cascades[shown];
      return [(x(cascade.left[at]) + x(cascade.left[at] + cascade.mass[at])) / 2, topOf(cascade.depth[at]) + TALL / 2];
    },
    move, draw: () => draw(), tell: (left, top) => tell(left, top, at),
    enter: () => at >= 0 && enlarge(at),
    escape: () => (focus = -1),
    leave: () => ((at = -1), group.point(null)),
  });
  draw();
  // Causes that made a good part of the moves of this cascade.
  const unpainted = () => {
    const cascade = data.cascades[shown];
    const weight = (n) => cascade.parent.reduce((sum, _, k) => sum + Math.max(part(cascade, k, n), 0) * cascade.mass[k], 0);
    const all = data.causes.reduce((sum, _, n) => sum + weight(n), 0);
    return MQ.unpainted(canvas, data.causes.filter((_, n) => weight(n) > 0.05 * all));
  };
  return { draw, resize: draw, unpainted };
};
