// Lines over time, by uPlot (vendored, MIT). Their cursors move together.

/* global uPlot */

import { h } from "./dom.js";

const SYNC = "streamgauge";
const HEIGHT = 150;

export class Lines {
  /** `series`: [{label, colour (a CSS variable), step?}]; `unit(value)` writes a value. */
  constructor(title, series, unit) {
    this.root = h("figure", { class: "lines" }, h("figcaption", {}, title));
    this.series = series;
    this.unit = unit;
    this.data = [[], ...series.map(() => [])];
    this.theme = matchMedia("(prefers-color-scheme: dark)");
    this.themed = () => this.#make();
    this.theme.addEventListener("change", this.themed);
    this.resized = new ResizeObserver(() => this.#resize());
    this.resized.observe(this.root);
  }

  close() {
    this.theme.removeEventListener("change", this.themed);
    this.resized.disconnect();
    this.plot?.destroy();
  }

  /** `times` in milliseconds; one list of numbers or nulls per series. */
  set(times, ...values) {
    this.data = [times.map((at) => at / 1000), ...values];
    if (this.plot) this.plot.setData(this.data);
    else this.#make();
  }

  /** Shows where the reader is in the heatmap. */
  pointAt(column) {
    if (!this.plot) return;
    const left = column === null ? -10 : this.plot.valToPos(this.data[0][column], "x");
    this.plot.setCursor({ left, top: 10 });
  }

  #resize() {
    const width = this.root.clientWidth;
    if (this.plot && width > 0 && width !== this.plot.width) this.plot.setSize({ width, height: HEIGHT });
    else if (!this.plot) this.#make();
  }

  #make() {
    const width = this.root.clientWidth;
    if (width === 0) return;
    this.plot?.destroy();
    const styles = getComputedStyle(this.root);
    const colour = (name) => styles.getPropertyValue(name).trim();
    const axis = { stroke: colour("--muted"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: "11px system-ui, sans-serif" };
    const write = (_, value) => (value === null || value === undefined ? "–" : this.unit(value));
    const series = this.series.map(({ label, colour: of, step }) => ({
      label, stroke: colour(of), width: 1.5, value: write, points: { show: false },
      paths: step ? uPlot.paths.stepped({ align: 1 }) : undefined,
    }));
    this.plot = new uPlot({
      width, height: HEIGHT,
      cursor: { sync: { key: SYNC }, y: false },
      series: [{ value: "{HH}:{mm}:{ss}" }, ...series],
      scales: { y: { range: (_, low, high) => [Math.min(0, low ?? 0), Math.max(high ?? 0, 1e-3) * 1.05] } },
      axes: [{ ...axis, values: [[3600, "{HH}:{mm}"], [60, "{HH}:{mm}"], [1, "{HH}:{mm}:{ss}"]], size: 24 },
        { ...axis, size: 64, values: (_, ticks) => ticks.map((tick) => this.unit(tick)) }],
    }, this.data, this.root);
  }
}
