// The configuration in force, and a ScaledObject to start from. Secrets are named by where they are.

import { copyButton, h, show } from "../dom.js";

export function openConfig(main, app) {
  const body = h("div");
  main.append(h("h1", {}, "Config"), body);
  app.get("config").then(({ yaml, scaled_objects: objects }) => {
    const select = h("select", { id: "object-of" }, objects.map(({ group }, n) => h("option", { value: n }, group)));
    const object = h("pre", { id: "scaled-object", tabindex: "0", "aria-label": "ScaledObject" }, objects[0]?.yaml ?? "");
    select.addEventListener("change", () => { object.textContent = objects[Number(select.value)].yaml; });
    body.append(
      h("section", {}, h("div", { class: "controls" }, h("h2", {}, "Config in force"), copyButton("config-text", "the config")),
        h("p", { class: "muted" }, "Defaults are filled in. Of secrets, only the reference is shown."),
        h("pre", { id: "config-text", tabindex: "0", "aria-label": "Config" }, yaml)),
      objects.length > 0 && h("section", {}, h("div", { class: "controls" }, h("h2", {}, "ScaledObject for"), h("label", { for: "object-of" }, h("span", { class: "hidden" }, "Group"), select), copyButton("scaled-object", "the ScaledObject")), object));
  }).catch((error) => show(body, h("p", {}, error.message)));
  return {};
}
