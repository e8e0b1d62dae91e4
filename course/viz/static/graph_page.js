// La page d'un graphe : replier, ouvrir, chercher, rejouer la réécriture, lire les détails.
// Les données (`#donnees`) viennent de `course/viz/graph_page.py`. Ici : écrire, placer, tracer ; la
// suite est dans `graph_events.js`.

const doc = JSON.parse(document.getElementById("donnees").textContent);
const { fontSize: FONT_SIZE, small: SMALL, advance: ADVANCE, longest: LONGEST } = doc.metrics;
const SVG = "http://www.w3.org/2000/svg";
const NBSP = "\u00a0";
const RING = 5;
const PAD = 12; // blanc entre le cadre d'un graphe ouvert et son contenu
const HEAD = 26; // hauteur de son titre

const at = (id) => document.getElementById(id);
const canvas = at("dessin");
const view = at("vue");
const state = {
  frame: doc.frames.length - 1, folds: new Set(), opened: new Set(), groupBy: "group",
  edgeText: "types", heat: doc.profiled, selected: null, found: new Set(), x: 0, y: 0, k: 1,
};
const groupOf = (node) => (state.groupBy === "none" ? null : node[state.groupBy]);
const parents = new Map(); // nœud d'un graphe contenu -> l'op qui le contient
let drawn = new Map(); // ce qui est à l'écran : id -> { node, x, y, width, height, element }
let links = []; // les arêtes à l'écran

function frameData(rank) {
  const frame = doc.frames[rank];
  const lit = new Set(frame.lit);
  const nodes = frame.nodes.map((i) => doc.nodes[i])
    .map((node) => (lit.has(node.id) ? { ...node, lit: true } : node));
  return { nodes, edges: frame.edges.map((i) => doc.edges[i]) };
}

for (const node of doc.nodes) {
  const pending = [node];
  while (pending.length) {
    const owner = pending.pop();
    for (const inside of owner.inner ? owner.inner.nodes : []) {
      parents.set(inside.id, owner.id);
      pending.push(inside);
    }
  }
}

// ---- ce qui s'écrit ------------------------------------------------------------------------

const decimal = (number, digits = 3) =>
  String(Number(number.toPrecision(digits))).replace(".", ",");
const percent = (share) => (share > 0 && share < 1e-3 ? `<${NBSP}0,1${NBSP}%` : `${decimal(100 * share, 2)}${NBSP}%`);

function duration(seconds) {
  const [unit, scale] = seconds >= 1 ? ["s", 1] : seconds >= 1e-3 ? ["ms", 1e-3] : ["µs", 1e-6];
  return `${decimal(seconds / scale)}${NBSP}${unit}`;
}

function bytes(count) {
  const units = ["o", "ko", "Mo", "Go"];
  let rank = 0;
  while (count >= 1000 && rank < units.length - 1) { count /= 1000; rank += 1; }
  return `${decimal(count)}${NBSP}${units[rank]}`;
}

const shorten = (text) => (text.length <= LONGEST ? text : `${text.slice(0, LONGEST - 1)}…`);
const textWidth = (text, size) => ADVANCE * size * text.length;

function linesOf(node) {
  const label = shorten(node.label);
  if (state.heat && node.share !== undefined) return [label, percent(node.share)];
  if (node.kind === "apply" || !node.detail || node.detail === node.label) return [label];
  return [label, shorten(node.detail)];
}

function sizeOf(node, lines) {
  const width = Math.max(textWidth(lines[0], FONT_SIZE), 18,
    ...lines.slice(1).map((line) => textWidth(line, SMALL)));
  if (doc.kinds[node.kind].form === "ellipse") {
    return [1.2 * width + 22, lines.length > 1 ? 46 : 30];
  }
  return [width + 22 + (node.hidden ? 30 : 0), 18 * lines.length + 12];
}

function edgeLabel(edge, source) {
  if (state.edgeText === "none") return "";
  if (state.edgeText === "values") return shorten(edge.value || source.value || "");
  let text = edge.label || "";
  if (!["apply", "group"].includes(source.kind) && text.startsWith(source.detail || "")) {
    text = text.slice((source.detail || "").length).trim();
  }
  if (edge.argument) text = text ? `${text} → ${edge.argument}` : `→ ${edge.argument}`;
  return shorten(text);
}

function summary(node) {
  let text = `${doc.kinds[node.kind].label} ${node.label}`;
  if (node.detail && node.detail !== node.label) text += `, ${node.detail}`;
  if (node.hidden) text += `, cache ${node.hidden} nœuds`;
  if (node.inner) text += ", contient un graphe";
  if (node.lit) text += ", nœud modifié";
  if (node.copy) text += ", redessiné ici";
  return text[0].toUpperCase() + text.slice(1);
}

