// Plays samples as they come, from a small ring. Its own clock is the clock of the pictures.
// A little faster or slower (0.5 %) keeps as much in store as is wanted; an empty ring fades out.
// A gap is from where the ring runs empty, while sound is expected, to where samples are heard again.

const MOST_SECONDS = 1;
const REPORT_EVERY = 8;

class RingPlayer extends AudioWorkletProcessor {
  constructor({ processorOptions }) {
    super();
    this.rate = processorOptions.rate;
    this.channels = processorOptions.channels;
    this.size = Math.ceil(MOST_SECONDS * this.rate);
    this.ring = Array.from({ length: this.channels }, () => new Float32Array(this.size));
    this.target = processorOptions.ahead * this.rate;
    this.written = 0;
    this.read = 0;
    this.filling = true;
    this.expecting = false;
    this.underruns = 0;
    this.gap = 0; // samples of the gap that goes on, of the sound card; 0 for none
    this.silent = 0; // of all gaps that are over
    this.longest = 0;
    this.last = new Float32Array(this.channels);
    this.blocks = 0;
    this.port.onmessage = ({ data }) => this.take(data);
  }

  take(data) {
    if (data.samples) {
      const count = data.samples.length / this.channels;
      for (let i = 0; i < count; i++)
        for (let c = 0; c < this.channels; c++)
          this.ring[c][(this.written + i) % this.size] = data.samples[i * this.channels + c] / 32768;
      this.written += count;
      this.read = Math.max(this.read, this.written - this.size + 1);
      if (this.filling) {
        this.filling = false;
        this.wait = this.target; // silence first, so that the next samples come in time
      }
    } else if (data.clear) {
      this.read = this.written;
      this.filling = true;
      this.endGap();
    } else if ("expecting" in data) {
      this.expecting = data.expecting;
      if (!this.expecting) this.endGap();
    }
  }

  endGap() {
    this.silent += this.gap;
    this.longest = Math.max(this.longest, this.gap);
    this.gap = 0;
  }

  process(_, [output]) {
    const level = this.written - this.read;
    const drift = Math.max(-1, Math.min(1, (level - 2 * this.target) / (4 * this.target)));
    const step = (this.rate / sampleRate) * (1 + 0.005 * drift);
    for (let i = 0; i < output[0].length; i++) {
      if (this.filling || this.wait > 0) {
        this.wait -= step;
        if (this.gap) this.gap++;
        for (let c = 0; c < output.length; c++) output[c][i] = this.last[c % this.channels] *= 0.98;
        continue;
      }
      if (this.read + 1 >= this.written) {
        this.filling = true;
        if (this.expecting) {
          this.underruns++;
          this.gap = 1;
        }
        continue;
      }
      if (this.gap) this.endGap();
      const index = Math.floor(this.read);
      const part = this.read - index;
      for (let c = 0; c < this.channels; c++) {
        const a = this.ring[c][index % this.size];
        this.last[c] = a + part * (this.ring[c][(index + 1) % this.size] - a);
      }
      for (let c = 0; c < output.length; c++) output[c][i] = this.last[c % this.channels];
      this.read += step;
    }
    if (++this.blocks % REPORT_EVERY === 0) {
      const wait = this.filling ? this.target : Math.max(0, this.wait);
      this.port.postMessage({
        read: this.read - wait,
        time: currentTime,
        underruns: this.underruns,
        silentSeconds: (this.silent + this.gap) / sampleRate,
        longestSeconds: Math.max(this.longest, this.gap) / sampleRate,
      });
    }
    return true;
  }
}

registerProcessor("ring-player", RingPlayer);
