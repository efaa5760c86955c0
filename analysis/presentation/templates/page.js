"use strict";
// What every chart of the page shares: colours of the scheme in force, numbers as words, packed columns, the tip.

const MQ = { kinds: {}, FONT: 'system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif' };

// Colours -------------------------------------------------------------------------------------------------------

MQ.colours = new Map();

MQ.colour = (name) => {
  if (!MQ.colours.has(name)) {
    const value = getComputedStyle(document.documentElement).getPropertyValue("--c-" + name).trim();
    MQ.colours.set(name, value || "#888888");
  }
  return MQ.colours.get(name);
};

MQ.faded = (name, alpha) => {
  const hex = MQ.colour(name);
  const part = (k) => parseInt(hex.slice(k, k + 2), 16);
  return `rgba(${part(1)},${part(3)},${part(5)},${alpha})`;
};

// Numbers -------------------------------------------------------------------------------------------------------

MQ.SIZES = [[1e12, "T"], [1e9, "B"], [1e6, "M"], [1e3, "k"], [1, ""]];

// 1234567 -> 1.23M
MQ.short = (value, digits = 3) => {
  if (value == null || Number.isNaN(value)) return "none";
  if (value === 0) return "0";
  const size = Math.abs(value);
  const [unit, letter] = MQ.SIZES.find(([unit]) => size >= unit * 0.9995) || [1, ""];
  const scaled = size / unit;
  const decimals = Math.max(digits - 1 - Math.floor(Math.log10(unit > 1 ? Math.max(scaled, 1) : scaled) + 1e-9), 0);
  return (value < 0 ? "\u2212" : "") + scaled.toFixed(Math.min(decimals, 6)) + letter;
};

MQ.grouped = (value, decimals = 0) =>
  (value < 0 ? "\u2212" : "") +
  Math.abs(value).toLocaleString("en-US", { minimumFractionDigits: decimals, maximumFractionDigits: decimals });

MQ.price = (value) => {
  const size = Math.abs(value);
  return MQ.grouped(value, size >= 10000 ? 1 : size >= 100 ? 2 : size >= 1 ? 4 : 6);
};

MQ.FORMATS = {
  price: MQ.price,
  money: (value) => MQ.short(value),
  bps: (value) => (value < 0 ? "\u2212" : "") + Math.abs(value).toFixed(2) + " bp",
  percent: (value) => (value < 0 ? "\u2212" : "") + Math.abs(value * 100).toFixed(2) + " %",
  count: (value) => MQ.grouped(value),
  ratio: (value) => value.toFixed(2),
};

MQ.shown = (value, format) => (value == null || Number.isNaN(value) ? "none" : MQ.FORMATS[format](value));

// Labels of an axis: as many digits as tell neighbours apart.
MQ.axisLabels = (values, format) => {
  const known = values.filter((value) => value != null);
  const most = Math.max(...known.map(Math.abs), 0);
  const decimalsOf = (scaled) => {
    for (let decimals = 0; decimals < 8; decimals++)
      if (scaled.every((value) => Math.abs(value - Number(value.toFixed(decimals))) <= 1e-9 * Math.max(Math.abs(value), 1))) return decimals;
    return 8;
  };
  if (format === "money" || format === "count") {
    const [unit, letter] = MQ.SIZES.find(([unit]) => most >= unit) || [1, ""];
    const decimals = decimalsOf(known.map((value) => value / unit));
    return values.map((value) =>
      value == null ? "" : value === 0 ? "0" : MQ.grouped(value / unit, decimals) + letter);
  }
  const scale = format === "percent" ? 100 : 1;
  const decimals = decimalsOf(known.map((value) => value * scale));
  const unit = format === "percent" ? " %" : "";
  return values.map((value) => (value == null ? "" : MQ.grouped(value * scale, decimals) + unit));
};

