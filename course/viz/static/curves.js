// Les courbes pendant l'entraînement : Python dessine, ce fichier montre.

function render({ model, el }) {
  const root = rootOf(el, model.get("title"), false);
  const drawing = element("div", { class: "chainage-drawing" });
  const text = element("p", { class: "chainage-status" });
  root.append(drawing, text);
  const draw = () => {
    drawing.innerHTML = model.get("svg");
    text.textContent = model.get("text");
  };
  model.on("change:svg change:text", draw);
  draw();
}

export default { render };
