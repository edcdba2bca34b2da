// The sound of the world, and the time at which each of its samples is heard.

const AHEAD_SECONDS = 0.035; // kept in store, so that a tick that is a little late is no gap

export class Sound {
  constructor({ rate, channels }) {
    this.rate = rate;
    this.channels = channels;
    this.pushed = 0;
    this.report = { read: 0, time: 0, underruns: 0, silentSeconds: 0, longestSeconds: 0 };
    this.volume = 0.7;
    this.muted = false;
    this.node = null;
  }

  // To be called from a click or a key: browsers play nothing before one.
  async open() {
    if (this.context) return this.context.resume();
    if (!window.AudioContext || !window.isSecureContext) throw new Error("sound needs https or localhost");
    try {
      this.context = new AudioContext({ sampleRate: this.rate, latencyHint: "interactive" });
    } catch {
      this.context = new AudioContext({ latencyHint: "interactive" }); // the worklet changes the rate itself
    }
    await this.context.audioWorklet.addModule("/worklet.js");
    const node = new AudioWorkletNode(this.context, "ring-player", {
      numberOfInputs: 0,
      outputChannelCount: [2],
      processorOptions: { rate: this.rate, channels: this.channels, ahead: AHEAD_SECONDS },
    });
    this.gain = new GainNode(this.context, { gain: 0 });
    this.analyser = new AnalyserNode(this.context, { fftSize: 2048 });
    this.samples = new Float32Array(2048);
    node.connect(this.analyser).connect(this.gain).connect(this.context.destination);
    node.port.onmessage = ({ data }) => (this.report = data);
    await this.context.resume();
    this.node = node;
    this.expect(this.expecting);
    this.apply();
  }

  get playing() {
    return this.node !== null && this.context.state === "running";
  }

  // Adds a tick's samples; the seconds until the first of them is heard.
  push(content) {
    if (!this.playing) return 0;
    const samples = new Int16Array(content.slice().buffer);
    this.node.port.postMessage({ samples }, [samples.buffer]);
    const start = this.pushed;
    this.pushed += samples.length / this.channels;
    const since = Math.max(0, this.context.currentTime - this.report.time);
    const read = this.report.read + since * this.rate;
    const ahead = (start - read) / this.rate + (this.context.outputLatency || 0);
    return Math.min(Math.max(ahead, 0), 0.25);
  }

  // The gaps so far, in words.
  get gaps() {
    if (!this.playing) return "off";
    const { underruns, silentSeconds, longestSeconds } = this.report;
    const ms = (seconds) => Math.round(1000 * seconds);
    if (!underruns) return "no gaps";
    return underruns === 1 ? `1 gap of ${ms(silentSeconds)} ms` : `${underruns} gaps, ${ms(silentSeconds)} ms in all, ${ms(longestSeconds)} at most`;
  }

  clear() {
    this.node?.port.postMessage({ clear: true });
  }

  expect(expecting) {
    this.expecting = expecting;
    this.node?.port.postMessage({ expecting });
  }

  apply() {
    if (this.gain) this.gain.gain.value = this.muted ? 0 : this.volume ** 2;
  }

  // The loudest sample of the last moment, before the volume.
  peak() {
    if (!this.playing) return 0;
    this.analyser.getFloatTimeDomainData(this.samples);
    return this.samples.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0);
  }
}
