// Counts of own mailboxes as they change: /mwi/events, read by fetch, which shows what an EventSource hides.
//
// One tab reads and tells the others: over HTTP/1.1 a browser opens six connections to a host. When that tab is closed,
// another one takes over.
import { Problem, ask, type Mwi, type MwiState } from './api.ts';
import { embed } from './embed.svelte.ts';

/** After so long a silence the counts may be old, in milliseconds; the server sends something every 15 s. */
const SILENCE = 20_000;
const FIRST_PAUSE = 1_000;
const LONGEST_PAUSE = 30_000;

type Told = { state: Mwi[]; live: boolean };

class Counts {
  /** By mailbox. */
  boxes: Record<string, Mwi> = $state({});
  live = $state(false);
  /** When it was live last. */
  since: Date | undefined = $state();
  /** Raised with each change of a mailbox. */
  changes: Record<string, number> = $state({});

  take({ state, live }: Told) {
    const before = this.boxes;
    this.boxes = Object.fromEntries(state.map((mwi) => [mwi.Mailbox, mwi]));
    for (const mwi of state) {
      if (JSON.stringify(before[mwi.Mailbox]) !== JSON.stringify(mwi)) this.changes[mwi.Mailbox] = (this.changes[mwi.Mailbox] ?? 0) + 1;
    }
    embed.count(state.map((mwi) => ({ mailbox: mwi.Mailbox, new: mwi.NewMessages, old: mwi.OldMessages })));
    this.live = live;
    if (live) this.since = new Date();
  }
}

export const counts = new Counts();

/** Follows the counts until `signal` says stop. */
export function follow(signal: AbortSignal) {
  // In a frame of a desktop it may be somebody else than in the tabs of this browser, and there may be no way to tell them.
  const channel = embed.active ? undefined : new BroadcastChannel('vm-counts');
  let known: Told = { state: [], live: false };
  let leading = false;
  // A stream ends with its session, and the next one begins at once: that is no reason to say that counts are old.
  let lapse: ReturnType<typeof setTimeout> | undefined;
  const tell = (told: Told) => {
    clearTimeout(lapse);
    lapse = undefined;
    known = told;
    counts.take(told);
    channel?.postMessage(told);
  };
  signal.addEventListener('abort', () => {
    clearTimeout(lapse);
    channel?.close();
  });
  const lead = async () => {
    leading = true;
    await read(signal, () => known, tell, () => (lapse ??= setTimeout(() => tell({ ...known, live: false }), SILENCE)));
  };
  if (!channel) return void lead();
  channel.onmessage = ({ data }: MessageEvent<Told | 'hello'>) => {
    if (data !== 'hello') counts.take((known = data));
    else if (leading) channel.postMessage(known);
  };
  channel.postMessage('hello');
  navigator.locks.request('vm-counts', { signal }, lead).catch(() => {});
}

async function read(signal: AbortSignal, known: () => Told, tell: (told: Told) => void, ended: () => void) {
  let pause = FIRST_PAUSE;
  while (!signal.aborted) {
    try {
      await readOnce(signal, known, tell).finally(() => signal.aborted || ended());
      pause = FIRST_PAUSE;
    } catch (problem) {
      if (signal.aborted) return;
      const wait = problem instanceof Problem ? problem.wait : undefined;
      pause = Math.min(Math.max(pause * 2, wait ?? 0), LONGEST_PAUSE);
    }
    // A stream ends with its session, too, and goes on with the next.
    await new Promise((done) => setTimeout(done, pause * (0.5 + Math.random() / 2)));
  }
}

/** One stream, to its end, or until it is silent for too long. */
async function readOnce(signal: AbortSignal, known: () => Told, tell: (told: Told) => void) {
  const silent = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const heard = () => {
    clearTimeout(timer);
    timer = setTimeout(() => silent.abort(), SILENCE);
  };
  try {
    heard();
    const answer = await ask('/mwi/events', { signal: AbortSignal.any([signal, silent.signal]), headers: { Accept: 'text/event-stream' } });
    const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader();
    let text = '';
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      heard();
      text += value.replaceAll('\r', '');
      for (let end; (end = text.indexOf('\n\n')) >= 0; text = text.slice(end + 2)) {
        const state = apply(known().state, text.slice(0, end));
        tell({ state, live: true });
      }
    }
  } finally {
    clearTimeout(timer);
    if (silent.signal.aborted && !signal.aborted) tell({ ...known(), live: false });
  }
}

/** The counts after an event. */
export function apply(state: Mwi[], block: string): Mwi[] {
  const lines = block.split('\n');
  const field = (name: string) => lines.find((line) => line.startsWith(`${name}:`))?.slice(name.length + 1).trim();
  const data = field('data');
  if (!data) return state;
  switch (field('event')) {
    case 'state':
      return (JSON.parse(data) as MwiState).Mailboxes;
    case 'mwi': {
      const mwi = JSON.parse(data) as Mwi;
      return [...state.filter((one) => one.Mailbox !== mwi.Mailbox), mwi];
    }
    case 'gone': {
      const { Mailbox } = JSON.parse(data) as { Mailbox: string };
      return state.filter((one) => one.Mailbox !== Mailbox);
    }
    default:
      return state;
  }
}
