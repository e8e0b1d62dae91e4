// Ce que tous les widgets partagent : placé en tête de chacun par `course.viz.widget.script`.

const SUPERSCRIPTS = Object.fromEntries([..."0123456789-"].map((sign, i) => [sign, "⁰¹²³⁴⁵⁶⁷⁸⁹⁻"[i]]));

// Écrit un nombre à la française, comme `course.viz.picture.decimal`.
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

// Ce que Python envoie en octets (une vue ou un tampon, selon le chemin).
const bytes = (sent) => new Uint8Array(sent.buffer ?? sent, sent.byteOffset ?? 0, sent.byteLength);

// Les 256 couleurs, de la première borne à la dernière par le milieu.
function ramp(stops) {
  const rgb = stops.map((stop) => [1, 3, 5].map((i) => parseInt(stop.slice(i, i + 2), 16)));
  return Array.from({ length: 256 }, (_, level) => {
    const [from, to, share] = level < 128
      ? [rgb[0], rgb[1], level / 128] : [rgb[1], rgb[2], (level - 128) / 127];
    return from.map((value, i) => Math.round(value + share * (to[i] - value)));
  });
}

// Peint une image d'un octet par pixel ; `colours` est une table de 256 couleurs.
function paint(canvas, pixels, colours) {
  const context = canvas.getContext("2d");
  const image = context.createImageData(canvas.width, canvas.height);
  for (let i = 0; i < canvas.width * canvas.height; i += 1) {
    image.data.set(colours[pixels[i]], 4 * i);
    image.data[4 * i + 3] = 255;
  }
  context.putImageData(image, 0, 0);
}
