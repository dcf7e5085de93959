// Partitions × time on a canvas. What is not known is hatched, never drawn as 0. Moved over by pointer and by arrow keys.

import { lookUp } from "./palette.js";
import { h } from "./dom.js";
import { clock } from "./format.js";

const TALLEST = 640;
const LEFT = 72;
const BELOW = 22;

export class Heatmap {
  /** `onMove(column, row)` is told where the reader is; both null when they leave. */
  constructor(label, onMove) {
    this.onMove = onMove;
    this.canvas = h("canvas", {
      class: "heatmap", tabindex: "0", role: "application", "aria-roledescription": "heatmap",
      "aria-label": label, "aria-describedby": "heatmap-help",
    });
    this.cross = null;
    this.grid = null;
    this.canvas.addEventListener("pointermove", (event) => this.#point(event));
    this.canvas.addEventListener("pointerdown", (event) => this.#point(event));
    this.canvas.addEventListener("pointerleave", () => this.moveTo(null));
    this.canvas.addEventListener("keydown", (event) => this.#key(event));
    this.canvas.addEventListener("blur", () => this.moveTo(null));
    this.resized = new ResizeObserver(() => this.draw());
    this.resized.observe(this.canvas);
    this.theme = matchMedia("(prefers-color-scheme: dark)");
    this.themed = () => this.draw();
    this.theme.addEventListener("change", this.themed);
  }

  close() {
    this.resized.disconnect();
    this.theme.removeEventListener("change", this.themed);
  }

  /**
   * `rows`: names. `times`: milliseconds of every column, evenly `step` apart but for gaps. `values[row][column]`: a number or
   * null. `top`: what the strongest colour stands for.
   */
  set({ rows, times, step, values, top }) {
    const first = times[0] ?? 0;
    // Columns stand where their time is, so that gaps are seen.
    const place = times.map((at) => Math.round((at - first) / step));
    const width = Math.max(1, (place.at(-1) ?? 0) + 1);
    const column = new Int32Array(width).fill(-1);
    place.forEach((x, n) => { column[x] = n; });
    this.grid = { rows, times, values, top, width, column };
    if (this.cross) this.cross = { x: Math.min(this.cross.x, width - 1), y: Math.min(this.cross.y, rows.length - 1) };
    this.draw();
  }

  /** Puts the crosshair on a column and row, or takes it away. */
  moveTo(cross) {
    this.cross = cross;
    this.draw();
    if (!cross) return this.onMove(null, null);
    const n = this.grid.column[cross.x];
    this.onMove(n < 0 ? null : n, cross.y);
  }

  draw() {
    const grid = this.grid;
    const box = this.canvas.clientWidth;
    if (!grid || box === 0) return;
    const began = performance.now();
    const scale = devicePixelRatio || 1;
    const count = Math.max(1, grid.rows.length);
    const tall = Math.round(Math.min(TALLEST, Math.max(120, count * 18)));
    const height = tall + BELOW;
    if (this.canvas.style.height !== `${height}px`) this.canvas.style.height = `${height}px`;
    const [wide, high] = [Math.round(box * scale), Math.round(height * scale)];
    if (this.canvas.width !== wide || this.canvas.height !== high) Object.assign(this.canvas, { width: wide, height: high });
    const context = this.canvas.getContext("2d");
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, box, height);
    this.area = { x: LEFT, y: 0, width: box - LEFT, height: tall };
    const styles = getComputedStyle(this.canvas);
    this.#hatch(context, styles);
    this.#cells(context, Math.floor(tall * scale));
    this.#labels(context, styles);
    this.#crosshair(context, styles);
    performance.measure("heatmap", { start: began });
  }

  #hatch(context, styles) {
    const { x, y, width, height } = this.area;
    const tile = new OffscreenCanvas(8, 8);
    const pen = tile.getContext("2d");
    pen.strokeStyle = styles.getPropertyValue("--hatch");
    pen.beginPath();
    for (const from of [-4, 0, 4]) { pen.moveTo(from * 2 - 1, 9); pen.lineTo(from * 2 + 9, -1); }
    pen.stroke();
    context.fillStyle = context.createPattern(tile, "repeat");
    context.fillRect(x, y, width, height);
  }

  /** Where there are more partitions than lines of the screen, a line shows the largest of its partitions. */
  #cells(context, lines) {
    const { rows, values, top, width, column } = this.grid;
    const high = Math.max(1, Math.min(rows.length, lines));
    const image = new ImageData(width, high);
    const pixels = new Uint32Array(image.data.buffer);
    const colours = lookUp();
    const strongest = new Float32Array(width * high).fill(-1);
    for (let row = 0; row < rows.length; row += 1) {
      const line = Math.floor((row * high) / rows.length) * width;
      const of = values[row];
      for (let x = 0; x < width; x += 1) {
        const n = column[x];
        if (n < 0) continue;
        const value = of[n];
        if (value !== null && value > strongest[line + x]) strongest[line + x] = value;
      }
    }
    // A root, so that small values are told from none.
    for (let n = 0; n < strongest.length; n += 1) {
      if (strongest[n] >= 0) pixels[n] = colours[top > 0 ? Math.min(255, Math.round(255 * Math.sqrt(strongest[n] / top))) : 0];
    }
    const drawn = new OffscreenCanvas(width, high);
    drawn.getContext("2d").putImageData(image, 0, 0);
    context.imageSmoothingEnabled = false;
    const { x, y, width: w, height } = this.area;
    context.drawImage(drawn, x, y, w, height);
  }

