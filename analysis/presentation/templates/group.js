"use strict";
// Charts over one time axis that move together: what is in view, where the pointer is, what is being selected.
//
// A member has zoom(from, to), point(time or null) and select(from, to or null).

MQ.Group = class {
  constructor(from, to) {
    this.full = [from, to];
    this.range = [from, to];
    this.at = null;
    this.members = [];
    this.listeners = [];
  }

  get zoomed() {
    return this.range[0] > this.full[0] || this.range[1] < this.full[1];
  }

  zoom(from, to) {
    const [first, last] = this.full;
    const least = Math.min(Math.max((last - first) / 5000, 0.5), last - first);
    const span = Math.min(Math.max(to - from, least), last - first);
    const start = Math.min(Math.max((from + to - span) / 2, first), last - span);
    this.range = [start, start + span];
    for (const member of this.members) member.zoom(...this.range);
    for (const listener of this.listeners) listener(this);
  }

  reset() {
    this.zoom(...this.full);
  }

  point(time) {
    this.at = time;
    for (const member of this.members) member.point(time);
    if (time === null) MQ.tip.hide();
  }

  select(from, to) {
    for (const member of this.members) member.select(from, to);
  }
};

// Pointer and keys on a plot.  `over` lies exactly on the plot; `tell(x, y)` shows the tip for a place in it, in CSS
// pixels from its left top corner; touch scrolls the page upwards and downwards as ever.
MQ.gestures = (over, group, tell) => {
  const fingers = new Map();
  let drag = null, pinch = null, lastTap = 0;
  over.classList.add("over");
  over.tabIndex = 0;
  over.setAttribute("role", "application");

  const place = (event) => {
    const box = over.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  const timeAt = (x) => {
    const [from, to] = group.range;
    return from + ((to - from) * Math.min(Math.max(x, 0), over.clientWidth)) / over.clientWidth;
  };
  const point = (x, y) => {
    group.point(timeAt(x));
    tell(x, y);
  };
  const twoFingers = () => [...fingers.values()].map(([x]) => x).sort((a, b) => a - b);
  const stop = () => {
    drag = null;
    group.select(null, null);
  };

  over.addEventListener("pointerdown", (event) => {
    if (event.pointerType === "mouse" && event.button !== 0) return;
    const [x, y] = place(event);
    fingers.set(event.pointerId, [x, y]);
    over.setPointerCapture(event.pointerId);
    if (fingers.size === 2) {
      stop();
      const [left, right] = twoFingers();
      pinch = [timeAt(left), timeAt(right)];
    } else if (fingers.size === 1) drag = { x, moved: false };
  });

  over.addEventListener("pointermove", (event) => {
    const [x, y] = place(event);
    if (fingers.has(event.pointerId)) fingers.set(event.pointerId, [x, y]);
    if (pinch && fingers.size === 2) {
      const [left, right] = twoFingers();
      if (right - left < 12) return;
      const rate = (pinch[1] - pinch[0]) / (right - left);
      group.zoom(pinch[0] - rate * left, pinch[1] + rate * (over.clientWidth - right));
    } else if (drag) {
      drag.moved = drag.moved || Math.abs(x - drag.x) > 6;
      if (drag.moved) group.select(...[timeAt(drag.x), timeAt(x)].sort((a, b) => a - b));
      if (event.pointerType === "mouse") point(x, y);
    } else if (event.pointerType === "mouse") point(x, y);
  });

  over.addEventListener("pointerup", (event) => {
    const [x, y] = place(event);
    const pinching = pinch !== null;
    fingers.delete(event.pointerId);
    if (fingers.size < 2) pinch = null;
    if (pinching || !drag) return stop();
    const { moved, x: start } = drag;
    stop();
    if (moved && Math.abs(x - start) > 6) group.zoom(...[timeAt(start), timeAt(x)].sort((a, b) => a - b));
    else if (event.pointerType !== "mouse") {
      const now = event.timeStamp;
      if (now - lastTap < 350) group.reset();
      else point(x, y);
      lastTap = now;
    }
  });

  over.addEventListener("pointercancel", (event) => {
    fingers.delete(event.pointerId);
    if (fingers.size < 2) pinch = null;
    stop();
  });
  over.addEventListener("pointerleave", (event) => {
    if (event.pointerType === "mouse" && !drag) group.point(null);
  });
  over.addEventListener("dblclick", () => group.reset());
  over.addEventListener("blur", () => group.point(null));

  over.addEventListener("keydown", (event) => {
    const [from, to] = group.range;
    const at = group.at === null ? (from + to) / 2 : group.at;
    const step = (to - from) / (event.shiftKey ? 20 : 200);
    const moves = { ArrowLeft: -step, ArrowRight: step };
    if (event.key in moves) {
      const next = Math.min(Math.max(at + moves[event.key], from), to);
      point(((next - from) / (to - from)) * over.clientWidth, 0.3 * over.clientHeight);
    } else if (event.key === "+" || event.key === "=") group.zoom(at - (at - from) / 2, at + (to - at) / 2);
    else if (event.key === "-") group.zoom(at - 2 * (at - from), at + 2 * (to - at));
    else if (event.key === "0" || event.key === "Escape") group.reset();
    else return;
    event.preventDefault();
  });
};

// The line at the pointer and the band of a selection, for a plot that draws neither.
MQ.guides = (over, group) => {
  const line = MQ.element("div", "guide", over), band = MQ.element("div", "band", over);
  line.hidden = band.hidden = true;
  const x = (time) => ((time - group.range[0]) / (group.range[1] - group.range[0])) * over.clientWidth;
  return {
    point(time) {
      line.hidden = time === null || time < group.range[0] || time > group.range[1];
      if (!line.hidden) line.style.transform = `translateX(${x(time)}px)`;
    },
    select(from, to) {
      band.hidden = from === null;
      if (band.hidden) return;
      band.style.left = x(from) + "px";
      band.style.width = x(to) - x(from) + "px";
    },
  };
};
