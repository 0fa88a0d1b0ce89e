// The histogram of scores: a range is dragged across it, the threshold is a line that can be dragged.

const chart = {
  svg: byId("histogram").querySelector("svg"),
  left: 44, right: 18, top: 16, bottom: 22, height: 170, width: 0, low: 0, high: 1, step: 0.02,
};

// The smallest of 1, 2, 5, 10, ... times `unit` that reaches `wanted`.
function roundStep(wanted, unit) {
  for (let decade = unit; ; decade *= 10) {
    for (const factor of [1, 2, 5]) if (decade * factor >= wanted) return decade * factor;
  }
}

const scoreToX = (score) =>
  chart.left + ((score - chart.low) / (chart.high - chart.low)) * (chart.width - chart.left - chart.right);
const xToScore = (x) => {
  const share = (x - chart.left) / (chart.width - chart.left - chart.right);
  return chart.low + Math.min(1, Math.max(0, share)) * (chart.high - chart.low);
};
const rounded = (value, step) => Number((Math.round(value / step) * step).toFixed(6));

// The axis covers all scores of the page, regardless of the filter, so that charts of two filters can be compared.
function chartDomain() {
  let [low, high] = [Infinity, -Infinity];
  for (const score of [ranking[0], ranking[ranking.length - 1], ...rest.map((bin) => bin.score), raw.threshold]) {
    if (score === undefined || score === null) continue;
    low = Math.min(low, score);
    high = Math.max(high, score);
  }
  if (low > high) [low, high] = [0, 1];
  // Scores are in 0 to 1; an outlier goes into the outer bin, so that the others remain distinguishable.
  [low, high] = [Math.max(low, -1), Math.min(high, 2)].sort((a, b) => a - b);
  chart.low = Math.floor(low * 10 + 1e-9) / 10;
  chart.high = Math.max(Math.ceil(high * 10 - 1e-9) / 10, chart.low + 0.1);
}
chartDomain();

function bins(among) {
  const amount = Math.max(1, Math.round((chart.high - chart.low) / chart.step));
  const found = Array.from({ length: amount }, () => ({ normal: 0, anomalous: 0, scored: 0 }));
  const at = (score) => Math.min(amount - 1, Math.max(0, Math.floor((score - chart.low) / chart.step + 1e-9)));
  for (const picture of among) if (!picture.failed) found[at(picture.score)][verdict(picture)] += 1;
  if (!choice.text && !choice.folder) {
    for (const bin of rest) {
      for (const [kind, amount] of Object.entries(judgeBin(bin))) found[at(bin.score)][kind] += amount;
    }
  }
  return found;
}

function drawHistogram(among) {
  const { svg, left, right, top, bottom, height } = chart;
  chart.width = Math.max(240, svg.clientWidth);
  const plot = chart.width - left - right;
  chart.step = roundStep((7 * (chart.high - chart.low)) / plot, 0.001);
  svg.setAttribute("viewBox", `0 0 ${chart.width} ${height}`);
  svg.setAttribute("height", height);
  const found = bins(among);
  const most = Math.max(1, ...found.map((bin) => bin.normal + bin.anomalous + bin.scored));
  const rows = roundStep(most / 3, 1);
  const end = Math.ceil(most / rows) * rows;
  const floor = height - bottom;
  const up = (value) => floor - (value / end) * (floor - top);
  const parts = [];

  for (let value = rows; value <= end; value += rows) {
    parts.push(svgNode("path", { class: "grid-line", d: `M${left} ${up(value)}H${chart.width - right}` }));
    parts.push(svgNode("text", { x: left - 7, y: up(value) + 4, "text-anchor": "end" }, count(value)));
  }
  const ticks = roundStep((chart.high - chart.low) / Math.max(2, Math.floor(plot / 70)), 0.01);
  for (let at = Math.ceil(chart.low / ticks - 1e-9); at * ticks <= chart.high + 1e-9; at += 1) {
    const digits = ticks < 0.1 ? 2 : 1;
    parts.push(svgNode("text", { x: scoreToX(at * ticks), y: height - 5, "text-anchor": "middle" },
      decimals(at * ticks, digits)));
  }
  found.forEach((bin, at) => {
    const from = chart.low + at * chart.step;
    const total = bin.normal + bin.anomalous + bin.scored;
    if (!total) return;
    const middle = from + chart.step / 2;
    const x = scoreToX(from) + 0.5;
    const width = Math.max(1, scoreToX(from + chart.step) - scoreToX(from) - 1);
    let y = floor;
    for (const kind of ["normal", "scored", "anomalous"]) {
      if (!bin[kind]) continue;
      // One picture among thousands must not vanish.
      const tall = Math.max(1.5, floor - up(bin[kind]));
      const faint = !inRange(middle) || (choice.show !== "all" && choice.show !== kind);
      y -= tall;
      parts.push(svgNode("rect", { class: `bar ${kind}${faint ? " faint" : ""}`, x, y, width, height: tall }));
    }
    const title = `${decimals(from, 3)} to ${decimals(from + chart.step, 3)}: ${plural(total, "picture", "pictures")}`;
    const column = svgNode("rect", { class: "column", x: x - 0.5, y: top, width: width + 1, height: floor - top });
    column.append(svgNode("title", {}, title));
    parts.push(column);
  });
  if (choice.from !== null || choice.to !== null) {
    const [a, b] = [scoreToX(Math.max(chart.low, choice.from ?? chart.low)),
      scoreToX(Math.min(chart.high, choice.to ?? chart.high))];
    parts.push(svgNode("rect", { class: "range", x: a, y: top, width: Math.max(1, b - a), height: floor - top }));
  }
  parts.push(svgNode("path", { class: "axis", d: `M${left} ${floor}H${chart.width - right}` }));
  if (raw.threshold !== null && choice.threshold !== null && choice.threshold !== raw.threshold) {
    const x = scoreToX(raw.threshold);
    parts.push(svgNode("path", { class: "run-threshold", d: `M${x} ${top}V${floor}` }));
  }
  if (threshold() !== null) parts.push(thresholdLine(top, floor));
  // The line keeps the focus while it is moved.
  const focused = svg.contains(document.activeElement);
  svg.replaceChildren(...parts);
  if (focused) svg.querySelector(".threshold")?.focus();
}

