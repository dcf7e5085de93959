// Elements from data, and new ones laid over old ones so that focus, selection and scroll position stay.

/** An element; attributes whose value is null or false are left out. */
export function h(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Makes the children of `parent` what is given, touching only what differs. */
export function show(parent, ...children) {
  const wanted = document.createElement(parent.tagName);
  wanted.append(...children.flat(Infinity).filter((child) => child));
  morphChildren(parent, wanted);
}

function morphChildren(from, to) {
  const old = [...from.childNodes];
  const fresh = [...to.childNodes];
  fresh.forEach((node, n) => {
    if (n >= old.length) from.append(node);
    else if (!sameKind(old[n], node)) old[n].replaceWith(node);
    else if (node.nodeType === Node.TEXT_NODE) {
      if (old[n].data !== node.data) old[n].data = node.data;
    } else {
      morphAttributes(old[n], node);
      morphChildren(old[n], node);
    }
  });
  old.slice(fresh.length).forEach((node) => node.remove());
}

function sameKind(a, b) {
  return a.nodeType === b.nodeType && a.nodeName === b.nodeName && a.dataset?.key === b.dataset?.key;
}

function morphAttributes(from, to) {
  for (const { name } of [...from.attributes]) {
    // Whether a part is unfolded is the reader's choice.
    if (!to.hasAttribute(name) && name !== "open") from.removeAttribute(name);
  }
  for (const { name, value } of to.attributes) {
    if (from.getAttribute(name) !== value) from.setAttribute(name, value);
  }
}

/** A table; `columns` are [heading, class] and `rows` lists of cells. */
export function table(caption, columns, rows, attributes) {
  const head = h("tr", {}, columns.map(([name, kind]) => h("th", { scope: "col", class: kind }, name)));
  const line = (cells) =>
    h("tr", {}, cells.map((cell, n) => (n === 0 ? h("th", { scope: "row", class: columns[n][1] }, cell) : h("td", { class: columns[n][1] }, cell))));
  // Scrolled sideways on a phone, also by keyboard.
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    h("table", attributes, h("caption", {}, caption), h("thead", {}, head), h("tbody", {}, rows.map(line))));
}

/** A short word whose colour says how grave it is; the word itself says it, too. */
export function chip(word, gravity) {
  return h("span", { class: `chip ${gravity}` }, word);
}

/** A button that copies the text of the element of that id. */
export function copyButton(id, what) {
  return h("button", { type: "button", "data-copy": id, "aria-label": `Copy ${what}` }, "Copy");
}
