"use strict";
// Rows of bars: a waterfall (each begins where the one before ends), and profits (stacked to both sides of zero).

// The rows' places and the axis below them; labels stand above their bars where there is no room beside them.
MQ.rowsOfBars = (host, names, low, high) => {
  const narrow = host.clientWidth < 620;
  const canvas = host.querySelector("canvas"), pitch = narrow ? 50 : 40, thick = 22;
  const height = names.length * pitch + 34;
  const pen = MQ.context(canvas, host.clientWidth, height);
  pen.font = "13px " + MQ.FONT;
  const widest = Math.max(...names.map((name) => pen.measureText(name).width));
  const left = narrow ? 10 : Math.min(widest + 22, 260), right = 70;
  const wide = Math.max(host.clientWidth - left - right, 40);
  const x = (value) => left + ((value - low) / (high - low || 1)) * wide;
  const top = (k) => k * pitch + (narrow ? 20 : 9);
  const ticks = MQ.ticks(low, high, Math.max(wide / 90, 4));
  pen.font = "12px " + MQ.FONT;
  pen.lineWidth = 1;
  pen.textBaseline = "top";
  pen.textAlign = "center";
  MQ.axisLabels(ticks, "money").forEach((label, k) => {
    pen.strokeStyle = MQ.colour(ticks[k] === 0 ? "muted" : "grid");
    pen.beginPath();
    pen.moveTo(Math.round(x(ticks[k])) + 0.5, 2);
    pen.lineTo(Math.round(x(ticks[k])) + 0.5, height - 26);
    pen.stroke();
    pen.fillStyle = MQ.colour("muted");
    pen.fillText(label, Math.max(x(ticks[k]), 14), height - 20);
  });
  pen.font = "13px " + MQ.FONT;
  names.forEach((name, k) => {
    if (narrow) {
      pen.fillStyle = MQ.colour("card"); // no line through the words
      pen.fillRect(left - 2, top(k) - 19, pen.measureText(name).width + 4, 18);
    }
    pen.fillStyle = MQ.colour("ink");
    pen.textBaseline = narrow ? "bottom" : "middle";
    pen.textAlign = narrow ? "left" : "right";
    pen.fillText(name, narrow ? left : left - 12, narrow ? top(k) - 3 : top(k) + thick / 2);
  });
  return { pen, x, top, thick, pitch, height, narrow, right: left + wide };
};

// A value beside the end of its bar, or inside its row where it would be cut.
MQ.barValue = (place, text, value, k) => {
  const { pen } = place;
  pen.font = "600 12px " + MQ.FONT;
  pen.textBaseline = "middle";
  pen.textAlign = "left";
  pen.fillStyle = MQ.colour("ink");
  pen.fillText(text, place.x(value) + 8, place.top(k) + place.thick / 2);
};

// Tips and keys of rows; returns what draws the frame of the row that the keyboard is at.
MQ.rowTips = (host, canvas, label, count, place, tell, draw) => {
  let at = -1;
  const show = (event) => {
    const box = canvas.getBoundingClientRect();
    const k = Math.floor((event.clientY - box.top) / place().pitch);
    if (k < 0 || k >= count) return MQ.tip.hide();
    const { title, rows } = tell(k);
    MQ.tip.show(event.clientX, event.clientY, title, rows);
  };
  canvas.addEventListener("pointermove", (event) => event.pointerType === "mouse" && show(event));
  canvas.addEventListener("click", show);
  canvas.addEventListener("pointerleave", () => MQ.tip.hide());
  MQ.walk(canvas, `${label}: up and down through its rows`, {
    at: () => (at < 0 ? null : [Math.min(host.clientWidth, 420) / 2, place().top(at) + place().thick / 2]),
    move: (key) => {
      const back = key === "ArrowUp" || key === "ArrowLeft";
      at = key === "Home" ? 0 : key === "End" ? count - 1 : Math.min(Math.max(at + (back ? -1 : 1), 0), count - 1);
    },
    tell: (left, top) => {
      const { title, rows } = tell(at);
      MQ.tip.show(left, top, title, rows);
    },
    draw, leave: () => (at = -1),
  });
  return () => {
    if (at >= 0) MQ.framed(place().pen, 2, place().top(at) - 4, host.clientWidth - 4, place().thick + 8);
  };
};

