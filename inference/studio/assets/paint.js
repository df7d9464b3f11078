// A canvas of label ids: one pixel is one label, so that nothing is smoothed and nothing guessed.
const canvas = element.querySelector("canvas");
const swatches = element.querySelector(".swatches");
const size = element.querySelector(".size");
let mask, ids, label, before = [], last = null;

const css = (colour) => `rgb(${colour.join(",")})`;

function show() {
  const picture = new ImageData(mask.width, mask.height);
  const colours = {};
  for (const one of mask.labels) colours[one.id] = one.colour;
  for (let i = 0; i < ids.length; i++) {
    const colour = colours[ids[i]] || [224, 224, 192];
    picture.data.set([...colour, 255], 4 * i);
  }
  canvas.getContext("2d").putImageData(picture, 0, 0);
}

function choose(id) {
  label = id;
  for (const button of swatches.children) {
    button.setAttribute("aria-checked", Number(button.dataset.id) === id);
  }
}

function load() {
  mask = props.value;
  if (!mask || !mask.ids) return;
  const known = swatches.dataset.labels === JSON.stringify(mask.labels);
  ids = Uint8Array.from(atob(mask.ids), (letter) => letter.charCodeAt(0));
  canvas.width = mask.width;
  canvas.height = mask.height;
  if (!known) {
    before = [];
    swatches.dataset.labels = JSON.stringify(mask.labels);
    swatches.replaceChildren(...mask.labels.map((one) => {
      const button = document.createElement("button");
      button.type = "button";
      button.dataset.id = one.id;
      button.setAttribute("role", "radio");
      const colour = document.createElement("i");
      colour.style.background = css(one.colour);
      button.append(colour, one.id === mask.blank ? `${one.name} (erase)` : one.name);
      button.onclick = () => choose(one.id);
      return button;
    }));
    const first = mask.labels.find((one) => one.id !== mask.blank) || mask.labels[0];
    choose(first.id);
    size.max = Math.max(4, Math.round(Math.min(mask.width, mask.height) / 2));
    size.value = Math.max(1, Math.round(Math.min(mask.width, mask.height) / 6));
  }
  show();
}

function keep() {
  let text = "";
  for (const id of ids) text += String.fromCharCode(id);
  props.value = { ...mask, ids: btoa(text) };
  mask = props.value;
}

function remember() {
  before.push(ids.slice());
  if (before.length > 50) before.shift();
}

function place(event) {
  const box = canvas.getBoundingClientRect();
  return [
    ((event.clientX - box.left) / box.width) * mask.width,
    ((event.clientY - box.top) / box.height) * mask.height,
  ];
}

function dab(x, y) {
  const radius = size.value / 2;
  for (let row = Math.floor(y - radius); row <= y + radius; row++) {
    for (let column = Math.floor(x - radius); column <= x + radius; column++) {
      const inside = row >= 0 && column >= 0 && row < mask.height && column < mask.width;
      const away = Math.hypot(column + 0.5 - x, row + 0.5 - y);
      if (inside && away <= Math.max(radius, 0.71)) ids[row * mask.width + column] = label;
    }
  }
}

function stroke(event) {
  const [x, y] = place(event);
  const [fromX, fromY] = last || [x, y];
  const steps = Math.max(1, Math.ceil(2 * Math.hypot(x - fromX, y - fromY)));
  for (let i = 0; i <= steps; i++) {
    dab(fromX + ((x - fromX) * i) / steps, fromY + ((y - fromY) * i) / steps);
  }
  last = [x, y];
  show();
}

canvas.addEventListener("pointerdown", (event) => {
  if (!mask || event.button > 0) return;
  canvas.setPointerCapture(event.pointerId);
  remember();
  last = null;
  stroke(event);
  event.preventDefault();
});
canvas.addEventListener("pointermove", (event) => {
  if (last) stroke(event);
});
for (const end of ["pointerup", "pointercancel"]) {
  canvas.addEventListener(end, () => {
    if (last) keep();
    last = null;
  });
}
element.querySelector(".undo").onclick = () => {
  if (!before.length) return;
  ids = before.pop();
  show();
  keep();
};
element.querySelector(".clear").onclick = () => {
  if (!mask) return;
  remember();
  ids.fill(mask.blank);
  show();
  keep();
};
watch("value", load);
load();
