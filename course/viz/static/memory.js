// Portes et mémoire d'un LSTM : Python lit le texte et dessine, ce fichier tient les commandes.

function render({ model, el }) {
  const root = rootOf(el, model.get("title"));
  const change = (name, value) => {
    model.set(name, value);
    model.save_changes();
  };
  const field = textField({
    label: "Texte lu", size: 28, maxlength: model.get("longest"),
    oncommit: (text) => change("asked", text),
  });
  const select = element("select", { onchange: () => change("quantity", select.value) },
    ...model.get("choices").map(([key, label]) => element("option", { value: key }, label)));
  const place = slider({
    label: "Caractère", min: 1, max: 1, step: 1, value: 1,
    oninput: (value) => change("position", value - 1),
  });
  const chosen = element("label", {}, element("span", {}, "Carte"), select);
  const drawing = element("div", { class: "chainage-drawing" });
  const status = element("p", { class: "chainage-status", role: "status", "aria-live": "polite" });
  const help = element("p", { class: "chainage-help" },
    "Clavier\u00a0: dans le texte, ← → changent de caractère, ↑ ↓ d’unité suivie. "
    + "Souris\u00a0: un clic sur la carte choisit les deux.");
  root.append(
    element("div", { class: "chainage-controls" }, field.holder, chosen, place.holder),
    drawing, status, help);

  const within = (rank, length) => Math.min(Math.max(rank, 0), length - 1);
  const go = (position) => change("position", within(position, [...model.get("text")].length));
  const follow = (row) => {
    const units = model.get("units");
    change("unit", units[within(row, units.length)]);
  };

  drawing.addEventListener("keydown", (event) => {
    if (!event.target.closest(".chainage-node")) return;
    const row = model.get("units").indexOf(model.get("unit"));
    const moves = {
      ArrowLeft: () => go(model.get("position") - 1), ArrowRight: () => go(model.get("position") + 1),
      Home: () => go(0), End: () => go(Infinity),
      ArrowUp: () => follow(row - 1), ArrowDown: () => follow(row + 1),
    };
    if (!moves[event.key]) return;
    moves[event.key]();
    event.preventDefault();
    event.stopPropagation();
  });
  drawing.addEventListener("click", (event) => {
    const character = event.target.closest(".chainage-node");
    if (character) go(Number(character.dataset.position));
    const map = event.target.closest(".chainage-map");
    if (!map) return;
    const box = map.getBoundingClientRect();
    const share = (at, start, size, count) => Math.floor(((at - start) / size) * count);
    go(share(event.clientX, box.left, box.width, [...model.get("text")].length));
    follow(share(event.clientY, box.top, box.height, model.get("units").length));
  });

  function draw() {
    const hadFocus = drawing.contains(document.activeElement);
    drawing.innerHTML = model.get("svg");
    if (hadFocus) drawing.querySelector(".chainage-node[tabindex='0']").focus();
  }
  function say() {
    status.textContent = model.get("summary");
    field.show(model.get("text"));
    select.value = model.get("quantity");
    const count = [...model.get("text")].length;
    place.input.max = count;
    place.input.value = model.get("position") + 1;
    place.show(`${model.get("position") + 1} sur ${count}`);
  }
  model.on("change:svg", draw);
  model.on("change:svg change:summary", say);
  draw();
  say();
}

export default { render };