MQ.kinds.waterfall = (host, data) => {
  const canvas = MQ.canvas(host);
  const bars = [];
  let sum = 0;
  for (const bar of data.bars) {
    bars.push({ ...bar, from: sum, to: sum + bar.amount });
    sum += bar.amount;
  }
  bars.push({ label: data.total, amount: sum, from: 0, to: sum, colour: "muted", note: "" });
  const ends = bars.flatMap((bar) => [bar.from, bar.to]);
  let place, frame = () => {};
  const draw = () => {
    place = MQ.rowsOfBars(host, bars.map((bar) => bar.label), Math.min(...ends, 0), Math.max(...ends));
    const { pen, x, top, thick } = place;
    bars.forEach((bar, k) => {
      const left = x(Math.min(bar.from, bar.to)), width = Math.max(Math.abs(x(bar.to) - x(bar.from)), 1.5);
      pen.fillStyle = MQ.colour(bar.colour);
      pen.beginPath();
      pen.roundRect(left, top(k), width, thick, Math.min(3, width / 2));
      pen.fill();
      if (k < bars.length - 1) {
        pen.strokeStyle = MQ.colour("muted");
        pen.setLineDash([2, 3]);
        pen.beginPath();
        pen.moveTo(Math.round(x(bar.to)) + 0.5, top(k) + thick);
        pen.lineTo(Math.round(x(bar.to)) + 0.5, top(k + 1));
        pen.stroke();
        pen.setLineDash([]);
      }
      MQ.barValue(place, MQ.short(bar.amount), Math.max(bar.from, bar.to), k);
    });
    frame();
  };
  draw();
  frame = MQ.rowTips(host, canvas, "Losses by who bore them", bars.length, () => place, (k) => ({
    title: bars[k].label,
    rows: [[bars[k].colour, data.unit, MQ.short(bars[k].amount)], ...(bars[k].note ? [[null, bars[k].note, ""]] : [])],
  }), draw);
  const wide = (bar) => Math.abs(place.x(bar.to) - place.x(bar.from)) >= 3;
  return { draw, resize: draw, unpainted: () => MQ.unpainted(canvas, bars.filter(wide)) };
};

MQ.kinds.profits = (host, data) => {
  const legend = MQ.element("div", "panel-head", host);
  const keys = MQ.element("span", "legend", legend);
  for (const part of data.parts) MQ.key(keys, part.label, part.colour);
  MQ.key(keys, "sum", "ink").classList.add("diamond");
  const canvas = MQ.canvas(host);
  const positive = (row) => row.amounts.reduce((sum, value) => sum + Math.max(value, 0), 0);
  const negative = (row) => row.amounts.reduce((sum, value) => sum + Math.min(value, 0), 0);
  const low = Math.min(...data.rows.map(negative), 0), high = Math.max(...data.rows.map(positive), 0);
  const signed = (value) => (value > 0 ? "+" : "") + MQ.short(value);
  let place, frame = () => {};
  const draw = () => {
    place = MQ.rowsOfBars(host, data.rows.map((row) => row.label), low, high);
    const { pen, x, top, thick } = place;
    data.rows.forEach((row, k) => {
      let above = 0, below = 0;
      row.amounts.forEach((value, part) => {
        const from = value >= 0 ? above : below;
        if (value >= 0) above += value;
        else below += value;
        pen.fillStyle = MQ.colour(data.parts[part].colour);
        pen.fillRect(Math.min(x(from), x(from + value)), top(k), Math.abs(x(from + value) - x(from)), thick);
      });
      const middle = top(k) + thick / 2;
      pen.fillStyle = MQ.colour("ink");
      pen.strokeStyle = MQ.colour("card");
      pen.lineWidth = 1.5;
      pen.beginPath();
      for (const [dx, dy] of [[0, -7], [7, 0], [0, 7], [-7, 0]]) pen.lineTo(x(row.sum) + dx, middle + dy);
      pen.closePath();
      pen.fill();
      pen.stroke();
      MQ.barValue(place, signed(row.sum), Math.max(above, row.sum), k);
    });
    frame();
  };
  draw();
  frame = MQ.rowTips(host, canvas, "Profit and loss by population", data.rows.length, () => place, (k) => ({
    title: data.rows[k].label,
    rows: [
      ...data.parts.map((part, n) => [part.colour, part.label, signed(data.rows[k].amounts[n])]).filter(([, , text]) => text !== "0"),
      ["ink", `sum, ${data.unit}`, signed(data.rows[k].sum)],
    ],
  }), draw);
  // Parts with a bar that the diamond of the sum cannot hide.
  const wide = (_, n) => data.rows.some((row) => Math.abs(place.x(row.amounts[n]) - place.x(0)) >= 18);
  return { draw, resize: draw, unpainted: () => MQ.unpainted(canvas, data.parts.filter(wide)) };
};
