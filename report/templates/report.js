"use strict";
// Draws each figure when it comes into view, in the page's own colours, and again when these change.
const page = JSON.parse(document.getElementById("figures").textContent);
const figures = new Map(page.figures.map((figure) => [figure.id, figure]));
const drawn = new Set();

const FORMATS = {
  s: [".3~s", "s"], bytes: [".3~s", "B"], Bps: [".3~s", "B/s"], ms: [",.4~r", " ms"],
  ratio: [".3~%", ""], percentunit: [".3~%", ""], percent: [",.4~r", "%"],
  "1/s": [",.4~r", "/s"], reqps: [",.4~r", "/s"], ops: [",.4~r", "/s"],
};
const PLAIN = [",.4~r", ""];

function format(unit) {
  const [tick, suffix] = FORMATS[unit] || PLAIN;
  return { tickformat: tick, ticksuffix: suffix, hoverformat: tick };
}

function colours() {
  const style = getComputedStyle(document.documentElement);
  const read = (name) => style.getPropertyValue(name).trim();
  return { yellow: read("--warn"), red: read("--fail"), green: read("--pass"), text: read("--quiet"), line: read("--line"), card: read("--card"), band: read("--band"), cold: read("--cold"), lines: read("--colours").split(" ") };
}

const plain = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;");

function bands(colour) {
  return {
    shapes: page.bands.map((band) => ({
      type: "rect", xref: "x", yref: "paper", x0: band.start, x1: band.end, y0: 0, y1: 1, layer: "below", line: { width: 0 }, fillcolor: colour.band,
    })),
    annotations: page.bands.map((band) => ({
      x: (band.start + band.end) / 2, y: 1, xref: "x", yref: "paper", yanchor: "bottom", showarrow: false, text: band.name, font: { size: 11, color: colour.text },
    })),
  };
}

// Thresholds near the data; one far above it would press the lines to the ground.
function visibleLimits(figure) {
  const values = figure.traces.filter((trace) => !trace.unit || trace.unit === figure.unit).flatMap((trace) => trace.y);
  const highest = values.reduce((high, value) => (value === null ? high : Math.max(high, value)), 0);
  return (figure.limits || []).filter((limit) => limit.above <= highest * 1.05);
}

function lines(figure, colour) {
  const axis = { gridcolor: colour.line, zeroline: false, rangemode: "tozero", automargin: true };
  const second = figure.traces.find((trace) => trace.unit && trace.unit !== figure.unit);
  const data = figure.traces.map((trace) => ({
    type: "scatter", mode: trace.x.length < 3 ? "lines+markers" : "lines", line: { width: 1.6 }, cliponaxis: false, name: plain(trace.name || figure.title),
    x: trace.x, y: trace.y, yaxis: second && trace.unit === second.unit ? "y2" : "y",
  }));
  const layout = { ...bands(colour), showlegend: figure.legend && data.length > 1, yaxis: { ...axis, ...format(figure.unit) } };
  const limits = visibleLimits(figure);
  layout.shapes = [...layout.shapes, ...limits.map((limit) => ({
    type: "line", xref: "paper", yref: "y", x0: 0, x1: 1, y0: limit.above, y1: limit.above, line: { dash: "dash", width: 1.2, color: colour[limit.colour] },
  }))];
  for (const mark of figure.marks) {
    layout.shapes.push({ type: "line", xref: "x", yref: "paper", x0: mark.at, x1: mark.at, y0: 0, y1: 1, line: { width: 2, dash: "dot", color: colour.red } });
    layout.annotations.push({ x: mark.at, y: 0.98, xref: "x", yref: "paper", xanchor: "left", yanchor: "top", xshift: 4, showarrow: false, text: plain(mark.text), font: { size: 12, color: colour.red } });
  }
  if (second) layout.yaxis2 = { ...axis, ...format(second.unit), overlaying: "y", side: "right", showgrid: false, tickmode: "auto" };
  return { data, layout };
}

function heatmap(figure, colour) {
  const times = [...new Set(figure.traces.flatMap((trace) => trace.x.filter((x) => x !== null)))].sort((a, b) => a - b);
  const rows = figure.traces.map((trace) => {
    const at = new Map(trace.x.map((x, index) => [x, trace.y[index]]));
    return times.map((time) => at.get(time) ?? null);
  });
  const [tick, suffix] = FORMATS[figure.unit] || PLAIN;
  const data = [{
    type: "heatmap", x: times, y: figure.traces.map((trace) => plain(trace.name)), z: rows, hoverongaps: false,
    colorscale: [[0, colour.cold], [0.4, "#6ea3dd"], [0.75, "#e08a4f"], [1, "#b3261e"]],
    colorbar: { thickness: 10, outlinewidth: 0, tickformat: tick, ticksuffix: suffix, tickfont: { color: colour.text, size: 11 } },
  }];
  return { data, layout: { yaxis: { type: "category", automargin: true } } };
}

