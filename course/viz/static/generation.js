// La génération quand la température change : Python écrit les textes, ce fichier les demande.

const STEPS = 60; // crans du curseur, régulièrement espacés à l'échelle logarithmique

function render({ model, el }) {
  const root = rootOf(el, model.get("title"));
  const [coldest, hottest] = model.get("span");
  const rank = (temperature) =>
    STEPS * Math.log(temperature / coldest) / Math.log(hottest / coldest);
  let waiting = false; // une question à la fois : `next` retient la dernière posée entre-temps
  let next = {};

  function ask(changes) {
    Object.assign(next, changes);
    if (waiting) return;
    const fresh = Object.entries(next).filter(([name, value]) => model.get(name) !== value);
    next = {};
    if (!fresh.length) return;
    waiting = true;
    model.set(Object.fromEntries(fresh));
    model.save_changes();
  }

  const field = textField({
    label: "Début", size: 28, oncommit: (prompt) => ask({ prompt }),
  });
  const warmth = slider({
    label: "Température", min: 0, max: STEPS, step: 1, value: rank(model.get("temperature")),
    oninput: (value) => {
      const temperature = Number((coldest * (hottest / coldest) ** (value / STEPS)).toPrecision(3));
      warmth.show(decimal(temperature, 2));
      ask({ temperature });
    },
  });
  const button = element("button", {
    type: "button", onclick: () => ask({ seed: model.get("seed") + 1 }),
  }, "Autre tirage");
  const answer = element("div", { class: "chainage-passage", role: "status", "aria-live": "polite" });
  const others = element("dl", { class: "chainage-passages" });
  const beside = element("div", {},
    element("div", { class: "chainage-help" }, "Le même tirage, à quatre températures"), others);
  root.append(
    element("div", { class: "chainage-controls" },
      field.holder, warmth.holder, button),
    element("div", { class: "chainage-written" }, answer, beside));

  // Un texte, le début plus pâle que la suite ; tout passe par des nœuds de texte.
  function written(text, prompt) {
    const given = text.startsWith(prompt) ? prompt : "";
    return [element("span", { class: "chainage-given" }, given), text.slice(given.length)];
  }

  function show() {
    const { prompt, temperature, seed, texts, error } = model.get("chosen");
    const heading = `Température ${decimal(temperature, 2)}, tirage ${seed + 1}`;
    answer.replaceChildren(
      element("div", { class: "chainage-title" }, heading),
      ...(error ? [element("p", {}, error)] : texts.map((text) => element("p", {}, ...written(text, prompt)))));
    waiting = false;
    ask({});
    if (waiting) return;
    field.show(model.get("prompt"));
    warmth.input.value = rank(model.get("temperature"));
    warmth.show(decimal(model.get("temperature"), 2));
  }

  function showOthers() {
    others.replaceChildren(...model.get("fixed").flatMap(([temperature, texts]) => [
      element("dt", {}, decimal(temperature)),
      element("dd", {}, ...texts.flatMap((text) => [...written(text, model.get("prompt")), element("br")])),
    ]));
  }

  model.on("change:chosen", show);
  model.on("change:fixed", showOthers);
  show();
  showOthers();
}

export default { render };
