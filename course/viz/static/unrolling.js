// Un scan qui se déplie : Python calcule et dessine, ce fichier tient les commandes.

function render({ model, el }) {
  const root = rootOf(el, model.get("title"));
  const name = model.get("name");
  const [low, high] = model.get("span");
  const change = (trait, value) => {
    model.set(trait, value);
    model.save_changes();
  };
  const turns = slider({
    label: "Nombre de tours", min: 1, max: model.get("longest"), step: 1, value: model.get("turns"),
    oninput: (value) => change("turns", value),
  });
  const parameter = slider({
    label: `Valeur de ${name}`, min: low, max: high, step: 0.05, value: model.get("parameter"),
    oninput: (value) => change("parameter", value),
  });
  const button = element("button", {
    type: "button", onclick: () => change("backward", !model.get("backward")),
  });
  const drawing = element("div", { class: "chainage-drawing" });
  const status = element("p", { class: "chainage-status", role: "status", "aria-live": "polite" });
  root.append(
    element("div", { class: "chainage-controls" }, turns.holder, parameter.holder, button),
    drawing, status);

  function draw() {
    drawing.innerHTML = model.get("svg");
    status.textContent = model.get("summary");
    turns.input.value = model.get("turns");
    turns.show(String(model.get("turns")));
    parameter.input.value = model.get("parameter");
    parameter.show(decimal(model.get("parameter")));
    button.textContent = model.get("backward") ? "Cacher le retour" : "Remonter les tours";
  }
  model.on("change:svg", draw);
  draw();
}

export default { render };
