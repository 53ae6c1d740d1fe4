// The page: starts its modules, each of which owns a part of it, and reads the clip.

import { load, openIn } from "./browsing.js";
import "./cleanup.js";
import "./corrections.js";
import { follow } from "./job.js";
import { say } from "./message.js";
import "./keyframes.js";
import "./layers.js";
import "./live.js";
import "./onion.js";
import "./parts.js";
import "./prediction.js";
import "./results.js";
import "./shots.js";
import { attempt, entries, listen, state } from "./state.js";
import { Tabs } from "./tabs.js";
import "./training.js";
import { setWorkspace } from "./workspace.js";

setWorkspace("masks");
await attempt(async () => {
  await load();
  follow();
  const tabs = new Tabs(state.clip.path, {
    onOther: () => say("This clip is also open in another tab.", "note"),
    onSaved: () => attempt(load), // which keeps what is not saved here
  });
  listen("saved", () => tabs.announce());
  listen("stored", () => tabs.announce());
  if (!(await entries.restore(state.clip))) return;
  const [first] = entries.dirty;
  await openIn(first.part, first.stem);
  say(`Restored masks that were not saved: ${entries.dirty.map(({ stem }) => stem).join(", ")}`, "note");
});
