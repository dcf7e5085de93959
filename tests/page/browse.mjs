// The page in headless Chromium: `node browse.mjs TOOLS SCENARIO BASE [FOLDER]`. TOOLS holds node_modules with puppeteer-core and
// axe-core. Ends with 1 and says what was wrong. Waits with deadlines, never for a fixed time.
import { execFileSync } from "node:child_process";
import { createRequire } from "node:module";
import { join } from "node:path";

const [tools, scenario, base, folder] = process.argv.slice(2);
const require = createRequire(join(tools, "node_modules", "anything.js"));
const puppeteer = require("puppeteer-core");
const axe = require("axe-core").source;

const VIEWS = ["", "#/group/demo", "#/decision/demo", "#/service", "#/config"];
const DEADLINE = 30_000;
const faults = [];
const check = (holds, text) => { if (!holds) faults.push(text); };

const executablePath = execFileSync("which", ["chromium"], { encoding: "utf8" }).trim();
const browser = await puppeteer.launch({ executablePath, args: ["--no-sandbox", "--disable-dev-shm-usage"] });

async function open(path, { width = 1280, mode = "light", quiet = false, login = null } = {}) {
  const page = await browser.newPage();
  if (login !== null) await page.authenticate({ username: "anyone", password: login });
  page.setDefaultTimeout(DEADLINE);
  await page.setViewport({ width, height: 900 });
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: mode }]);
  page.on("pageerror", (error) => faults.push(`${path}: ${error.message}`));
  // Reading pixels back is only done here.
  const isOurs = (message) => message.text().includes("willReadFrequently");
  page.on("console", (message) => { if (!quiet && !isOurs(message) && ["error", "warn"].includes(message.type())) faults.push(`${path}: console: ${message.text()}`); });
  page.on("request", (request) => check(request.url().startsWith(base) || request.url().startsWith("data:"), `${path}: asks elsewhere: ${request.url()}`));
  await page.goto(base + path);
  return page;
}

const text = (page, selector) => page.$eval(selector, (element) => element.innerText);
const until = (page, condition, ...values) => page.waitForFunction(condition, { polling: 100 }, ...values);
/** A view is drawn when its tables, or its text, are there. */
const drawn = (page) => until(page, () => document.querySelector("#live[data-state=live]") && document.querySelector("main table, main pre"));

async function violations(page) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document));
  return violations.map((v) => `${v.id}: ${v.nodes.map((node) => node.html.slice(0, 120)).join(" | ")}`);
}

