// La réécriture règle par règle : Python dessine la paire, ce fichier écoute le curseur et les boutons.

function render({ model, el }) {
  const root = rootOf(el, model.get("title"));
  const captions = model.get("captions");
  const move = (step) => {
    model.set("step", Math.min(Math.max(step, 1), captions.length));
    model.save_changes();
  };
  const button = (text, offset) => element(
    "button", { type: "button", onclick: () => move(model.get("step") + offset) }, text);
  const position = slider({
    label: "Étape", min: 1, max: captions.length, step: 1, value: model.get("step"), oninput: move,
  });
  const status = element("p", { class: "chainage-status", role: "status", "aria-live": "polite" });
  const panels = { before: "Avant", after: "Après" };
  const pair = element("div", { class: "chainage-pair" });
  for (const [name, title] of Object.entries(panels)) {
    panels[name] = element("div", { class: "chainage-drawing" });
    pair.append(element("figure", {}, element("figcaption", {}, title), panels[name]));
  }
  root.append(
    element("div", { class: "chainage-controls" },
      button("Précédente", -1), position.holder, button("Suivante", 1)),
    status, pair);

  function say() {
    const step = model.get("step");
    position.input.value = step;
    position.show(`${step} sur ${captions.length}`);
    status.textContent = captions[step - 1];
  }
  const draw = (name) => { panels[name].innerHTML = model.get(name); };
  model.on("change:step", say);
  for (const name of Object.keys(panels)) {
    model.on(`change:${name}`, () => draw(name));
    draw(name);
  }
  say();
}

export default { render };
