// La page d'un graphe : replier, ouvrir, chercher, rejouer la réécriture, lire les détails.
// Les données (`#donnees`) viennent de `engine/viz/graph_page.py`.

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

// ---- se déplacer ---------------------------------------------------------------------------

function move() {
  view.setAttribute("transform", `translate(${state.x},${state.y}) scale(${state.k})`);
  at("echelle").textContent = `${Math.round(100 * state.k)}${NBSP}%`;
}

function zoom(factor, x = canvas.clientWidth / 2, y = canvas.clientHeight / 2) {
  const k = Math.min(4, Math.max(0.05, state.k * factor));
  state.x = x - ((x - state.x) * k) / state.k;
  state.y = y - ((y - state.y) * k) / state.k;
  state.k = k;
  move();
}

function fit(least = 0.05) {
  const scale = Math.min(canvas.clientWidth / extent[0], canvas.clientHeight / extent[1], 1.2);
  state.k = Math.max(scale, least);
  state.x = (canvas.clientWidth - state.k * extent[0]) / 2;
  state.y = Math.max(0, (canvas.clientHeight - state.k * extent[1]) / 2);
  move();
  if (state.k * extent[0] > canvas.clientWidth) {
    const top = [...drawn.values()].sort((a, b) => a.y - b.y || Math.abs(a.x - extent[0] / 2) - Math.abs(b.x - extent[0] / 2));
    if (top.length) state.x = canvas.clientWidth / 2 - state.k * top[0].x;
    move();
  }
}

function reveal(id) {
  const target = drawn.get(id);
  if (!target) return;
  const [x, y] = [state.x + state.k * target.x, state.y + state.k * target.y];
  const inside = x > 30 && y > 15 && x < canvas.clientWidth - 30 && y < canvas.clientHeight - 15;
  if (inside) return;
  state.x += canvas.clientWidth / 2 - x;
  state.y += canvas.clientHeight / 2 - y;
  move();
}

// ---- choisir, replier, ouvrir --------------------------------------------------------------

const hasAncestors = (node) => links.some(({ edge }) => edge.target === node.id);
const foldable = (node) => node.kind === "group" || node.hidden || node.inner || state.folds.has(node.id);
const isClosed = (node) =>
  node.kind === "group" || state.folds.has(node.id) || (node.inner && !state.opened.has(node.id));

function toggle(set, key, anchor) {
  if (!set.delete(key)) set.add(key);
  draw(anchor);
}

function actions(node) {
  const list = [];
  if (node.kind === "group") {
    const members = frameData(state.frame).nodes.filter((one) => groupOf(one) === node.group);
    list.push(["Déplier le groupe", () => {
      state.folds.delete(node.id);
      state.selected = members.length ? members[0].id : null;
      const here = drawn.get(node.id);
      draw(null);
      const there = drawn.get(state.selected);
      if (here && there) {
        state.x += state.k * (here.x - there.x);
        state.y += state.k * (here.y - there.y);
        move();
      }
    }]);
  }
  if (node.inner) {
    const open = state.opened.has(node.id);
    list.push([open ? "Refermer son graphe" : "Ouvrir son graphe",
      () => toggle(state.opened, node.id, node.id)]);
  }
  if (node.kind !== "group" && (state.folds.has(node.id) || hasAncestors(node))) {
    list.push([state.folds.has(node.id) ? "Déplier ses ancêtres" : "Replier ses ancêtres",
      () => toggle(state.folds, node.id, node.id)]);
  }
  if (node.kind !== "group" && groupOf(node)) {
    const key = GROUP + groupOf(node);
    list.push([`Replier le groupe «${NBSP}${groupOf(node)}${NBSP}»`, () => {
      state.selected = key;
      toggle(state.folds, key, node.id);
    }]);
  }
  return list;
}

function act(node) {
  const list = actions(node);
  if (list.length) list[0][1]();
  focusSelected();
}

function focusSelected() {
  const target = drawn.get(state.selected) || drawn.values().next().value;
  if (target) target.element.focus({ preventScroll: true });
}