// Une feuille qui sert à beaucoup de nœuds est redessinée près de chacun : sinon, ses arêtes
// couvriraient tout le dessin.
const NEAR = 6;

function spreadLeaves({ nodes, edges }) {
  const users = new Map();
  const leaves = new Set(nodes.filter((node) =>
    ["input", "shared", "constant"].includes(node.kind)).map((node) => node.id));
  for (const { source, target } of edges) {
    if (!leaves.has(source)) continue;
    if (!users.has(source)) users.set(source, new Set());
    users.get(source).add(target);
  }
  const copies = new Map();
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const rewired = edges.map((edge) => {
    const all = users.get(edge.source);
    if (!all || all.size <= NEAR || all.values().next().value === edge.target) return edge;
    const id = `${edge.source} ${edge.target}`;
    copies.set(id, { ...byId.get(edge.source), id, copy: true });
    return { ...edge, source: id };
  });
  return { nodes: [...nodes, ...copies.values()], edges: rewired };
}

// ---- placer --------------------------------------------------------------------------------

// Un graphe ouvert est placé à part, puis tient lieu de boîte dans celui qui le contient : les
// étages se placent du plus profond au plus haut, sans récursion.
function placeAll(data) {
  const levels = [{ id: null, data }];
  for (let i = 0; i < levels.length; i++) {
    const level = levels[i];
    level.view = spreadLeaves(foldGraph(level.data, state.folds, groupOf));
    for (const node of level.view.nodes) {
      if (node.inner && state.opened.has(node.id)) levels.push({ id: node.id, data: node.inner });
    }
  }
  const placed = new Map();
  for (const level of [...levels].reverse()) {
    const byId = new Map(level.view.nodes.map((node) => [node.id, node]));
    level.lines = new Map(level.view.nodes.map((node) => [node.id, linesOf(node)]));
    level.sizes = new Map(level.view.nodes.map((node) => {
      const inner = placed.get(node.id);
      if (!inner) return [node.id, sizeOf(node, level.lines.get(node.id))];
      const title = textWidth(node.label, FONT_SIZE) + 40;
      return [node.id, [
        Math.max(inner.layout.width + 2 * PAD, title), inner.layout.height + HEAD + PAD]];
    }));
    level.texts = level.view.edges.map((edge) => edgeLabel(edge, byId.get(edge.source)));
    level.layout = layeredLayout(
      level.sizes,
      level.view.edges.map((edge) => [edge.source, edge.target]),
      level.texts.map((text) => (text ? [textWidth(text, SMALL) + 8, SMALL + 5] : null)),
    );
    placed.set(level.id, level);
  }
  return { levels, placed };
}

// ---- tracer --------------------------------------------------------------------------------

function make(tag, attributes, ...children) {
  const item = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) item.setAttribute(name, value);
  item.append(...children);
  return item;
}

const written = (x, y, text, size, css) => make("text", {
  x: x.toFixed(1), y: (y + 0.35 * size).toFixed(1), "text-anchor": "middle", "font-size": size,
  class: css,
}, text);

function shape(form, x, y, width, height, attributes) {
  if (form === "ellipse") {
    return make("ellipse", { cx: x, cy: y, rx: width / 2, ry: height / 2, ...attributes });
  }
  const rx = form === "pill" ? height / 2 : 6;
  return make("rect", { x: x - width / 2, y: y - height / 2, width, height, rx, ...attributes });
}

function outline(node, x, y, width, height) {
  const kind = doc.kinds[node.kind];
  const colour = `var(--chainage-${kind.concept})`;
  const open = state.opened.has(node.id) && node.inner;
  const form = open ? "box" : kind.form;
  const parts = [];
  if (node.lit || state.found.has(node.id)) {
    parts.push(shape(form, x, y, width + 2 * RING, height + 2 * RING,
      { class: node.lit ? "anneau modifie" : "anneau trouve" }));
  }
  const dash = kind.dash || (node.inner && !open ? "6 2" : "");
  const line = { class: "contour", stroke: colour, "stroke-width": kind.stroke, "stroke-dasharray": dash };
  const heat = state.heat && node.share !== undefined;
  const tint = open ? 0 : heat ? 0.06 + 0.54 * Math.sqrt(node.share) : form === "ellipse" ? 0 : 0.13;
  parts.push(shape(form, x, y, width, height, { class: "fond" }));
  parts.push(shape(form, x, y, width, height, {
    ...line, fill: heat ? "var(--chainage-gradient)" : colour, "fill-opacity": tint.toFixed(3) }));
  if (kind.double || (node.inner && !open)) {
    parts.push(shape(form, x, y, width - 8, height - 8, { fill: "none", stroke: colour }));
  }
  return parts;
}