function thresholdLine(top, floor) {
  const x = scoreToX(Math.min(chart.high, Math.max(chart.low, threshold())));
  const line = svgNode("g", {
    class: "threshold", tabindex: 0, role: "slider", "aria-label": "Threshold", "aria-valuemin": 0,
    "aria-valuemax": 1, "aria-valuenow": threshold(),
  });
  line.append(
    svgNode("rect", { class: "grip", x: x - 9, y: 0, width: 18, height: floor }),
    svgNode("path", { class: "line", d: `M${x} ${top - 3}V${floor}` }),
    svgNode("path", { class: "knob", d: `M${x - 6} 2h12v7l-6 6l-6 -6z` }),
  );
  return line;
}

chart.svg.addEventListener("pointerdown", (event) => {
  if (event.button !== 0) return;
  const left = chart.svg.getBoundingClientRect().left;
  const scoreAt = (e) => xToScore(e.clientX - left);
  const moving = event.target.closest(".threshold");
  const start = event.clientX;
  const before = [choice.from, choice.to];
  const move = (e) => {
    if (moving) {
      setThreshold(rounded(scoreAt(e), 0.005));
    } else if (Math.abs(e.clientX - start) >= 4) {
      const ends = [xToScore(start - left), scoreAt(e)].sort((a, b) => a - b);
      setRange(rounded(ends[0], 0.005), rounded(ends[1], 0.005));
    }
  };
  const end = (e) => {
    removeEventListener("pointermove", move);
    removeEventListener("pointerup", end);
    removeEventListener("pointercancel", end);
    if (moving || Math.abs(e.clientX - start) >= 4 || e.type === "pointercancel") return;
    // A click selects the bar under it, a second click clears the selection.
    const low = chart.low + Math.floor((scoreAt(e) - chart.low) / chart.step + 1e-9) * chart.step;
    const range = [rounded(low, 0.001), rounded(low + chart.step, 0.001)];
    const same = before[0] === range[0] && before[1] === range[1];
    setRange(...(same ? [null, null] : range));
  };
  addEventListener("pointermove", move);
  addEventListener("pointerup", end);
  addEventListener("pointercancel", end);
  if (moving) moving.focus();
  event.preventDefault();
});

chart.svg.addEventListener("keydown", (event) => {
  const steps = { ArrowLeft: -0.005, ArrowDown: -0.005, ArrowRight: 0.005, ArrowUp: 0.005, PageDown: -0.05, PageUp: 0.05 };
  if (!(event.key in steps)) return;
  setThreshold(Math.min(1, Math.max(0, rounded(threshold() + steps[event.key], 0.001))));
  event.preventDefault();
  event.stopPropagation();
});