// Simulated time: 75 -> 1:15, 3661 -> 1:01:01; tenths where asked for.
MQ.clock = (seconds, decimals = 0) => {
  const scale = 10 ** decimals;
  const rounded = Math.round(Math.abs(seconds) * scale) / scale;
  const hours = Math.floor(rounded / 3600);
  const minutes = Math.floor((rounded - 3600 * hours) / 60);
  const rest = (rounded % 60).toFixed(decimals).padStart(decimals ? 3 + decimals : 2, "0");
  const sign = seconds < 0 && rounded > 0 ? "\u2212" : "";
  return sign + (hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`);
};

MQ.STEPS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400];

MQ.duration = (seconds) => {
  for (const [size, unit] of [[86400, "d"], [3600, "h"], [60, "min"]])
    if (seconds >= size && seconds % size === 0) return `${seconds / size} ${unit}`;
  return `${seconds} s`;
};

// At most `most` round times between two.
MQ.timeTicks = (from, to, most) => {
  const step = MQ.STEPS.find((step) => (to - from) / step <= most) || 86400 * Math.ceil((to - from) / most / 86400);
  const ticks = [];
  for (let k = Math.ceil(from / step - 1e-9); k * step <= to + 1e-9; k++) ticks.push(k * step);
  return { ticks, labels: ticks.map((tick) => MQ.clock(tick, step < 1 ? 1 : 0)) };
};

// At most `most` round numbers between two.
MQ.ticks = (from, to, most) => {
  const rough = (to - from) / Math.max(most, 1);
  if (!(rough > 0)) return [from];
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((k) => k * power).find((step) => step >= rough * 0.9999);
  const ticks = [];
  for (let k = Math.ceil(from / step - 1e-9); k * step <= to + step * 1e-9; k++) ticks.push(k * step);
  return ticks;
};

// Data ----------------------------------------------------------------------------------------------------------

MQ.bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

// Packed columns (analysis/presentation/page.py) become arrays, NaN in them null; everything else stays.
MQ.unpack = (data) => {
  if (Array.isArray(data)) return data.map(MQ.unpack);
  if (data === null || typeof data !== "object") return data;
  if (typeof data.f32 === "string") {
    const view = new DataView(MQ.bytes(data.f32).buffer);
    return Array.from({ length: view.byteLength / 4 }, (_, k) => {
      const value = view.getFloat32(4 * k, true);
      return Number.isNaN(value) ? null : value;
    });
  }
  if (typeof data.u8 === "string") return MQ.bytes(data.u8);
  return Object.fromEntries(Object.entries(data).map(([key, value]) => [key, MQ.unpack(value)]));
};

// First place in ascending `values` that is not below `wanted`.
MQ.lowerBound = (values, wanted) => {
  let low = 0, high = values.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
};

// Last place in ascending `values` within a range, null if there is none.
MQ.lastWithin = (values, [from, to]) => {
  const last = MQ.lowerBound(values, to + 1e-6) - 1;
  return last >= 0 && values[last] >= from ? last : null;
};

// Elements ------------------------------------------------------------------------------------------------------

MQ.element = (tag, className, parent, text) => {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text != null) made.textContent = text;
  if (parent) parent.append(made);
  return made;
};

MQ.key = (parent, label, colour, tag = "span") => {
  const key = MQ.element(tag, "key", parent);
  MQ.element("i", "", key).style.setProperty("--key", `var(--c-${colour})`);
  MQ.element("span", "", key, label);
  return key;
};

MQ.canvas = (parent) => MQ.element("canvas", "", parent);

// Sets size and scale of a canvas for this screen and empties it; returns its context in CSS pixels.
MQ.context = (canvas, width, height) => {
  const scale = window.devicePixelRatio || 1;
  canvas.width = Math.max(Math.round(width * scale), 1);
  canvas.height = Math.max(Math.round(height * scale), 1);
  canvas.style.width = width + "px";
  canvas.style.height = height + "px";
  const context = canvas.getContext("2d");
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.font = "12px " + MQ.FONT;
  return context;
};

// Of `wanted` ({label, colour}), the labels whose colour hardly any pixel of a canvas has, inside `box` (its own pixels).
MQ.unpainted = (canvas, wanted, box) => {
  const { left, top, width, height } = box || { left: 0, top: 0, width: canvas.width, height: canvas.height };
  if (width < 1 || height < 1) return wanted.map(({ label }) => label);
  const copy = document.createElement("canvas");
  copy.width = width;
  copy.height = height;
  const pen = copy.getContext("2d", { willReadFrequently: true });
  pen.drawImage(canvas, -left, -top);
  const pixels = pen.getImageData(0, 0, copy.width, copy.height).data;
  const open = wanted.map(({ label, colour }) => {
    const hex = colour.startsWith("#") ? colour : MQ.colour(colour);
    return { label, rgb: [1, 3, 5].map((k) => parseInt(hex.slice(k, k + 2), 16)), found: 0 };
  });
  for (let k = 0; k < pixels.length; k += 4) {
    if (pixels[k + 3] <= 24) continue;
    for (const each of open)
      if (each.rgb.every((part, n) => Math.abs(part - pixels[k + n]) < 10)) each.found++;
  }
  return open.filter(({ found }) => found <= 5).map(({ label }) => label);
};

// The tip: one for the page, beside the pointer ------------------------------------------------------------------

MQ.tip = {
  box: null,
  // rows: [colour or null, label, value]
  show(x, y, title, rows) {
    if (!this.box) {
      this.box = MQ.element("div", "tip", document.body);
      this.box.setAttribute("role", "status"); // read out where the keyboard moves it
    }
    const box = this.box;
    box.replaceChildren();
    if (title) MQ.element("div", "tip-title", box, title);
    for (const [colour, label, value] of rows) {
      const row = MQ.element("div", "tip-row", box);
      const mark = MQ.element("i", colour ? "" : "none", row);
      if (colour) mark.style.setProperty("--key", colour.startsWith("#") ? colour : `var(--c-${colour})`);
      MQ.element("span", "", row, label);
      MQ.element("b", "", row, value);
    }
    box.hidden = false;
    const { width, height } = box.getBoundingClientRect();
    const page = document.documentElement.clientWidth;
    const left = x + 18 + width > page - 6 ? x - 18 - width : x + 18;
    box.style.left = Math.min(Math.max(left, 6), Math.max(page - width - 6, 6)) + "px";
    box.style.top = Math.max(6, Math.min(y - height / 2, window.innerHeight - height - 6)) + "px";
  },
  hide() {
    if (this.box) this.box.hidden = true;
  },
};