// A point with its interval for each figure, and a line at "no change".
function intervals(figure, colour) {
  const paint = { worse: colour.red, better: colour.green };
  const data = [{
    type: "scatter", mode: "markers", x: figure.traces.map((trace) => trace.y[1]), y: figure.traces.map((trace) => plain(trace.name)),
    marker: { size: 8, color: figure.traces.map((trace) => paint[trace.unit] || colour.text) }, hovertemplate: "%{y}: %{x:+.1%}<extra></extra>",
    error_x: {
      type: "data", symmetric: false, thickness: 1.4, width: 3, color: colour.text,
      array: figure.traces.map((trace) => trace.y[2] - trace.y[1]), arrayminus: figure.traces.map((trace) => trace.y[1] - trace.y[0]),
    },
  }];
  const none = { type: "line", xref: "x", yref: "paper", x0: 0, x1: 0, y0: 0, y1: 1, line: { width: 1, color: colour.text } };
  const layout = {
    shapes: [none], hovermode: "closest", yaxis: { type: "category", automargin: true, dtick: 1 },
    xaxis: { type: "linear", tickformat: "+.0%", gridcolor: colour.line, zeroline: false, automargin: true },
  };
  return { data, layout };
}

const KINDS = { heatmap, intervals, lines };

function draw(node) {
  const figure = figures.get(node.dataset.figure);
  const colour = colours();
  if (figure.kind === "intervals") node.style.height = `${60 + 24 * figure.traces.length}px`;
  const { data, layout } = KINDS[figure.kind](figure, colour);
  const house = {
    margin: { l: 8, r: 12, t: 18, b: 8 }, paper_bgcolor: colour.card, plot_bgcolor: colour.card, colorway: colour.lines,
    font: { color: colour.text, size: 12, family: getComputedStyle(document.body).fontFamily },
    hovermode: figure.kind === "heatmap" ? "closest" : "x unified", hoverlabel: { bgcolor: colour.card, bordercolor: colour.line, font: { color: colour.text } },
    legend: { orientation: "h", y: -0.16, yanchor: "top", x: 0, font: { size: 11 } },
    xaxis: {
      type: "date", gridcolor: colour.line, automargin: true, tickformat: "%H:%M:%S", hoverformat: "%H:%M:%S",
      tickangle: 0, nticks: node.clientWidth > 420 ? 7 : figure.kind === "heatmap" ? 2 : 4, ticks: "outside", ticklen: 6, tickcolor: "transparent",
    },
  };
  drawn.add(node);
  return Plotly.react(node, data, { ...house, ...layout }, { displayModeBar: false, responsive: true });
}

const nodes = [...document.querySelectorAll(".plot")];
const watcher = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (entry.isIntersecting) {
      watcher.unobserve(entry.target);
      draw(entry.target);
    }
  }
}, { rootMargin: "600px" });
nodes.forEach((node) => watcher.observe(node));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawn.forEach(draw));
addEventListener("beforeprint", () => nodes.forEach(draw));

function sortBy(table, column, descending) {
  const key = (row) => {
    const cell = row.cells[column];
    const text = cell.dataset.sort ?? cell.textContent.trim();
    return text !== "" && !Number.isNaN(Number(text)) ? Number(text) : text;
  };
  const rows = [...table.tBodies[0].rows].map((row) => [key(row), row]);
  const numbers = rows.every(([value]) => typeof value === "number");
  rows.sort(([x], [y]) => (descending ? -1 : 1) * (numbers ? x - y : String(x).localeCompare(String(y))));
  table.tBodies[0].append(...rows.map(([, row]) => row));
}

for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => head.querySelector("button")?.addEventListener("click", () => {
    const descending = head.getAttribute("aria-sort") === "ascending";
    heads.forEach((other) => other.hasAttribute("aria-sort") && other.setAttribute("aria-sort", "none"));
    head.setAttribute("aria-sort", descending ? "descending" : "ascending");
    sortBy(table, column, descending);
  }));
}
