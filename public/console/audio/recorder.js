// Records the microphone.

export class Recorder {
  #recorder = null;
  #isClosed = false;

  get isRunning() {
    return this.#recorder !== null;
  }

  /** Throws if the page may not use the microphone. */
  async start() {
    const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
    this.#recorder = new MediaRecorder(stream);
    this.#recorder.start();
    if (this.#isClosed) this.cancel(); // while the browser asked for the permission
  }

  /** End a recording that runs, or that is about to. */
  close() {
    this.#isClosed = true;
    this.cancel();
  }

  /** Return the recording as a file. */
  async stop() {
    const recorder = this.#recorder;
    const pieces = [];
    const ended = new Promise((done) => {
      recorder.addEventListener("dataavailable", ({ data }) => pieces.push(data));
      recorder.addEventListener("stop", done);
    });
    this.cancel();
    await ended;
    const type = recorder.mimeType.split(";")[0];
    return new File(pieces, `recording.${type.split("/")[1]}`, { type });
  }

  cancel() {
    if (!this.#recorder) return;
    this.#recorder.stop();
    for (const track of this.#recorder.stream.getTracks()) track.stop();
    this.#recorder = null;
  }
}
