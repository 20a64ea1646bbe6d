// Records from the microphone: one channel, 16 kHz, at most five minutes. Nothing of it is kept but the sound that is given.
import type { Sound } from './wav.ts';
import tap from './worklet.js?url';

const RATE = 16_000;
const MOST_SECONDS = 300;

export class Recorder {
  recording = $state(false);
  seconds = $state(0);
  /** Loudness of what comes in now, 0 to 1. */
  level = $state(0);
  #context: AudioContext | undefined;
  #stream: MediaStream | undefined;
  #pieces: Float32Array[] = [];

  /** Begins; the browser asks first whether it may. */
  async start() {
    this.#stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1 } });
    try {
      this.#context = new AudioContext({ sampleRate: RATE });
      await this.#context.audioWorklet.addModule(tap);
      const node = new AudioWorkletNode(this.#context, 'tap', { numberOfOutputs: 0 });
      node.port.onmessage = ({ data }: MessageEvent<Float32Array>) => this.#take(data);
      this.#context.createMediaStreamSource(this.#stream).connect(node);
    } catch (error) {
      this.#release();
      throw error;
    }
    [this.#pieces, this.seconds, this.recording] = [[], 0, true];
  }

  /** Ends, and gives what was recorded. */
  stop(): Sound {
    this.#release();
    const samples = new Float32Array(this.#pieces.reduce((sum, piece) => sum + piece.length, 0));
    this.#pieces.reduce((at, piece) => (samples.set(piece, at), at + piece.length), 0);
    this.#pieces = [];
    return { rate: RATE, samples };
  }

  #take(piece: Float32Array) {
    if (!this.recording || this.seconds >= MOST_SECONDS) return;
    this.#pieces.push(piece);
    this.seconds += piece.length / RATE;
    this.level = piece.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0);
  }

  #release() {
    this.recording = false;
    this.level = 0;
    this.#stream?.getTracks().forEach((track) => track.stop());
    void this.#context?.close();
    this.#stream = this.#context = undefined;
  }
}