  #labels(context, styles) {
    const { rows, times, width, column } = this.grid;
    const { x, y, width: w, height } = this.area;
    context.fillStyle = styles.getPropertyValue("--muted");
    context.font = "11px system-ui, sans-serif";
    context.textAlign = "right";
    context.textBaseline = "middle";
    const every = Math.max(1, Math.ceil((rows.length * 14) / height));
    for (let row = 0; row < rows.length; row += every) {
      const name = rows[row].length > 10 ? `…${rows[row].slice(-9)}` : rows[row];
      context.fillText(name, x - 6, y + ((row + 0.5) * height) / rows.length);
    }
    context.textBaseline = "top";
    const marks = Math.max(2, Math.floor(w / 130));
    let before = -1;
    for (let mark = 0; mark <= marks; mark += 1) {
      const at = Math.round((mark * (width - 1)) / marks);
      const n = column[at];
      // Of few columns each is named once.
      if (n < 0 || n === before) continue;
      before = n;
      context.textAlign = mark === 0 ? "left" : mark === marks ? "right" : "center";
      context.fillText(clock(times[n]), x + ((at + 0.5) * w) / width, height + 6);
    }
  }

  #crosshair(context, styles) {
    if (!this.cross) return;
    const { rows, width } = this.grid;
    const { x, y, width: w, height } = this.area;
    const [cell, line] = [w / width, height / Math.max(1, rows.length)];
    const [left, top] = [x + this.cross.x * cell, y + this.cross.y * line];
    context.strokeStyle = styles.getPropertyValue("--text");
    context.lineWidth = 1;
    context.strokeRect(x, top, w, Math.max(line, 2));
    context.strokeRect(left, y, Math.max(cell, 2), height);
  }

  #point(event) {
    if (!this.grid || !this.area) return;
    const { x, y, width, height } = this.area;
    const [across, down] = [(event.offsetX - x) / width, (event.offsetY - y) / height];
    if (across < 0 || across >= 1 || down < 0 || down >= 1) return this.moveTo(null);
    this.moveTo({ x: Math.floor(across * this.grid.width), y: Math.floor(down * this.grid.rows.length) });
  }

  #key(event) {
    if (!this.grid || this.grid.rows.length === 0) return;
    const last = { x: this.grid.width - 1, y: this.grid.rows.length - 1 };
    const at = this.cross ?? { x: last.x, y: 0 };
    const to = {
      ArrowLeft: { ...at, x: at.x - 1 }, ArrowRight: { ...at, x: at.x + 1 },
      ArrowUp: { ...at, y: at.y - 1 }, ArrowDown: { ...at, y: at.y + 1 },
      PageUp: { ...at, y: at.y - 10 }, PageDown: { ...at, y: at.y + 10 },
      Home: { ...at, x: 0 }, End: { ...at, x: last.x }, Escape: null,
    }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const clamp = (value, most) => Math.min(Math.max(value, 0), most);
    this.moveTo(to && { x: clamp(to.x, last.x), y: clamp(to.y, last.y) });
  }
}