function drawNode(node, lines, x, y, width, height) {
  const open = state.opened.has(node.id) && node.inner;
  const group = make("g", {
    class: "noeud", "data-id": node.id, tabindex: -1, role: "button", "aria-label": summary(node),
  }, ...outline(node, x, y, width, height));
  if (foldable(node)) group.setAttribute("aria-expanded", String(!isClosed(node)));
  const flat = doc.kinds[node.kind].form !== "ellipse";
  if (open) {
    group.append(written(x, y - height / 2 + 15, node.label, FONT_SIZE, "etiquette"));
  } else {
    const textX = x - (node.hidden && flat ? 15 : 0);
    const top = y - 9 * (lines.length - 1);
    group.append(written(textX, top, lines[0], FONT_SIZE, "etiquette"));
    for (const line of lines.slice(1)) group.append(written(textX, top + 18, line, SMALL, "type"));
  }
  if (node.hidden) {
    const text = `+${node.hidden}`;
    const bx = x + width / 2 - (flat ? 20 : 0);
    const by = y - (flat ? 0 : height / 2);
    const wide = textWidth(text, SMALL) + 8;
    group.append(shape("pill", bx, by, wide, 16, { class: "pastille" }), written(bx, by, text, SMALL, "type"));
  }
  return group;
}

function drawLevel(level, dx, dy, layer) {
  const { layout, view: shown } = level;
  shown.edges.forEach((edge, i) => {
    const path = make("path", {
      class: "arete", d: layout.paths[i], transform: `translate(${dx},${dy})`,
      "marker-end": "url(#fleche)",
    });
    layer.append(path);
    links.push({ edge, path });
  });
  shown.edges.forEach((_, i) => {
    const text = level.texts[i];
    const centre = layout.labelCentres[i];
    if (!text || !centre) return;
    const [x, y] = [centre[0] + dx, centre[1] + dy];
    layer.append(shape("box", x, y, textWidth(text, SMALL) + 2, 16, { class: "fond" }),
      written(x, y, text, SMALL, "discret"));
  });
  const next = [];
  for (const node of shown.nodes) {
    const [cx, cy] = layout.centres.get(node.id);
    const [width, height] = level.sizes.get(node.id);
    const [x, y] = [cx + dx, cy + dy];
    const element = drawNode(node, level.lines.get(node.id), x, y, width, height);
    layer.append(element);
    drawn.set(node.id, { node, x, y, width, height, element });
    if (node.inner && state.opened.has(node.id)) {
      next.push([node.id, x, y - height / 2 + HEAD, width]);
    }
  }
  return next;
}

let extent = [0, 0];

// Redessine ; le nœud `anchor` reste où il était à l'écran.
function draw(anchor = state.selected) {
  const before = drawn.get(anchor);
  const { levels, placed } = placeAll(frameData(state.frame));
  drawn = new Map();
  links = [];
  const layer = make("g", {});
  const root = levels[0].layout;
  extent = [root.width, root.height];
  const queue = [[null, root.width / 2, 0, root.width]];
  while (queue.length) {
    const [id, x, top] = queue.shift();
    const level = placed.get(id);
    queue.push(...drawLevel(level, x - level.layout.width / 2, top, layer));
  }
  view.replaceChildren(layer);
  const after = drawn.get(anchor);
  if (before && after) {
    state.x += state.k * (before.x - after.x);
    state.y += state.k * (before.y - after.y);
  }
  if (!drawn.has(state.selected)) state.selected = null;
  const entry = drawn.get(state.selected) || drawn.values().next().value;
  if (entry) entry.element.setAttribute("tabindex", 0);
  move();
  light();
  legend();
  const shown = [...drawn.values()].filter(({ node }) => !node.copy);
  const hidden = shown.reduce((total, { node }) => total + (node.hidden || 0), 0);
  at("compte").textContent = `${shown.length} nœuds visibles${hidden ? `, ${hidden} repliés` : ""}`;
  at("plier").textContent = state.folds.size ? "Tout déplier" : "Tout replier";
}

function legend() {
  const kinds = Object.keys(doc.kinds).filter((kind) => [...drawn.values()].some((d) => d.node.kind === kind));
  const rows = kinds.map((kind) => [{ kind, id: "" }, doc.kinds[kind].label]);
  if ([...drawn.values()].some((d) => d.node.lit)) rows.push([{ kind: "apply", id: "", lit: true }, "nœud modifié"]);
  at("legende").replaceChildren(...rows.map(([node, label]) => {
    const item = document.createElement("li");
    const picture = make("svg", { width: 34, height: 26, "aria-hidden": "true" },
      ...outline(node, 17, 13, node.lit ? 18 : 26, node.lit ? 10 : 16));
    item.append(picture, label);
    return item;
  }));
}
