// La page d'un graphe, suite : se déplacer, choisir, chercher, rejouer. `graph_page.js` précède.

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
  const has = (field) => field && String(field).toLocaleLowerCase("fr").includes(wanted);
  const rest = (node) => [node.detail, node.formula, node.group, node.trace].some(has);
  const all = wanted ? levels.flat() : [];
  const named = all.filter((node) => has(node.label)); // ceux dont c'est le nom viennent d'abord
  matches = [...named, ...all.filter((node) => !has(node.label) && rest(node))];
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
