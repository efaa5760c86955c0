"use strict";
// A map of notional by price and time on a dark ground, the path of a price on it, and its profile at one moment.

MQ.NIGHT = { ground: "#0b0e17", line: "#ffffff" };

MQ.ramp = (colours) => {
  const anchors = colours.map((hex) => [1, 3, 5].map((k) => parseInt(hex.slice(k, k + 2), 16)));
  return Array.from({ length: 256 }, (_, code) => {
    const place = (Math.max(code - 1, 0) / 254) * (anchors.length - 1);
    const low = Math.min(Math.floor(place), anchors.length - 2);
    return anchors[low].map((part, k) => Math.round(part + (place - low) * (anchors[low + 1][k] - part)));
  });
};

MQ.kinds.heat = (host, data, group) => {
  const { times, prices, codes } = data;
  const columns = times.length - 1, rows = prices.length - 1;
  const amount = (code) => (code ? data.low * (data.high / data.low) ** ((code - 1) / 254) : 0);
  const most = Math.max(...(data.marks || []).flatMap((mark) => mark.amount), 0);
  for (const mark of data.marks || []) mark.most = most;

  const head = MQ.element("div", "panel-head", host);
  MQ.element("span", "panel-title", head, data.label[0].toUpperCase() + data.label.slice(1));
  MQ.element("span", "panel-unit", head, `quote per price bin of ${MQ.short(data.bin)}`);
  const legend = MQ.element("span", "legend", head);
  const scale = MQ.element("span", "ramp", legend);
  MQ.element("span", "", scale, MQ.short(data.low, 2));
  MQ.element("i", "", scale).style.background = `linear-gradient(90deg, ${data.colours.join(",")})`;
  MQ.element("span", "", scale, MQ.short(data.high, 2));
  for (const mark of data.marks || []) MQ.key(legend, mark.label, mark.colour).classList.add("mark-circle");
  MQ.key(legend, data.profile.below, data.profile.colours[0]);
  MQ.key(legend, data.profile.above, data.profile.colours[1]);
  const body = MQ.element("div", "heat-body", host);
  const map = MQ.element("div", "heat-map", body), side = MQ.element("div", "heat-side", body);
  const canvas = MQ.canvas(map), over = MQ.element("div", "", map);
  const profile = MQ.canvas(side);

  // One picture of all cells; the lowest price is its last row.
  const image = document.createElement("canvas");
  image.width = columns;
  image.height = rows;
  const pen = image.getContext("2d"), cells = pen.createImageData(columns, rows), ramp = MQ.ramp(data.colours);
  for (let t = 0; t < columns; t++)
    for (let b = 0; b < rows; b++) {
      const code = codes[t * rows + b], at = 4 * ((rows - 1 - b) * columns + t);
      if (code) cells.data.set([...ramp[code], 255], at);
    }
  pen.putImageData(cells, 0, 0);

  const box = { left: 0, top: 8, width: 0, height: 0 };
  let window_ = [prices[0], prices[rows]];
  const pathAt = (time) => data.path.y[Math.max(MQ.lowerBound(data.path.x, time + 1e-6) - 1, 0)];
  const columnAt = (time) => Math.min(Math.max(MQ.lowerBound(times, time + 1e-6) - 1, 0), columns - 1);
  const x = (time) => box.left + ((time - group.range[0]) / (group.range[1] - group.range[0])) * box.width;
  const y = (price) => box.top + ((window_[1] - price) / (window_[1] - window_[0])) * box.height;

  // In a part of the run the prices near its own path; in the whole run all of them.
  const fit = () => {
    window_ = [prices[0], prices[rows]];
    if (!group.zoomed) return;
    const from = Math.max(MQ.lowerBound(data.path.x, group.range[0]) - 1, 0);
    const seen = data.path.y.slice(from, MQ.lowerBound(data.path.x, group.range[1]) + 1).filter((price) => price !== null);
    if (!seen.length) return;
    const low = Math.min(...seen), high = Math.max(...seen);
    const room = Math.max(0.3 * (high - low), 0.12 * (prices[rows] - prices[0]));
    window_ = [Math.max(low - room, prices[0]), Math.min(high + room, prices[rows])];
  };

  const drawMap = () => {
    const beside = host.clientWidth >= 760;
    host.classList.toggle("stacked", !beside);
    const width = beside ? host.clientWidth - 190 : host.clientWidth, height = beside ? 400 : 320;
    const gutter = MQ.gutter(host.clientWidth);
    box.left = gutter.left;
    box.width = Math.max(width - gutter.left - gutter.right, 40);
    box.height = height - box.top - 26;
    Object.assign(over.style, {
      left: box.left + "px", top: box.top + "px", width: box.width + "px", height: box.height + "px",
    });
    fit();
    const pen = MQ.context(canvas, width, height);
    pen.save();
    pen.beginPath();
    pen.rect(box.left, box.top, box.width, box.height);
    pen.clip();
    pen.fillStyle = MQ.NIGHT.ground;
    pen.fillRect(box.left, box.top, box.width, box.height);
    pen.imageSmoothingEnabled = false;
    const top = y(prices[rows]), bottom = y(prices[0]);
    for (let t = 0; t < columns; t++) {
      const left = x(times[t]), right = x(times[t + 1]);
      if (right >= box.left && left <= box.left + box.width)
        pen.drawImage(image, t, 0, 1, rows, left, top, right - left + 0.6, bottom - top);
    }
    for (const [colour, thick] of [[MQ.NIGHT.ground, 3.4], [MQ.NIGHT.line, 1.4]]) {
      pen.strokeStyle = colour;
      pen.lineWidth = thick;
      pen.lineJoin = "round";
      pen.beginPath();
      let down = false;
      data.path.x.forEach((time, k) => {
        const price = data.path.y[k];
        if (price === null) down = false;
        else if (down) pen.lineTo(x(time), y(price));
        else pen.moveTo(x(time), y(price)), (down = true);
      });
      pen.stroke();
    }
    for (const mark of data.marks || []) {
      pen.fillStyle = MQ.faded(mark.colour, 0.5);
      pen.strokeStyle = "rgba(255,255,255,.75)";
      pen.lineWidth = 0.7;
      mark.x.forEach((time, k) => {
        MQ.drawMark(pen, mark, x(time), y(mark.y[k]), 1.4 * MQ.markRadius(mark, k));
        pen.fill();
        pen.stroke();
      });
    }
    pen.restore();
    pen.fillStyle = MQ.colour("muted");
    pen.textBaseline = "middle";
    pen.textAlign = "right";
    const ticks = MQ.ticks(...window_, box.height / 46);
    MQ.axisLabels(ticks, "price").forEach((label, k) => pen.fillText(label, box.left - 6, y(ticks[k])));
    pen.textAlign = "center";
    pen.textBaseline = "top";
    const clock = MQ.timeTicks(...group.range, box.width / 78);
    clock.ticks.forEach((tick, k) => {
      const half = pen.measureText(clock.labels[k]).width / 2;
      pen.fillText(clock.labels[k], Math.min(x(tick), width - half - 1), box.top + box.height + 8);
    });
  };

  const moment = () => {
    if (group.at !== null) return group.at;
    if (data.profile.at === "end") return group.range[1];
    let first = 0;
    while (first < columns - 1 && !codes.slice(first * rows, (first + 1) * rows).some((code) => code)) first++;
    return Math.max(times[first], group.range[0]);
  };

  let waiting = []; // sides of the profile with a bar that is long enough to be seen
  const drawProfile = () => {
    const beside = !host.classList.contains("stacked");
    const width = beside ? 186 : host.clientWidth, height = beside ? 400 : 210;
    const left = beside ? 8 : MQ.gutter(host.clientWidth).left, right = beside ? 6 : MQ.gutter(host.clientWidth).right;
    const pen = MQ.context(profile, width, height);
    const wide = width - left - right, high = height - box.top - (beside ? 26 : 22);
    const level = (price) => box.top + ((window_[1] - price) / (window_[1] - window_[0])) * high;
    const time = moment(), t = columnAt(time), here = pathAt(time);
    const shown = [];
    for (let b = 0; b < rows; b++)
      if (prices[b + 1] > window_[0] && prices[b] < window_[1]) shown.push([b, amount(codes[t * rows + b])]);
    const top = Math.max(...shown.map(([, value]) => value), data.low);
    pen.fillStyle = MQ.NIGHT.ground;
    pen.fillRect(left, box.top, wide, high);
    pen.save();
    pen.beginPath();
    pen.rect(left, box.top, wide, high);
    pen.clip();
    waiting = [];
    for (const [b, value] of shown) {
      const middle = (prices[b] + prices[b + 1]) / 2, colour = data.profile.colours[middle < here ? 0 : 1];
      if (value > 0.1 * top && !waiting.some((each) => each.colour === colour))
        waiting.push({ label: middle < here ? data.profile.below : data.profile.above, colour });
      pen.fillStyle = MQ.colour(colour);
      const upper = Math.round(level(prices[b + 1])), thick = Math.max(Math.round(level(prices[b])) - upper, 1);
      pen.fillRect(left, upper, (wide * value) / top / 1.04, thick);
    }
    if (here !== null) {
      pen.strokeStyle = MQ.NIGHT.line;
      pen.setLineDash([3, 3]);
      pen.beginPath();
      pen.moveTo(left, level(here));
      pen.lineTo(left + wide, level(here));
      pen.stroke();
      pen.setLineDash([]);
    }
    pen.restore();
    pen.fillStyle = MQ.colour("muted");
    pen.textBaseline = "top";
    pen.textAlign = "right";
    pen.fillText(MQ.short(top, 2), left + wide, box.top + high + 8);
    pen.textAlign = "left";
    pen.fillText("0", left, box.top + high + 8);
    if (!beside) {
      pen.textAlign = "right";
      pen.textBaseline = "middle";
      const ticks = MQ.ticks(...window_, high / 40);
      MQ.axisLabels(ticks, "price").forEach((label, k) => pen.fillText(label, left - 6, level(ticks[k])));
    }
    pen.fillStyle = MQ.colour("ink");
    pen.textBaseline = "top";
    pen.textAlign = "center";
    pen.fillText(`at ${MQ.clock(time)}`, left + wide / 2, box.top + high + 8);
  };

  drawMap();
  drawProfile();
  const guides = MQ.guides(over, group);
  group.members.push({
    zoom: () => (drawMap(), drawProfile()),
    point: (time) => (guides.point(time), drawProfile()),
    select: guides.select,
  });
  MQ.gestures(over, group, (px, py) => {
    const price = window_[1] - (py / box.height) * (window_[1] - window_[0]);
    const b = Math.min(Math.max(MQ.lowerBound(prices, price) - 1, 0), rows - 1);
    const value = amount(codes[columnAt(group.at) * rows + b]);
    const tell = [
      [null, "price", MQ.price(price)],
      [null, data.label, value ? "about " + MQ.short(value, 2) : "less than " + MQ.short(data.low, 2)],
      [null, data.pathLabel, MQ.shown(pathAt(group.at), "price")],
    ];
    for (const mark of data.marks || []) {
      let best = null, nearest = Infinity;
      mark.x.forEach((time, k) => {
        const away = Math.hypot(x(time) - box.left - px, y(mark.y[k]) - box.top - py);
        if (away < nearest && away <= 1.4 * MQ.markRadius(mark, k) + 4) [best, nearest] = [k, away];
      });
      if (best !== null) tell.push([mark.colour, mark.label, MQ.markText(mark, best)]);
    }
    const place = over.getBoundingClientRect();
    MQ.tip.show(place.left + px, place.top + py, MQ.clock(group.at, 1), tell);
  });
  over.setAttribute("aria-label", `${data.label}, by price over time`);
  return {
    draw: () => (drawMap(), drawProfile()),
    resize: () => (drawMap(), drawProfile()),
    unpainted: () => [
      ...MQ.unpainted(canvas, [{ label: data.pathLabel, colour: MQ.NIGHT.line }]),
      ...MQ.unpainted(profile, waiting),
    ],
  };
};
