// What the tabs of one clip tell each other: that they are open, and which mask they saved.

export class Tabs {
  constructor(clip, { onOther, onSaved }) {
    this.channel = new BroadcastChannel(`dreaming ${clip}`);
    this.channel.onmessage = ({ data }) => {
      if (data.kind === "saved") {
        onSaved(data.part, data.stem);
        return;
      }
      if (data.kind === "opened") this.channel.postMessage({ kind: "here" });
      onOther();
    };
    this.channel.postMessage({ kind: "opened" });
  }

  announce(part, stem) {
    this.channel.postMessage({ kind: "saved", part, stem });
  }
}