function details(node) {
  const panel = at("details");
  if (!node) {
    panel.replaceChildren(Object.assign(document.createElement("p"), { textContent: doc.help }));
    return;
  }
  const rows = [
    ["Nature", doc.kinds[node.kind].label], ["Op", node.kind === "apply" ? node.detail : null],
    ["Type", node.kind === "apply" ? node.dtype : node.detail], ["Forme", node.shape],
    ["Dtype", node.kind === "apply" ? null : node.dtype],
    ["Valeur", node.kind === "constant" ? null : node.value], ["Formule", node.formula],
    ["Groupe", node.group], ["Origine", node.trace],
    ["Nœuds cachés", node.hidden || null],
    ["Part du temps", node.share === undefined ? null : percent(node.share)],
    ["Temps", node.seconds === undefined ? null : `${duration(node.seconds)} en ${node.calls} appel(s)`],
    ["Mémoire", node.memory === undefined ? null : bytes(node.memory)],
    ["Réécriture", node.lit ? "ce nœud vient de changer" : null],
  ];
  const title = document.createElement("h2");
  title.textContent = node.label;
  const list = document.createElement("dl");
  for (const [name, value] of rows) {
    if (value === null || value === undefined || value === "") continue;
    const term = document.createElement("dt");
    const definition = document.createElement("dd");
    term.textContent = name;
    definition.textContent = value;
    if (["Formule", "Origine"].includes(name)) definition.className = "code";
    list.append(term, definition);
  }
  const buttons = actions(node).map(([label, run]) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = label;
    button.addEventListener("click", () => { run(); focusSelected(); });
    return button;
  });
  panel.replaceChildren(title, list, ...buttons);
}

function light() {
  for (const { edge, path } of links) {
    path.classList.toggle("choisie", [edge.source, edge.target].includes(state.selected));
  }
  for (const { node, element } of drawn.values()) {
    element.classList.toggle("choisi", node.id === state.selected);
  }
  details(drawn.get(state.selected)?.node);
}

function select(id) {
  if (state.selected === id || !drawn.has(id)) return;
  for (const { element } of drawn.values()) element.setAttribute("tabindex", -1);
  state.selected = id;
  drawn.get(id).element.setAttribute("tabindex", 0);
  light();
}

function neighbour(id, key) {
  const here = drawn.get(id);
  const linked = (near, far) => links.filter(({ edge }) => edge[near] === id)
    .map(({ edge }) => drawn.get(edge[far])).filter(Boolean).sort((a, b) => a.x - b.x)[0];
  if (key === "ArrowUp") return linked("target", "source");
  if (key === "ArrowDown") return linked("source", "target");
  const side = key === "ArrowRight" ? 1 : -1;
  return [...drawn.values()]
    .filter((one) => Math.abs(one.y - here.y) < 30 && side * (one.x - here.x) > 1)
    .sort((a, b) => side * (a.x - b.x))[0];
}

// ---- chercher ------------------------------------------------------------------------------

let matches = [];
let rank = -1;

function search(text) {
  const wanted = text.trim().toLocaleLowerCase("fr");
  const levels = [frameData(state.frame).nodes];
  for (const nodes of levels) for (const node of nodes) if (node.inner) levels.push(node.inner.nodes);
  const fields = (node) => [node.label, node.detail, node.formula, node.group, node.trace];
  matches = wanted ? levels.flat().filter((node) =>
    fields(node).some((field) => field && String(field).toLocaleLowerCase("fr").includes(wanted))) : [];
  state.found = new Set(matches.map((node) => node.id));
  rank = -1;
  at("trouves").textContent = wanted
    ? `${matches.length} trouvé${matches.length > 1 ? "s" : ""}${matches.length ? ", Entrée pour y aller" : ""}` : "";
  draw();
}

// Déplie ce qui cache un nœud : les graphes qui le contiennent, son groupe, un descendant replié.
function expose(node) {
  for (let id = parents.get(node.id); id; id = parents.get(id)) state.opened.add(id);
  const top = [node.id];
  while (parents.has(top.at(-1))) top.push(parents.get(top.at(-1)));
  state.folds.delete(GROUP + groupOf(node));
  draw(null);
  const { nodes, edges } = frameData(state.frame);
  const below = neighbours({ nodes, edges }, "source", "target");
  const queue = [top.at(-1)];
  const seen = new Set(queue);
  for (let i = 0; i < queue.length && !drawn.has(node.id); i++) {
    const member = nodes.find((one) => one.id === queue[i]);
    const closed = state.folds.delete(queue[i]) | state.folds.delete(GROUP + (member && groupOf(member)));
    if (closed) draw(null);
    for (const id of below.get(queue[i]) || []) {
      if (!seen.has(id)) { seen.add(id); queue.push(id); }
    }
  }
}

function nextMatch() {
  if (!matches.length) return;
  rank = (rank + 1) % matches.length;
  const node = matches[rank];
  if (!drawn.has(node.id)) expose(node);
  select(node.id);
  reveal(node.id);
  at("trouves").textContent = `${rank + 1} sur ${matches.length}${NBSP}: ${node.label}`;
}

// ---- rejouer -------------------------------------------------------------------------------

