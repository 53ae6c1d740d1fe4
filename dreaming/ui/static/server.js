// Requests to the server. Addresses are relative to the page, whose path holds the token.

export class RequestError extends Error {
  constructor(status, message, version) {
    super(message);
    this.status = status;
    this.version = version;
  }
}

const path = (...parts) => ["api", ...parts.map(encodeURIComponent)].join("/");

async function send(address, options) {
  let response;
  try {
    response = await fetch(address, options);
  } catch (error) {
    if (error.name === "AbortError") throw error; // another frame was opened meanwhile
    throw new RequestError(0, "The server does not answer. Is dreaming-ui still running?");
  }
  if (response.ok) return response;
  const text = await response.text();
  let answer = { error: text };
  try {
    answer = JSON.parse(text);
  } catch { /* the text is the message */ }
  throw new RequestError(response.status, answer.error, answer.version);
}

const condition = (version) => (version === "absent" ? { "If-None-Match": "*" } : { "If-Match": `"${version}"` });
const versionOf = (response) => response.headers.get("ETag").replaceAll('"', "");

export const frameAddress = (stem) => path("frames", stem);
export const thumbnailAddress = (stem) => path("thumbnails", stem);

export const getClip = async () => (await send(path("clip"))).json();
export const getEmptyMasks = async (part) => (await (await send(path("masks", part))).json()).empty;

// A frame, or the picture of another folder of the same name; null if there is none.
export async function getFrame(stem, signal, folder) {
  const address = folder === "frames" ? frameAddress(stem) : path("results", ...folder.split("/"), stem);
  const response = await send(address, { signal });
  return response.status === 204 ? null : createImageBitmap(await response.blob());
}

export async function getMask(part, stem, signal) {
  const response = await send(path("masks", part, stem), { signal });
  const image = response.status === 204 ? null : await createImageBitmap(await response.blob());
  return { image, version: versionOf(response) };
}

async function getPicture(address, options) {
  const response = await send(address, options);
  return response.status === 204 ? null : createImageBitmap(await response.blob());
}

// A masker's mask on disk, or null; where the masks on disk disagree, or null; a mask that is propagated now.
export const getPrediction = (part, masker, stem) => getPicture(path("predictions", part, masker, stem));
export const getDisagreement = (part, stem) => getPicture(path("disagreement", part, stem));
export const getPropagated = (part, stem) => getPicture(path("propagated", part, stem));

// The foreground that GrabCut finds inside a rectangle of a frame; `painted` is what is known to be foreground there.
export async function getOutline(stem, area, painted) {
  const query = new URLSearchParams(area);
  return createImageBitmap(await (await send(`${path("outlines", stem)}?${query}`, { method: "POST", body: painted })).blob());
}

export async function putMask(part, stem, runs, version) {
  const headers = { "Content-Type": "application/vnd.dreaming.mask", ...condition(version) };
  return (await send(path("masks", part, stem), { method: "PUT", body: runs, headers })).json();
}

// Brings back the mask that was on disk before the last one was saved or removed.
export const undoMask = async (part, stem, version) =>
  (await send(path("masks", part, stem, "undo"), { method: "POST", headers: condition(version) })).json();

export const deleteMask = (part, stem, version) =>
  send(path("masks", part, stem), { method: "DELETE", headers: condition(version) });

const json = (body) => ({ body: JSON.stringify(body), headers: { "Content-Type": "application/json" } });

export const addPart = (name) => send(path("parts"), { method: "POST", ...json({ name }) });
export const renamePart = (part, name) => send(path("parts", part), { method: "POST", ...json({ name }) });

export const downloadAddress = (stem) => path("frames", stem, "download");
export const getKeyframe = async (layer, stem) => (await send(path("keyframes", layer, stem))).json();

export async function putKeyframe(layer, stem, file, version) {
  const address = `${path("keyframes", layer, stem)}?${new URLSearchParams({ name: file.name })}`;
  return (await send(address, { method: "PUT", body: file, headers: condition(version) })).json();
}

export async function deleteKeyframe(layer, stem, version) {
  return (await send(path("keyframes", layer, stem), { method: "DELETE", headers: condition(version) })).json();
}

export const getLayers = async () => (await send(path("layers"))).json();

export async function putLayers(layers, version) {
  const { body, headers } = json(layers);
  return (await send(path("layers"), { method: "PUT", body, headers: { ...headers, ...condition(version) } })).json();
}

export const getCleanup = async (part) => (await send(path("cleanup", part))).json();

export async function putCleanup(part, steps, version) {
  const { body, headers } = json(steps);
  return (await send(path("cleanup", part), { method: "PUT", body, headers: { ...headers, ...condition(version) } })).json();
}

// The first frames of shots after the first one, null before cuts are detected.
export const getShots = async () => (await send(path("shots"))).json();

export async function putShots(shots, version) {
  const { body, headers } = json(shots);
  return (await send(path("shots"), { method: "PUT", body, headers: { ...headers, ...condition(version) } })).json();
}

// A masker's mask of a frame as the composite uses it after these steps, or null.
export const getCleaned = (part, masker, stem, options, signal) =>
  getPicture(path("cleaned", part, masker, stem), { method: "POST", ...json(options), signal });

export const getResults = async () => (await send(path("results"))).json();
export const resultAddress = (name) => path(name);

export const startJob = (action, options) => send(path("job", "start", action), { method: "POST", ...json(options) });
// What is wrong with overrides, as a sentence, or null.
export const checkJob = async (options, signal) =>
  (await (await send(path("job", "check"), { method: "POST", ...json(options), signal })).json()).problem;
export const resumeJob = () => send(path("job", "resume"), { method: "POST" });
export const getProgress = async () => (await send(path("progress"))).json();
export const stopJob = () => send(path("job", "stop"), { method: "POST" });

// Why each layer can or cannot be shown live.
export const getLiveStyles = async () => (await (await send(path("live"))).json()).layers;

// Paints the pictures that are sent to it, in the style of a layer.
export function openLive(layer) {
  const socket = new WebSocket(new URL(path("live", layer), location.href.replace(/^http/, "ws")));
  socket.binaryType = "arraybuffer";
  return socket;
}

export function followJob(onState, onConnection) {
  const socket = new WebSocket(new URL("api/events", location.href.replace(/^http/, "ws")));
  socket.onopen = () => onConnection(true);
  socket.onmessage = (message) => onState(JSON.parse(message.data));
  socket.onclose = () => {
    onConnection(false);
    setTimeout(() => followJob(onState, onConnection), 1000);
  };
}
