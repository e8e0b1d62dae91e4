// Ce que tous les widgets partagent : placé en tête de chacun par `engine.viz.widget.script`.

const SUPERSCRIPTS = Object.fromEntries([..."0123456789-"].map((sign, i) => [sign, "⁰¹²³⁴⁵⁶⁷⁸⁹⁻"[i]]));

// Écrit un nombre à la française, comme `engine.viz.picture.decimal`.
function decimal(number, digits = 3) {
  if (Number.isNaN(number)) return "non défini";
  if (!Number.isFinite(number)) return number > 0 ? "∞" : "−∞";
  if (number === 0) return "0";
  const exponent = Math.floor(Math.log10(Math.abs(Number(number.toPrecision(digits)))));
  let text;
  if (exponent < -4 || exponent >= digits) {
    const [mantissa, power] = number.toExponential(digits - 1).split("e");
    const raised = [...String(Number(power))].map((sign) => SUPERSCRIPTS[sign]).join("");
    text = Math.abs(number) >= 1 && Math.abs(number) < 1e6
      ? number.toFixed(0) : `${Number(mantissa)}·10${raised}`;
  } else {
    text = String(Number(number.toPrecision(digits)));
  }
  return text.replace(".", ",").replaceAll("-", "−");
}

function signed(number, digits = 3) {
  return (number > 0 ? "+" : "") + decimal(number, digits);
}

function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== null) node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

// La racine d'un widget. JupyterLab prend les touches au vol (les flèches changeraient de cellule) ;
// l'attribut le retient, et il le cherche sur l'élément même qui a le focus.
function rootOf(el, title, heading = true) {
  const root = element("section", { class: "chainage", "aria-label": title });
  root.addEventListener("focusin", (event) => {
    event.target.setAttribute("data-lm-suppress-shortcuts", "true");
  });
  if (heading) root.append(element("div", { class: "chainage-title" }, title));
  el.append(root);
  return root;
}

function slider({ label, min, max, step, value, oninput, onchange }) {
  const output = element("output");
  const input = element("input", { type: "range", min, max, step, value, "aria-label": label });
  const show = (text) => {
    output.textContent = text;
    input.setAttribute("aria-valuetext", text);
  };
  input.addEventListener("input", () => oninput(Number(input.value)));
  if (onchange) input.addEventListener("change", () => onchange(Number(input.value)));
  const holder = element("label", {}, element("span", {}, label), input, output);
  return { holder, input, show };
}

// Un champ de texte : Entrée le valide comme le quitter (dans JupyterLab, elle ne suffit pas).
function textField({ label, size, maxlength, oncommit }) {
  let committed = "";
  const input = element("input", { type: "text", size, maxlength, spellcheck: "false" });
  const show = (text) => { input.value = committed = text; };
  const commit = () => {
    if (input.value === committed) return;
    committed = input.value;
    oncommit(committed);
  };
  input.addEventListener("change", commit);
  input.addEventListener("keydown", (event) => { if (event.key === "Enter") commit(); });
  const holder = element("label", {}, element("span", {}, label), input);
  return { holder, input, show };
}

const prefersStillness = () => window.matchMedia("(prefers-reduced-motion: reduce)").matches;
