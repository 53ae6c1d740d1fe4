// The panel to judge results: which pictures are compared, the video, the scores and the report.

import { compare, labelOf } from "./comparison.js";
import { getResults, resultAddress } from "./server.js";
import { attempt, element, listen, on, state } from "./state.js";

const chosen = new Set(["frames"]);
let shown = null; // names of the folders in the lists

const layout = () => document.querySelector("[name=layout]:checked").value;

const ORDER = ["frames", "keyframes", "masks", "styled", "composite", "preview"];
const rank = (folder) => ORDER.indexOf(folder.split("/")[0]);

function fillLists(unsorted) {
  const folders = [...unsorted].sort((one, other) => rank(one) - rank(other));
  if (String(shown) === String(folders)) return;
  // The first masks, the first layer and the composite are chosen when they appear for the first time.
  for (const start of ["masks/", "styled/", "composite"]) {
    const [first] = folders.filter((name) => name.startsWith(start));
    if (first && !shown?.some((name) => name.startsWith(start))) chosen.add(first);
  }
  shown = folders;
  element("picture-list").replaceChildren(
    ...folders.map((name) => {
      const label = document.createElement("label");
      const box = Object.assign(document.createElement("input"), { type: "checkbox", value: name, checked: chosen.has(name) });
      box.addEventListener("change", () => {
        chosen[box.checked ? "add" : "delete"](name);
        attempt(show);
      });
      label.append(box, ` ${labelOf(name)}`);
      return label;
    }),
  );
  for (const [id, usual] of [["wipe-left", "frames"], ["wipe-right", "composite"]]) {
    const before = element(id).value || usual;
    element(id).replaceChildren(...folders.map((name) => new Option(labelOf(name), name)));
    element(id).value = folders.includes(before) ? before : folders.at(-1);
  }
}

async function show() {
  if (state.workspace !== "results") return;
  const arrangement = layout();
  element("pictures").hidden = arrangement !== "beside";
  for (const id of ["wipe-sides", "border"]) element(id).hidden = arrangement !== "wipe";
  element("comparison").hidden = arrangement === "video";
  element("video").hidden = arrangement !== "video";
  if (arrangement !== "video") element("video").pause();
  const wiped = [element("wipe-left").value, element("wipe-right").value];
  const folders = { beside: shown?.filter((name) => chosen.has(name)) ?? [], wipe: wiped, video: [] }[arrangement];
  await compare(folders, arrangement);
}

function showScores(scores) {
  const names = [...new Set(scores.flatMap((score) => Object.keys(score)))].filter((name) => typeof scores[0][name] !== "string");
  const numbers = names.filter((name) => name !== "frames");
  const cell = (kind, text) => Object.assign(document.createElement(kind), { textContent: text });
  const row = (kind, texts) => {
    const result = document.createElement("tr");
    result.append(...texts.map((text) => cell(kind, text)));
    return result;
  };
  const text = (value) => (value === undefined ? "" : value.toFixed(3));
  element("scores").replaceChildren(
    ...(scores.length ? [row("th", ["result", ...numbers])] : []),
    ...scores.map((score) => row("td", [`${score.kind}: ${score.name}`, ...numbers.map((name) => text(score[name]))])),
  );
  element("no-scores").hidden = scores.length > 0;
}

async function update() {
  if (state.workspace !== "results") return;
  const { pictures, video, report, scores } = await getResults();
  fillLists(pictures);
  element("layout-video").disabled = !video;
  if (!video && layout() === "video") document.querySelector("[name=layout][value=beside]").click();
  const address = `${resultAddress("dream.mp4")}?${video}`;
  if (video && element("video").getAttribute("src") !== address) element("video").src = address;
  element("report").hidden = !report;
  showScores(scores);
  await show();
}

listen("workspace", () => {
  element("video").hidden = true;
  element("border").hidden = true;
  element("video").pause();
  attempt(update);
});
listen("clip", () => attempt(update));
for (const input of document.querySelectorAll("[name=layout]")) input.addEventListener("change", () => attempt(show));
for (const id of ["wipe-left", "wipe-right"]) on(id, "change", show);
element("report").href = resultAddress("report.html");
