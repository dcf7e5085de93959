// How fast the page is: `node measure.mjs TOOLS URL`. Prints what a reader waits for, in milliseconds.
import { execFileSync } from "node:child_process";
import { createRequire } from "node:module";
import { join } from "node:path";

const [tools, url] = process.argv.slice(2);
const puppeteer = createRequire(join(tools, "node_modules", "anything.js"))("puppeteer-core");
const executablePath = execFileSync("which", ["chromium"], { encoding: "utf8" }).trim();
const browser = await puppeteer.launch({ executablePath, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
const middle = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
const line = (what, values) => console.log(`${what.padEnd(44)} ${middle(values).toFixed(1).padStart(8)} ${Math.max(...values).toFixed(1).padStart(8)}`);

const [loads, draws, frames] = [[], [], []];
for (let round = 0; round < 5; round += 1) {
  const page = await browser.newPage();
  await page.setViewport({ width: 1280, height: 900 });
  await page.goto(url);
  await page.waitForFunction(() => performance.getEntriesByName("heatmap").length > 0, { timeout: 60_000 });
  loads.push(await page.evaluate(() => performance.getEntriesByName("heatmap")[0].startTime));
  // Over the heatmap, a place per frame: the time from one frame to the next, and of that what drawing takes.
  const seen = await page.evaluate(async () => {
    const canvas = document.querySelector("canvas.heatmap");
    const box = canvas.getBoundingClientRect();
    performance.clearMeasures();
    const times = [];
    for (let n = 0; n < 60; n += 1) {
      const clientX = box.left + 100 + ((n * 17) % (box.width - 120));
      const clientY = box.top + 10 + ((n * 29) % (box.height - 60));
      canvas.dispatchEvent(new PointerEvent("pointermove", { clientX, clientY, bubbles: true }));
      times.push(await new Promise(requestAnimationFrame));
    }
    const drawn = performance.getEntriesByName("heatmap").map((entry) => entry.duration);
    return { drawn, frames: times.slice(1).map((time, n) => time - times[n]) };
  });
  draws.push(...seen.drawn);
  frames.push(...seen.frames);
  await page.close();
}
console.log(`${"ms".padEnd(44)} ${"p50".padStart(8)} ${"max".padStart(8)}`);
line("from opening to the heatmap", loads);
line("drawing it anew, with the crosshair", draws);
line("from frame to frame while the pointer moves", frames);
await browser.close();
