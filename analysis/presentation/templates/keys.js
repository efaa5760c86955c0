"use strict";
// A canvas that the keyboard can walk through, place by place.

// `at()`: [x, y] of the place that has the focus, in CSS pixels of the canvas, or null; `move(key, far)`: to the place in
// the direction of an arrow; `tell(x, y)`: the tip of that place, in pixels of the window; `enter()` and `escape()` where
// there is something to open or to leave.  `draw` is asked after each of them.
MQ.walk = (canvas, label, { at, move, tell, draw, leave, enter, escape }) => {
  canvas.tabIndex = 0;
  canvas.setAttribute("role", "application");
  canvas.setAttribute("aria-label", label);
  const show = () => {
    draw();
    const place = at(), box = canvas.getBoundingClientRect();
    if (place) tell(box.left + place[0], box.top + place[1]);
  };
  const hide = () => {
    leave();
    draw();
    MQ.tip.hide();
  };
  canvas.addEventListener("focus", () => {
    if (!canvas.matches(":focus-visible")) return;
    move("Home", false);
    show();
  });
  canvas.addEventListener("blur", hide);
  canvas.addEventListener("keydown", (event) => {
    if (event.key.startsWith("Arrow") || event.key === "Home" || event.key === "End") {
      move(event.key, event.shiftKey);
      show();
    } else if ((event.key === "Enter" || event.key === " ") && enter) {
      enter();
      show();
    } else if (event.key === "Escape") {
      if (escape) escape();
      hide();
    } else return;
    event.preventDefault();
  });
};

// The frame around the place that the keyboard is at.
MQ.framed = (pen, x, y, width, height) => {
  for (const [colour, thick] of [["card", 4], ["ink", 2]]) {
    pen.strokeStyle = MQ.colour(colour);
    pen.lineWidth = thick;
    pen.strokeRect(x, y, width, height);
  }
  pen.lineWidth = 1;
};
