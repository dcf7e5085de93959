// Colours of the heatmap: lightness grows, or falls, evenly, so that they can be told apart without hue, in print, and by most
// who see colours otherwise.

const DARK = ["#20242e", "#3c2468", "#782a86", "#b83c72", "#e76748", "#f9a93a", "#fbf3a5"];
const LIGHT = ["#eeece6", "#f9dfa2", "#f7b160", "#e8774d", "#c44462", "#872a72", "#3d1456"];

/** Whether the reader has it dark. */
export const isDark = () => matchMedia("(prefers-color-scheme: dark)").matches;

const channels = (colour) => [1, 3, 5].map((at) => Number.parseInt(colour.slice(at, at + 2), 16));

/** The colour at `share` of the way, 0 to 1, as [red, green, blue]. */
export function colourAt(share, dark = isDark()) {
  const stops = dark ? DARK : LIGHT;
  const place = Math.min(Math.max(share, 0), 1) * (stops.length - 1);
  const below = Math.min(Math.floor(place), stops.length - 2);
  const [a, b] = [channels(stops[below]), channels(stops[below + 1])];
  return a.map((value, n) => Math.round(value + (b[n] - value) * (place - below)));
}

/** 256 colours as little-endian RGBA, for ImageData. */
export function lookUp(dark = isDark()) {
  const colours = new Uint32Array(256);
  for (let n = 0; n < 256; n += 1) {
    const [r, g, b] = colourAt(n / 255, dark);
    colours[n] = (255 << 24) | (b << 16) | (g << 8) | r;
  }
  return colours;
}
