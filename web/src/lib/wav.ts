// Recordings as media servers send them (PCM, A-law and µ-law in WAV), decoded here: not every browser plays G.711.

export interface Sound {
  /** Samples a second. */
  rate: number;
  /** Of all channels mixed, -1 to 1. */
  samples: Float32Array;
}

const PCM = 1;
const A_LAW = 6;
const MU_LAW = 7;
const EXTENSIBLE = 0xfffe;

/** The sound of a WAV file; undefined for a coding that isn't decoded here. */
export function decode(bytes: ArrayBuffer): Sound | undefined {
  const view = new DataView(bytes);
  if (bytes.byteLength < 12 || tag(view, 0) !== 'RIFF' || tag(view, 8) !== 'WAVE') return undefined;
  let form: Form | undefined;
  for (let at = 12; at + 8 <= bytes.byteLength; ) {
    const [name, size, start] = [tag(view, at), view.getUint32(at + 4, true), at + 8];
    if (name === 'fmt ' && size >= 16) form = readForm(view, start, size);
    if (name === 'data') return form && readSamples(view, start, Math.min(size, bytes.byteLength - start), form);
    at = start + size + (size % 2);
  }
  return undefined;
}

interface Form {
  coding: number;
  channels: number;
  rate: number;
  bits: number;
}

function readForm(view: DataView, at: number, size: number): Form {
  let coding = view.getUint16(at, true);
  if (coding === EXTENSIBLE && size >= 26) coding = view.getUint16(at + 24, true);
  return { coding, channels: view.getUint16(at + 2, true), rate: view.getUint32(at + 4, true), bits: view.getUint16(at + 14, true) };
}

function readSamples(view: DataView, at: number, size: number, form: Form): Sound | undefined {
  const read = reader(view, form);
  const width = form.bits / 8;
  if (!read || form.channels < 1 || form.rate < 1) return undefined;
  const samples = new Float32Array(Math.floor(size / width / form.channels));
  for (let i = 0; i < samples.length; i++) {
    let sum = 0;
    for (let channel = 0; channel < form.channels; channel++) sum += read(at + (i * form.channels + channel) * width);
    samples[i] = sum / form.channels;
  }
  return { rate: form.rate, samples };
}

function reader(view: DataView, { coding, bits }: Form): ((at: number) => number) | undefined {
  if (coding === PCM && bits === 16) return (at) => view.getInt16(at, true) / 32_768;
  if (coding === PCM && bits === 8) return (at) => (view.getUint8(at) - 128) / 128;
  if (coding === MU_LAW && bits === 8) return (at) => muLaw(view.getUint8(at)) / 32_768;
  if (coding === A_LAW && bits === 8) return (at) => aLaw(view.getUint8(at)) / 32_768;
  return undefined;
}

/** ITU-T G.711, µ-law: sign, three bits of exponent, four of mantissa, all inverted. */
export function muLaw(code: number): number {
  const bits = ~code & 0xff;
  const size = (((bits & 0x0f) << 3) + 0x84) << ((bits >> 4) & 7);
  return bits & 0x80 ? 0x84 - size : size - 0x84;
}

/** ITU-T G.711, A-law: every second bit is inverted. */
export function aLaw(code: number): number {
  const bits = code ^ 0x55;
  const exponent = (bits >> 4) & 7;
  const mantissa = ((bits & 0x0f) << 4) + (exponent ? 0x108 : 8);
  const size = exponent > 1 ? mantissa << (exponent - 1) : mantissa;
  return bits & 0x80 ? size : -size;
}

/** A WAV of 16 bits, which every browser plays. */
export function encode({ rate, samples }: Sound): Blob {
  const view = new DataView(new ArrayBuffer(44 + samples.length * 2));
  const write = (at: number, text: string) => [...text].forEach((c, i) => view.setUint8(at + i, c.charCodeAt(0)));
  write(0, 'RIFF');
  view.setUint32(4, 36 + samples.length * 2, true);
  write(8, 'WAVEfmt ');
  view.setUint32(16, 16, true);
  view.setUint16(20, PCM, true);
  view.setUint16(22, 1, true);
  view.setUint32(24, rate, true);
  view.setUint32(28, rate * 2, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  write(36, 'data');
  view.setUint32(40, samples.length * 2, true);
  samples.forEach((sample, i) => view.setInt16(44 + i * 2, Math.round(Math.max(-1, Math.min(1, sample)) * 32_767), true));
  return new Blob([view], { type: 'audio/wav' });
}

/** What lies between two moments, in seconds. */
export function trim({ rate, samples }: Sound, begin: number, end: number): Sound {
  return { rate, samples: samples.subarray(Math.round(begin * rate), Math.round(end * rate)) };
}

/** How long it is, in seconds. */
export function seconds({ rate, samples }: Sound): number {
  return samples.length / rate;
}

/** The loudest of each of `count` stretches, 0 to 1. */
export function peaks({ samples }: Sound, count: number): number[] {
  const stretch = Math.max(1, Math.ceil(samples.length / count));
  return Array.from({ length: count }, (_, i) => {
    let most = 0;
    for (let at = i * stretch; at < Math.min((i + 1) * stretch, samples.length); at++) most = Math.max(most, Math.abs(samples[at] ?? 0));
    return most;
  });
}

function tag(view: DataView, at: number): string {
  return String.fromCharCode(view.getUint8(at), view.getUint8(at + 1), view.getUint8(at + 2), view.getUint8(at + 3));
}
