// Options of uPlot for a chart: scales, axes, lines, areas, marks, and the shared zoom.

export const HEIGHT = 172;

const MOST_DOTS = 100; // more would overlap
const LEAST_DRAG_PX = 5;
const SMOOTHED_FROM = "40"; // hex opacity of a raw curve behind its smoothed line
const AREA = "59"; // hex opacity of an area
const SHARED = new Set(["mousemove", "mouseleave"]); // the cursor is shared by all charts, a drag is not

/** `props()`: the Chart's current props, since zoom, marks and log change during the plot's life. */
export function plotOptions(props, { width, hover }) {
  const { chart, axis } = props();
  const css = getComputedStyle(document.documentElement);
  const colour = (name) => css.getPropertyValue(name).trim();
  const scale = {
    stroke: colour("--muted"),
    grid: { stroke: colour("--line"), width: 1 },
    ticks: { show: false },
    font: "11px system-ui, sans-serif",
  };
  return {
    width,
    height: HEIGHT,
    padding: [10, 12, 0, 0],
    legend: { show: false },
    cursor: cursor(props),
    scales: {
      x: { time: false, range: () => props().zoom ?? [0, Math.max(1, ...props().place([props().log.lastStep]))] },
      y: { range: (_, low, high) => chart.range ?? roomy(low, high) },
    },
    axes: [
      { ...scale, size: 28, gap: 6, space: 60, incrs: axis.between, values: (_, splits) => splits.map(axis.ticks) },
      { ...scale, size: 52, gap: 6, space: 32, values: (_, splits) => splits.map((split) => chart.format(split)) },
    ],
    ...lines(props(), colour),
    hooks: { setCursor: [hover], setSelect: [(plot) => zoomTo(plot, props())], draw: [(plot) => mark(plot, props(), colour)] },
  };
}

const cursor = (props) => ({
  y: false,
  drag: { x: Boolean(props().onZoom), y: false, setScale: false, dist: LEAST_DRAG_PX },
  bind: { dblclick: () => () => props().onZoom?.(null) },
  sync: { key: "charts", scales: ["x", null], filters: { pub: (type) => SHARED.has(type) } },
  points: { size: 6 },
});

function lines({ chart, log, weight }, colour) {
  const line = (series) => ({ stroke: colour(series.colour), width: 1.75, spanGaps: true });
  if (chart.stacked) {
    const areas = chart.series.map((series) => ({ ...line(series), width: 1, fill: colour(series.colour) + AREA, points: { show: false } }));
    return { series: [{}, ...areas], bands: areas.slice(1).map(({ fill }, i) => ({ series: [i + 2, i + 1], fill })) };
  }
  const dots = ({ name }) => (chart.dots && log.curves.get(name)?.length <= MOST_DOTS) || undefined;
  const curves = chart.series.map((series) => ({
    ...line(series), points: { size: 5, fill: colour(series.colour), show: dots(series) } }));
  if (!weight || chart.dots) return { series: [{}, ...curves] };
  const behind = chart.series.map((series) => ({
    ...line(series), stroke: colour(series.colour) + SMOOTHED_FROM, width: 1, points: { show: false } }));
  return { series: [{}, ...curves, ...behind] };
}

/** The dragged range; a click is not a drag. */
function zoomTo(plot, { onZoom }) {
  const { left, width } = plot.select;
  if (width < LEAST_DRAG_PX) return;
  plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
  onZoom([left, left + width].map((pixel) => plot.posToVal(pixel, "x")));
}

/** A dashed line where an attempt resumed a run. */
function mark({ ctx, bbox, scales, valToPos }, { marks = [], place }, colour) {
  ctx.save();
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash([4 * devicePixelRatio, 3 * devicePixelRatio]);
  for (const { step, isFault } of marks) {
    const [at] = place([step]);
    if (at < scales.x.min || at > scales.x.max) continue;
    const x = Math.round(valToPos(at, "x", true)) + (ctx.lineWidth % 2) / 2; // sharp: whole pixels
    ctx.strokeStyle = colour(isFault ? "--bad" : "--muted");
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
  }
  ctx.restore();
}

/** The range from zero (or the lowest negative value) to slightly above the highest value. */
function roomy(low, high) {
  const [bottom, top] = [Math.min(0, low ?? 0), Math.max(0, high ?? 0)];
  return [bottom, top + (top - bottom || 1) * 0.08];
}
