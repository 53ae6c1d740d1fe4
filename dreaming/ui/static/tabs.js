// What the tabs of one clip tell each other: that they are open, and that they saved something.

export class Tabs {
  constructor(clip, { onOther, onSaved }) {
    this.channel = new BroadcastChannel(`dreaming ${clip}`);
    this.channel.onmessage = ({ data }) => {
      if (data.kind === "saved") {
        onSaved();
        return;
      }
      if (data.kind === "opened") this.channel.postMessage({ kind: "here" });
      onOther();
    };
    this.channel.postMessage({ kind: "opened" });
  }

  announce() {
    this.channel.postMessage({ kind: "saved" });
  }
}
