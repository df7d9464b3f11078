// The stages of a photograph: between two of them, the slider blends one into the other.
const box = element.querySelector(".stages");
const find = (name) => box.querySelector(name);
const slider = find(".stage"), names = find(".names");

function show() {
  const stages = props.value.stages;
  const at = Number(slider.value);
  const low = Math.min(Math.floor(at), stages.length - 1);
  const high = Math.min(low + 1, stages.length - 1);
  const nearest = Math.round(at);
  const uncertain = find(".uncertain").checked;
  const strength = uncertain ? 1 : Number(find(".opacity").value);
  const part = at - low;
  for (const [name, stage, share] of [[".lower", low, 1 - part], [".upper", high, part]]) {
    const picture = find(name);
    const source = stages[stage][uncertain ? "entropy" : "mask"];
    if (picture.getAttribute("src") !== source) picture.src = source;
    picture.style.opacity = strength * share;
    picture.alt = `${stages[stage].title}: ${stages[stage].legend.map((one) => one.text).join(", ")}`;
  }
  [...names.children].forEach((button, index) => {
    button.setAttribute("aria-pressed", index === nearest);
  });
  const legend = find(".legend");
  legend.replaceChildren(...(uncertain
    ? ["black: certain; white: all labels are equally likely"]
    : stages[nearest].legend.map((one) => {
        const item = document.createElement("span");
        item.className = "label";
        const colour = document.createElement("i");
        colour.style.background = `rgb(${one.colour.join(",")})`;
        item.append(colour, one.text);
        return item;
      })));
}

function load() {
  const value = props.value;
  box.hidden = !value || !value.stages;
  if (box.hidden) return;
  const titles = value.stages.map((stage) => `${stage.title} (${stage.model})`).join();
  find(".under").src = value.photo;
  if (names.dataset.titles !== titles) {
    names.dataset.titles = titles;
    names.replaceChildren(...value.stages.map((stage, index) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = stage.title;
      button.title = stage.model;
      button.onclick = () => {
        slider.value = index;
        show();
      };
      return button;
    }));
    slider.max = value.stages.length - 1;
    slider.value = slider.max;
  }
  show();
}

for (const name of [".stage", ".opacity", ".uncertain"]) find(name).addEventListener("input", show);
watch("value", load);
load();
