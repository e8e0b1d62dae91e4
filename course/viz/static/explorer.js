// L'explorateur de graphe : Python place et dessine, ce fichier écoute le clavier et la souris.

const EDGE_TEXTS = [["types", "types et formes"], ["values", "valeurs"], ["none", "rien"]];
const FOLD_WAYS = [["ancestors", "les ancêtres du nœud"], ["group", "le groupe du nœud"]];

function select(label, options, value, onchange) {
  const menu = element("select", { "aria-label": label, onchange: () => onchange(menu.value) });
  for (const [key, text] of options) menu.append(element("option", { value: key }, text));
  menu.value = value;
  return [element("label", {}, element("span", {}, label), menu), menu];
}

function render({ model, el }) {
  const root = rootOf(el, model.get("title"));
  let way = "ancestors";
  let focused = null;

  const change = (name, value) => {
    model.set(name, value);
    model.save_changes();
  };
  const [edgeHolder, edgeMenu] = select(
    "Sur les arêtes", EDGE_TEXTS, model.get("edge_text"), (value) => change("edge_text", value));
  const controls = element("div", { class: "chainage-controls" }, edgeHolder);
  if (model.get("groups").length) {
    const [holder] = select("Replier", FOLD_WAYS, way, (value) => { way = value; });
    controls.append(holder);
  }
  const button = element("button", {
    type: "button", onclick: () => change("folds", model.get("folds").length ? [] : model.get("compact")),
  });
  controls.append(button);
  const drawing = element("div", { class: "chainage-drawing" });
  const status = element("p", { class: "chainage-status", role: "status", "aria-live": "polite" });
  const help = element("p", { class: "chainage-help" },
    "Clavier\u00a0: Tab va de nœud en nœud, les flèches suivent les arêtes, Entrée replie ou déplie.");
  root.append(controls, drawing, status, help);

  const nodes = () => [...drawing.querySelectorAll(".chainage-node")];
  const byId = (id) => nodes().find((node) => node.dataset.id === id);
  const edges = () => [...drawing.querySelectorAll(".chainage-edge")];
  const centre = (node) => {
    const box = node.getBoundingClientRect();
    return { x: box.left + box.width / 2, y: box.top + box.height / 2 };
  };
  const linked = (node, near, far) => [...new Set(edges()
    .filter((edge) => edge.dataset[near] === node.dataset.id)
    .map((edge) => edge.dataset[far]))].map(byId).filter(Boolean)
    .sort((a, b) => centre(a).x - centre(b).x);
  const names = (list) => list.map((node) => node.dataset.label).join(", ");

  function describe(node) {
    const above = linked(node, "target", "source");
    const below = linked(node, "source", "target");
    let text = node.getAttribute("aria-label") + ".";
    if (above.length) text += ` Reçoit\u00a0: ${names(above)}.`;
    if (below.length) text += ` Sert à\u00a0: ${names(below)}.`;
    status.textContent = text;
    for (const edge of edges()) {
      const lit = [edge.dataset.source, edge.dataset.target].includes(node.dataset.id);
      edge.classList.toggle("chainage-lit", lit);
    }
  }

  function toggle(node) {
    const { id, group } = node.dataset;
    const folds = model.get("folds");
    const key = way === "group" && group ? "groupe:" + group : id;
    focused = folds.includes(id) && id.startsWith("groupe:") ? group : key;
    if (folds.includes(key)) change("folds", folds.filter((fold) => fold !== key));
    else if (folds.includes(id)) change("folds", folds.filter((fold) => fold !== id));
    else if (node.hasAttribute("aria-expanded") || key !== id) change("folds", [...folds, key]);
  }

  function move(node, key) {
    if (key === "ArrowUp") return linked(node, "target", "source")[0];
    if (key === "ArrowDown") return linked(node, "source", "target")[0];
    const here = centre(node);
    const side = key === "ArrowRight" ? 1 : -1;
    return nodes()
      .filter((other) => Math.abs(centre(other).y - here.y) < 24 && side * (centre(other).x - here.x) > 1)
      .sort((a, b) => side * (centre(a).x - centre(b).x))[0];
  }

  drawing.addEventListener("keydown", (event) => {
    const node = event.target.closest(".chainage-node");
    if (!node) return;
    if (event.key.startsWith("Arrow")) move(node, event.key)?.focus();
    else if (event.key === "Enter" || event.key === " ") toggle(node);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  drawing.addEventListener("focusin", (event) => {
    const node = event.target.closest(".chainage-node");
    if (!node) return;
    focused = node.dataset.id;
    describe(node);
  });
  drawing.addEventListener("click", (event) => {
    const node = event.target.closest(".chainage-node");
    if (node) toggle(node);
  });

  function draw() {
    const hadFocus = drawing.contains(document.activeElement);
    const { scrollLeft, scrollTop } = drawing;
    drawing.innerHTML = model.get("svg");
    drawing.scrollTo(scrollLeft, scrollTop);
    edgeMenu.value = model.get("edge_text");
    const folded = model.get("folds").length > 0;
    button.textContent = folded ? "Tout déplier" : "Tout replier";
    button.disabled = !folded && !model.get("compact").length;
    if (!hadFocus) return;
    const again = byId(focused) || nodes().find((node) => node.dataset.group === focused) || nodes()[0];
    again?.focus();
  }
  model.on("change:svg", draw);
  draw();
  status.textContent = model.get("summary");
}

export default { render };