const SCENARIOS = {
  /** Every view, light and dark, wide and narrow: drawn, within its width, accessible. */
  async views() {
    for (const [width, mode] of [[1280, "light"], [1280, "dark"], [390, "light"], [390, "dark"]]) {
      for (const path of VIEWS) {
        const where = `${path} at ${width} px, ${mode}`;
        const page = await open(path, { width, mode });
        await drawn(page);
        const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        check(over <= 0, `${where}: ${over} px wider than the window`);
        for (const found of await violations(page)) faults.push(`${where}: ${found}`);
        if (folder) await page.screenshot({ path: join(folder, `${path.replace(/[#/]+/g, "") || "groups"}-${mode}-${width}.png`), fullPage: true });
        await page.close();
      }
    }
  },

  /** What a reader does: sees it change by itself, follows links, moves over the heatmap by keyboard, reads why. */
  async reader() {
    const page = await open("");
    await drawn(page);
    await page.click("main tbody a");
    await until(page, () => document.querySelector("canvas.heatmap")?.height > 100 && document.querySelectorAll(".uplot").length === 3);
    const arrivals = await text(page, ".tiles");
    await until(page, (before) => document.querySelector(".tiles").innerText !== before, arrivals);
    // Colours: something was drawn that is neither background nor hatch.
    await until(page, () => {
      const canvas = document.querySelector("canvas.heatmap");
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      const seen = new Set();
      for (let n = 0; n < data.length; n += 4) if (data[n + 3] === 255) seen.add((data[n] << 16) | (data[n + 1] << 8) | data[n + 2]);
      return seen.size > 8;
    });
    await page.focus("canvas.heatmap");
    await page.keyboard.press("End");
    await page.keyboard.press("ArrowDown");
    const readout = await text(page, ".readout");
    check(/^Partition 1 · \d\d:\d\d:\d\d · backlog [\d,]+/.test(readout), `readout by keyboard: ${readout}`);
    for (const [measure, wanted] of [["age", /oldest age [\d.]+ (s|ms|min)/], ["rate", /arrivals [\d.,]+\/s/], ["share", /share of arrivals [\d.]+ %/]]) {
      await page.select("#measure", measure);
      await page.focus("canvas.heatmap");
      let said = "";
      const deadline = Date.now() + DEADLINE;
      while (!wanted.test(said) && Date.now() < deadline) {
        await page.keyboard.press("End");
        await page.keyboard.press("ArrowLeft");
        said = await text(page, ".readout");
      }
      check(wanted.test(said), `${measure}: ${said}`);
    }
    await page.click("details summary");
    await until(page, () => document.querySelectorAll("details tbody tr").length === 16);
    // Focus stays where it is while everything is live.
    await page.click(".tabs a:last-child");
    await until(page, () => document.querySelector(".ladder"));
    await page.focus(".tabs a");
    const sentence = await text(page, ".sentence");
    await until(page, (before) => document.querySelector(".sentence").innerText !== before, sentence);
    check(await page.evaluate(() => document.activeElement.matches(".tabs a")), "focus is lost by an update");
    const steps = await page.$$eval(".ladder tbody tr", (rows) => rows.map((row) => row.innerText));
    check(steps.filter((step) => step.includes("decides")).length === 1, `one step decides: ${steps.join(" / ")}`);
    check(/^\d+ replicas?/.test(await text(page, ".headline")), "a headline");
    check((await text(page, "main")).includes("KEDA gets"), "what KEDA gets");
    await page.goto(`${base}#/config`);
    await until(page, () => document.querySelector("#scaled-object")?.textContent.includes("kind: ScaledObject"));
    await page.click("[data-copy=scaled-object]");
    check((await page.evaluate(() => getSelection().toString())).includes("scalerAddress"), "the ScaledObject is selected");
  },

  /** Behind a login: nothing without the token, everything with it. */
  async login() {
    const stranger = await open("", { quiet: true, login: "wrong" });
    check((await text(stranger, "body")).includes("log in"), "a wrong token shows the page");
    const page = await open("#/group/billing", { login: "s3cret" });
    await drawn(page);
  },

  /** Says `seen`; once there are more messages, goes back to what was seen, by the control, by links and by the address alone. */
  async past() {
    const page = await open("#/group/billing");
    await drawn(page);
    await until(page, () => document.querySelector(".tiles").innerText.includes("7\n"));
    const then = Math.ceil(Date.now() / 1000) * 1000;
    await until(page, (time) => Date.now() > time + 500, then);
    console.log("seen");
    await until(page, () => document.querySelector(".tiles").innerText.includes("73"));
    await page.$eval("#time", (input, time) => {
      const local = new Date(time - new Date(time).getTimezoneOffset() * 60_000);
      input.value = local.toISOString().slice(0, 19);
    }, then);
    await page.click("#choose button");
    const isThen = (of) => until(of, () => !document.querySelector("#banner").hidden && document.querySelector("#live").dataset.state === "past" && document.querySelector(".tiles")?.innerText.includes("7\n"));
    await isThen(page);
    check((await text(page, "#banner")).includes("As it was at"), "the banner says so");
    await until(page, () => document.querySelector("canvas.heatmap").height > 100 && document.querySelectorAll(".uplot").length === 3);
    // From when on there is a picture.
    await until(page, () => [...document.querySelectorAll(".warning")].some((warning) => warning.innerText.includes("no polls before")));
    const address = await page.evaluate(() => location.href);
    for (const [width, mode] of [[1280, "light"], [1280, "dark"], [390, "light"], [390, "dark"]]) {
      for (const view of ["", "group", "decision"]) {
        const other = await open(view === "" ? `#/?at=${new Date(then).toISOString()}` : `#/${view}/billing?at=${new Date(then).toISOString()}`, { width, mode });
        await until(other, () => document.querySelector("main table"));
        if (view === "group") await isThen(other);
        const where = `the past of ${view || "groups"} at ${width} px, ${mode}`;
        const over = await other.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        check(over <= 0, `${where}: ${over} px wider than the window`);
        for (const found of await violations(other)) faults.push(`${where}: ${found}`);
        if (folder) await other.screenshot({ path: join(folder, `past-${view || "groups"}-${mode}-${width}.png`), fullPage: true });
        await other.close();
      }
    }
    const shared = await open(address.slice(base.length));
    await isThen(shared);
    await shared.close();
    await page.click(".tabs a:last-child");
    await until(page, () => document.querySelector(".ladder") && document.querySelector("main").innerText.includes("7 wait"));
    const moments = await page.$$eval("a[title='Open this moment']", (links) => links.map((link) => link.getAttribute("href")));
    check(moments.length > 0 && moments.every((moment) => /^#\/decision\/billing\?at=/.test(moment)), `links to moments: ${moments}`);
    await page.click("a[title='Open this moment']");
    await until(page, (moment) => location.hash === moment && document.querySelector(".ladder"), moments[0]);
    await page.evaluate(() => { location.hash = "#/"; });
    await until(page, () => document.querySelector("#banner").hidden && document.querySelector("#live").dataset.state === "live" && document.querySelector("main table"));
    const early = await open("#/group/billing?at=2001-01-01T00:00:00.000Z", { quiet: true });
    await until(early, () => document.querySelector("main").innerText.includes("the journal of billing goes from"));
  },

  /** Says `live`, `lost` and `live again` as the page does; the caller stops and starts the service in between. */
  async restart() {
    const page = await open("#/group/billing", { quiet: true });
    await drawn(page);
    console.log("live");
    await until(page, () => document.querySelector("#live").dataset.state === "lost");
    console.log("lost");
    await until(page, () => document.querySelector("#live").dataset.state === "live" && document.querySelector(".tiles").innerText.includes("73"));
    console.log("live again");
  },
};

try {
  await SCENARIOS[scenario]();
} catch (error) {
  faults.push(`${scenario}: ${error.stack}`);
} finally {
  await browser.close();
}
if (faults.length > 0) {
  console.error([...new Set(faults)].join("\n"));
  process.exitCode = 1;
}
