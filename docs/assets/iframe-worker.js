// Browsers start no workers for pages that are opened as files. There, the search runs in a hidden frame instead.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      this.queue = [];
      const begin = () => {
        this.frame = document.createElement("iframe");
        this.frame.hidden = true;
        document.body.appendChild(this.frame);
        const inside = this.frame.contentWindow;
        this.frame.contentDocument.write(`<script>
          var self = window;
          function postMessage(data) { window.reply(data); }
          function importScripts(...urls) {
            return urls.reduce((before, url) => before.then(() => new Promise((done, failed) => {
              const script = document.createElement("script");
              script.src = url; script.onload = done; script.onerror = failed;
              document.body.appendChild(script);
            })), Promise.resolve());
          }
        </scr` + `ipt><body><script src="${url}"></scr` + `ipt></body>`);
        inside.reply = (data) => {
          const event = new MessageEvent("message", { data });
          this.dispatchEvent(event);
          if (this.onmessage) this.onmessage(event);
        };
        this.frame.contentDocument.close();
        inside.addEventListener("load", () => {
          this.ready = true;
          this.queue.splice(0).forEach((data) => this.deliver(data));
        });
      };
      if (document.body) begin();
      else addEventListener("DOMContentLoaded", begin);
    }

    deliver(data) {
      const event = new MessageEvent("message", { data });
      const inside = this.frame.contentWindow;
      inside.dispatchEvent(event);
    }

    postMessage(data) {
      if (this.ready) this.deliver(data);
      else this.queue.push(data);
    }

    terminate() {
      this.frame.remove();
    }
  };
}