function show(frame) {
  state.frame = Math.min(Math.max(frame, 0), doc.frames.length - 1);
  const { reasons } = doc.frames[state.frame];
  const last = doc.frames.length - 1;
  let text = state.frame === 0 ? "Le graphe tel qu’il a été écrit" : reasons.slice(0, 3)
    .map((reason) => (doc.reasons[reason] ? `${reason}${NBSP}: ${doc.reasons[reason]}` : reason)).join(" ; ");
  if (state.frame === 0 && last) text += " (allumés : les nœuds que la réécriture fera disparaître)";
  if (reasons.length > 3) text += ` ; et ${reasons.length - 3} autres`;
  if (state.frame === last && last) text += ". Le graphe réécrit, tel qu’il s’exécute";
  at("raison").textContent = `${text}.`;
  at("etape").value = state.frame;
  at("etape").setAttribute("aria-valuetext", `étape ${state.frame} sur ${last}`);
  at("numero").textContent = `${state.frame} / ${last}`;
  draw();
  const lit = doc.frames[state.frame].lit.filter((id) => drawn.has(id));
  if (state.frame && lit.length) reveal(lit[0]);
}

// ---- écouter -------------------------------------------------------------------------------

function listen() {
  const nodeAt = (event) => drawn.get(event.target.closest?.(".noeud")?.dataset.id);
  let drag = null;
  canvas.addEventListener("pointerdown", (event) => {
    drag = { x: event.clientX, y: event.clientY, moved: false };
  });
  window.addEventListener("pointermove", (event) => {
    if (!drag || !event.buttons) return;
    const [dx, dy] = [event.clientX - drag.x, event.clientY - drag.y];
    if (!drag.moved && Math.hypot(dx, dy) < 4) return;
    drag = { x: event.clientX, y: event.clientY, moved: true };
    canvas.classList.add("traine");
    state.x += dx;
    state.y += dy;
    move();
  });
  window.addEventListener("pointerup", () => canvas.classList.remove("traine"));
  canvas.addEventListener("click", (event) => {
    const hit = nodeAt(event);
    if (hit && !drag?.moved) { select(hit.node.id); focusSelected(); }
  });
  canvas.addEventListener("dblclick", (event) => {
    const hit = nodeAt(event);
    if (hit) act(hit.node);
  });
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    const box = canvas.getBoundingClientRect();
    zoom(Math.exp(-event.deltaY / 500), event.clientX - box.left, event.clientY - box.top);
  }, { passive: false });
  canvas.addEventListener("pointerover", (event) => details((nodeAt(event) || drawn.get(state.selected))?.node));
  canvas.addEventListener("pointerleave", () => details(drawn.get(state.selected)?.node));
  canvas.addEventListener("focusin", (event) => {
    const hit = nodeAt(event);
    if (!hit) return;
    select(hit.node.id);
    reveal(hit.node.id);
  });
  canvas.addEventListener("keydown", (event) => {
    const hit = nodeAt(event);
    if (event.key.startsWith("Arrow") && hit) neighbour(hit.node.id, event.key)?.element.focus();
    else if ((event.key === "Enter" || event.key === " ") && hit) act(hit.node);
    else if (event.key === "+" || event.key === "=") zoom(1.25);
    else if (event.key === "-") zoom(0.8);
    else if (event.key === "0") fit();
    else if (event.key === "/") at("recherche").focus();
    else return;
    event.preventDefault();
  });
  at("plus").addEventListener("click", () => zoom(1.25));
  at("moins").addEventListener("click", () => zoom(0.8));
  at("adapter").addEventListener("click", () => fit());
  at("plier").addEventListener("click", () => {
    const data = frameData(state.frame);
    const groups = groupsOf(data, groupOf).map((name) => GROUP + name);
    const all = groups.length ? groups : [...sinks(data)];
    state.folds = new Set(state.folds.size ? [] : all);
    draw();
    fit(0.7);
  });
  at("grouper").addEventListener("change", (event) => {
    state.groupBy = event.target.value;
    state.folds = new Set(defaultFolds(frameData(state.frame), groupOf));
    draw();
    fit(0.7);
  });
  at("aretes").addEventListener("change", (event) => { state.edgeText = event.target.value; draw(); });
  at("profil")?.addEventListener("change", (event) => { state.heat = event.target.checked; draw(); });
  at("recherche").addEventListener("input", (event) => search(event.target.value));
  at("recherche").addEventListener("keydown", (event) => { if (event.key === "Enter") nextMatch(); });
  if (doc.frames.length > 1) {
    at("etape").addEventListener("input", (event) => show(Number(event.target.value)));
    at("avant").addEventListener("click", () => show(0));
    at("apres").addEventListener("click", () => show(doc.frames.length - 1));
    at("recule").addEventListener("click", () => show(state.frame - 1));
    at("avance").addEventListener("click", () => show(state.frame + 1));
  }
  at("theme").addEventListener("click", () => {
    const root = document.documentElement;
    root.dataset.jpThemeLight = String(root.dataset.jpThemeLight !== "true");
  });
}

const prefersDark = window.matchMedia("(prefers-color-scheme: dark)").matches;
document.documentElement.dataset.jpThemeLight = String(!prefersDark);
state.folds = new Set(defaultFolds(frameData(state.frame), groupOf));
listen();
if (doc.frames.length > 1) show(state.frame);
else draw();
fit(0.7);
