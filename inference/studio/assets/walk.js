// Scenes that are dragged, or clicked, into the two ends of a walk.
const tiles = element.querySelector(".tiles");
const ends = [...element.querySelectorAll(".end")];

function figure(scene) {
  const box = document.createElement("figure");
  for (const name of ["image", "mask"]) {
    if (!scene[name]) continue;
    const picture = document.createElement("img");
    picture.src = scene[name];
    picture.alt = `${name} of a scene: ${scene.caption}`;
    picture.draggable = false;
    box.append(picture);
  }
  const text = document.createElement("figcaption");
  text.textContent = scene.caption;
  box.append(text);
  return box;
}

function put(end, index) {
  const value = { ...props.value, [end]: index };
  props.value = value;
  load();
  if (value.first !== null && value.last !== null) trigger("change");
}

function load() {
  const value = props.value;
  if (!value || !value.scenes) return;
  tiles.replaceChildren(...value.scenes.map((scene, index) => {
    const box = figure(scene);
    box.draggable = true;
    box.tabIndex = 0;
    box.classList.toggle("chosen", index === value.first || index === value.last);
    box.addEventListener("dragstart", (event) => {
      event.dataTransfer.setData("text/plain", String(index));
    });
    const next = () => {
      const { first, last } = props.value;
      put(first === null || last !== null ? "first" : "last", index);
    };
    box.addEventListener("click", next);
    box.addEventListener("keydown", (event) => event.key === "Enter" && next());
    return box;
  }));
  for (const end of ends) {
    const index = value[end.dataset.end];
    const chosen = index !== null && index !== undefined ? value.scenes[index] : null;
    end.querySelector("figure")?.remove();
    end.querySelector("span").hidden = Boolean(chosen);
    if (chosen) end.append(figure(chosen));
  }
}

for (const end of ends) {
  end.addEventListener("dragover", (event) => {
    event.preventDefault();
    end.classList.add("over");
  });
  end.addEventListener("dragleave", () => end.classList.remove("over"));
  end.addEventListener("drop", (event) => {
    event.preventDefault();
    end.classList.remove("over");
    const index = Number.parseInt(event.dataTransfer.getData("text/plain"), 10);
    if (index >= 0 && index < props.value.scenes.length) put(end.dataset.end, index);
  });
}
watch("value", load);
load();
