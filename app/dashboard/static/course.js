// How a run went: its estimate and the interval around it narrowing, from the points that the page brings on; `add`
// draws what comes while it runs.
"use strict";

globalThis.course = (() => {
  const box = document.querySelector("[data-chart]");
  if (!box || typeof uPlot === "undefined") return { add() {} };
  const [reported, margin] = [Number(box.dataset.reported), Number(box.dataset.margin)];
  const scaled = box.dataset.unit === "percent" ? 100 : 1;
  const shown = Number(box.dataset.digits) + (scaled === 100 ? 0 : 2);
  const whole = new Intl.NumberFormat("en");
  const data = JSON.parse(box.dataset.points);
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  let plot = null;
  // The first examples say next to nothing: an axis that held their interval would flatten all that follows. Who draws
  // across a part of the chart sees that part whole.
  const BEGINNING = 0.1;
  function extent(u, low, high) {
    const [from, to] = u.series[0].idxs;
    const newest = data[0].length - 1;
    const later = data[0].findIndex((done) => done >= BEGINNING * data[0][newest]);
    const seen = from === 0 && to === newest ? [...data[2].slice(later), ...data[3].slice(later)] : [low, high];
    return [Math.min(...seen, (reported - 1.5 * margin) * scaled), Math.max(...seen, (reported + 1.5 * margin) * scaled)];
  }
  // Where nothing is pointed at, the legend says how it stands.
  const rest = (u) => { if (!(u.cursor.left >= 0)) u.setLegend({ idx: data[0].length - 1 }); };
  function options(width) {
    const axis = { stroke: colour("--muted"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line"), width: 1 } };
    const digits = scaled === 100 ? 1 : 3;
    return {
      width, height: 280,
      scales: { x: { time: false }, y: { range: extent } },
      series: [
        { label: "examples", value: (_, value) => (value === null || value === undefined ? "–" : whole.format(value)) },
        { label: "estimate", stroke: colour("--ok"), width: 2, points: { show: data[0].length < 30 } },
        { label: "95 % from", stroke: colour("--span"), width: 1, points: { show: false } },
        { label: "95 % to", stroke: colour("--span"), width: 1, points: { show: false } },
      ].map((one) => ({ value: (_, value) => (value === null || value === undefined ? "–" : value.toFixed(shown)), ...one })),
      bands: [{ series: [3, 2], fill: `${colour("--span")}24` }],
      axes: [{ ...axis, label: "examples", labelSize: 22, values: (_, all) => all.map((one) => whole.format(one)) },
        { ...axis, size: 62, values: (_, all) => all.map((one) => one.toFixed(digits)) }],
      hooks: { ready: [rest], setCursor: [rest], setData: [rest], drawClear: [(u) => {
        const top = u.valToPos((reported + margin) * scaled, "y", true);
        const bottom = u.valToPos((reported - margin) * scaled, "y", true);
        const middle = u.valToPos(reported * scaled, "y", true);
        u.ctx.fillStyle = colour("--zone");
        u.ctx.fillRect(u.bbox.left, top, u.bbox.width, bottom - top);
        u.ctx.strokeStyle = colour("--edge");
        u.ctx.setLineDash([3 * devicePixelRatio, 3 * devicePixelRatio]);
        for (const edge of [top, bottom]) {
          u.ctx.beginPath();
          u.ctx.moveTo(u.bbox.left, edge);
          u.ctx.lineTo(u.bbox.left + u.bbox.width, edge);
          u.ctx.stroke();
        }
        u.ctx.setLineDash([]);
        u.ctx.fillStyle = colour("--fg");
        u.ctx.fillRect(u.bbox.left, middle, u.bbox.width, Math.max(1, devicePixelRatio));
      }] },
    };
  }
  function draw() {
    const host = box.querySelector(".plot");
    if (plot) plot.destroy();
    plot = new uPlot(options(host.clientWidth), data, host);
  }
  function show() {
    if (data[0].length < 2) return;
    box.hidden = false;
    if (plot && data[0].length !== 30) plot.setData(data); else draw();
  }
  show();
  addEventListener("resize", () => { if (plot) draw(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { if (plot) draw(); });
  return {
    add(run) {
      if (!run.estimate || run.progress.done <= (data[0][data[0].length - 1] ?? 0)) return;
      [run.progress.done, run.estimate.value * scaled, ...run.estimate.interval_95.map((one) => one * scaled)]
        .forEach((value, index) => data[index].push(value));
      show();
    },
  };
})();

